// A page of images with one proposed class: all are accepted, exceptions are marked.

import { make } from "./cards.js";
import { TILE } from "./label_feed.js";

/** Show a page; return what the keys do with it. */
export function showGrid(view, screen, { feed, changed }) {
  const marks = screen.marks ?? (screen.marks = screen.items.map(() => ({ kind: "accepted", label: null, flagged: false })));
  let cursor = screen.cursor ?? screen.items.length - 1; // the least sure one: exceptions are mostly there
  const list = make("ul", { class: "tiles", role: "listbox", "aria-multiselectable": "true", "aria-label": "Images of this page" });
  const tiles = screen.items.map((item, place) => tile(item, place));
  list.append(...tiles);
  view.replaceChildren(list);
  tiles.forEach((_, place) => draw(place));
  move(0);

  function tile(item, place) {
    const element = make("li", { class: "tile", role: "option", tabindex: "-1" });
    const picture = feed.picture(item.image, TILE);
    const mark = make("span", { class: "mark-of name" });
    element.append(picture, mark);
    picture.ready.then((isThere) => {
      if (isThere) return;
      marks[place] = { kind: "gone", label: null, flagged: false };
      picture.replaceWith(make("span", { class: "none" }, "not there"));
      draw(place);
    });
    element.addEventListener("click", () => {
      move(place - cursor);
      toggle();
    });
    return element;
  }

  function draw(place) {
    const { kind, label, flagged } = marks[place];
    const element = tiles[place];
    const words = { accepted: screen.class ?? "", out: "out", unsure: "unsure", none_of_these: "none of these", gone: "not there" };
    const said = kind === "label" ? label : words[kind];
    element.dataset.kind = kind;
    element.toggleAttribute("data-flagged", flagged);
    element.setAttribute("aria-selected", String(kind === "accepted"));
    element.setAttribute("aria-label", `${screen.items[place].name}: ${said || "no class yet"}${flagged ? ", flagged" : ""}`);
    element.querySelector(".mark-of").textContent = kind === "accepted" ? (flagged ? "⚑" : "") : `${flagged ? "⚑ " : ""}${said}`;
  }

  function move(by) {
    tiles[cursor].tabIndex = -1;
    cursor = Math.min(Math.max(cursor + by, 0), tiles.length - 1);
    screen.cursor = cursor;
    tiles[cursor].tabIndex = 0;
    tiles[cursor].focus({ preventScroll: false });
  }

  function columns() {
    const top = tiles[0].offsetTop;
    const n = tiles.findIndex((element) => element.offsetTop !== top);
    return n === -1 ? tiles.length : n;
  }

  function set(mark) {
    if (marks[cursor].kind === "gone") return;
    marks[cursor] = { ...marks[cursor], ...mark };
    draw(cursor);
    changed();
  }

  function toggle() {
    set({ kind: marks[cursor].kind === "accepted" ? "out" : "accepted", label: null });
  }

  return {
    toggle,
    arrows: { ArrowLeft: () => move(-1), ArrowRight: () => move(1), ArrowUp: () => move(-columns()), ArrowDown: () => move(columns()) },
    give: (label) => set(label === screen.class ? { kind: "accepted", label: null } : { kind: "label", label }),
    mark: (kind) => set({ kind, label: null }),
    flag: () => set({ flagged: !marks[cursor].flagged }),
    redraw: () => tiles.forEach((_, place) => draw(place)),
    current: () => screen.items[cursor],
    counts: () => ({ accepted: marks.filter(({ kind }) => kind === "accepted").length, all: marks.length }),
  };
}

/** Return the answers of a page as it stands. */
export function answersOfPage(screen, milliseconds) {
  const each = Math.round(milliseconds / screen.items.length);
  return screen.items.flatMap((item, place) => {
    const { kind, label, flagged } = screen.marks[place];
    if (kind === "out" || kind === "gone") return [];
    const name = kind === "accepted" ? screen.class : label;
    return [{ item, kind: kind === "accepted" || kind === "label" ? "label" : kind, label: name, flagged, milliseconds: each }];
  });
}
