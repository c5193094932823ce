// How one image and its answer look: the card of the grid, and its parts.

const SHOWN = 3; // bars on a card

/** Make an element: `make("p", {class: "x"}, "text", child)`. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Return a share as a reader wants it: never 0 % or 100 % of what is neither. */
export function percent(share) {
  if (share > 0.995 && share < 1) return "> 99 %";
  if (share < 0.005 && share > 0) return "< 1 %";
  return `${Math.round(100 * share)} %`;
}

/** Return the rows of the probabilities, most probable first. */
export function bars(answer, most = Infinity) {
  const ranked = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  return ranked.slice(0, most).map(([name, share]) => {
    const bar = make("i");
    bar.style.setProperty("--share", share);
    return make(
      "li",
      {},
      make("span", { class: "name" }, name),
      make("span", { class: "bar", "aria-hidden": "true" }, bar),
      make("span", { class: "share" }, percent(share)),
    );
  });
}

/** Return what a person would say of an answer: its kind, its title and a note. */
export function verdict(answer) {
  if (!answer) return { kind: "waiting", title: "Looking …", note: "" };
  if (answer.error) return { kind: "fault", title: "Not classified", note: answer.error.message };
  if (!answer.is_known) {
    const note = `Unlike the labelled images. Nearest class: ${answer.label}, ${percent(answer.confidence)}.`;
    return { kind: "unknown", title: "Unknown", note };
  }
  return { kind: "known", title: answer.label, note: answer.confidence < 0.5 ? "Not sure." : "" };
}

/** Return the card of an item whose answer is still to come. */
export function card(item, onLook) {
  const picture = make("img", { alt: "", src: item.url, loading: "lazy", decoding: "async" });
  const shot = make("button", { type: "button", class: "shot", "aria-label": `Look at ${item.file.name}` }, picture);
  picture.addEventListener("error", () => shot.replaceChildren(noPreview(item.file)));
  shot.addEventListener("click", () => onLook(item));
  const said = make("div", { class: "said" });
  const name = make("p", { class: "file name", title: item.file.name }, item.file.name);
  item.element = make("li", { class: "card" }, shot, said, name);
  fill(item);
  return item.element;
}

/** Write an item's answer into its card. */
export function fill(item) {
  const { answer, element } = item;
  const { kind, title, note } = verdict(answer);
  element.dataset.kind = kind;
  element.dataset.sure = kind === "known" && note ? "no" : "yes";
  element.setAttribute("aria-busy", String(kind === "waiting"));
  const heading = make("h3", {}, make("span", { class: "name" }, title));
  if (kind === "known") heading.append(make("span", { class: "sure" }, percent(answer.confidence)));
  const parts = [heading];
  if (note) parts.push(make("p", { class: "note" }, note));
  if (answer?.probabilities) parts.push(make("ul", { class: "bars" }, ...bars(answer, SHOWN)));
  element.querySelector(".said").replaceChildren(...parts);
}

export function noPreview(file) {
  const suffix = file.name.includes(".") ? file.name.split(".").pop().toUpperCase() : "File";
  return make("span", { class: "none" }, `${suffix}, no preview`);
}
