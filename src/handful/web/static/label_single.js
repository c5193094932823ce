// One image, large, and the classes beside it.

import { make, percent } from "./cards.js";
import { LARGE } from "./label_feed.js";
import { keyOfClass } from "./label_keys.js";

const MOST_BUTTONS = 20; // those that have a key

/** Show a single image; `choose(name)` is called when a class is clicked. Return the view's own actions. */
export function showSingle(view, screen, { feed, classes, choose, openBox }) {
  const [item] = screen.items;
  const shot = make("figure", { class: "shot-large" });
  const picture = feed.picture(item.image, LARGE);
  picture.alt = item.name;
  shot.append(picture, make("figcaption", { class: "file name", title: item.name }, item.name));
  picture.ready.then((isThere) => {
    if (!isThere) shot.replaceChildren(...gone(item, screen));
  });
  const list = make("div", { class: "choices", role: "group", "aria-label": "Classes" });
  list.append(...buttons(item, classes, choose), more(classes, openBox));
  view.replaceChildren(shot, list);
  return { flag: (on) => shot.toggleAttribute("data-flagged", Boolean(on)) };
}

function buttons(item, classes, choose) {
  const shares = new Map(item.top);
  const shown = classes.slice(0, MOST_BUTTONS);
  const rare = item.top.map(([name]) => name).filter((name) => !shown.includes(name));
  return [...shown, ...rare].map((name) => {
    const key = keyOfClass(classes.indexOf(name));
    const isProposed = name === item.suggestion;
    const button = make("button", { type: "button", class: "choice", "data-name": name });
    if (isProposed) button.setAttribute("aria-current", "true");
    button.append(make("kbd", {}, isProposed && !key ? "⏎" : key), make("span", { class: "name" }, name));
    const share = shares.get(name);
    if (share !== undefined) button.append(make("span", { class: "share" }, percent(share)), bar(share));
    button.addEventListener("click", () => choose(name));
    return button;
  });
}

function bar(share) {
  const fill = make("i");
  fill.style.setProperty("--share", share);
  return make("span", { class: "bar", "aria-hidden": "true" }, fill);
}

function more(classes, openBox) {
  const few = classes.length ? "Another class" : "The first class";
  const many = classes.length > MOST_BUTTONS ? `One of ${classes.length} classes, or a new one` : few;
  const button = make("button", { type: "button", class: "choice another" }, make("kbd", {}, "c"), make("span", {}, many));
  button.addEventListener("click", openBox);
  return button;
}

function gone(item, screen) {
  screen.isGone = true;
  return [
    make("p", { class: "gone", role: "alert" }, "This image cannot be shown: the file is gone, was changed, or is damaged."),
    make("p", { class: "file name" }, item.name),
    make("p", { class: "muted" }, "Press ", make("kbd", {}, "s"), " for the next one."),
  ];
}
