// The keys: what each does. The help on the page and the handler of keys both read this table.

export const KEYS = [
  ["1 … 9, 0", "class 1 to 10, then the next image; with Shift class 11 to 20", "give the tile under the cursor this class"],
  ["Enter", "take the suggestion", "take the whole page as it stands"],
  ["c", "open the class box: type to filter, or name a new class", "the same, for the tile under the cursor"],
  ["Space", "", "take the tile out, or in again"],
  ["x", "unsure: kept as a fact, never trained on, comes back last", "the same, for the tile"],
  ["n", "none of these classes", "the same, for the tile"],
  ["f", "flag for a second look", "the same, for the tile"],
  ["s", "skip, without a record", "skip the page"],
  ["→", "skip", "move the cursor (all arrows)"],
  ["⌫, Ctrl+Z", "undo, without end", "undo; a page is one step"],
  ["←", "undo", "move the cursor"],
  ["g, Tab", "to the grid", "to single images"],
  ["/", "images like this one (by words, if the backbone reads text)", "images like the tile"],
  ["r", "review: likely errors, flags, where annotators differ", ""],
  ["m", "classes: rename and merge", ""],
  ["p", "plans: what would help most from here", ""],
  ["e", "export a model", ""],
  ["?", "these keys", ""],
  ["Shift+Tab", "to the buttons of the page; Esc comes back", ""],
];

/** Return the number of a class key from 0, null for another key. */
export function classOfKey(event) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
  if (digit === undefined || event.ctrlKey || event.metaKey || event.altKey) return null;
  const place = (Number(digit) + 9) % 10;
  return event.shiftKey ? place + 10 : place;
}

/** Return what to write on the button of a class, "" where it has no key. */
export function keyOfClass(place) {
  if (place >= 20) return "";
  return (place >= 10 ? "⇧" : "") + ((place + 1) % 10);
}
