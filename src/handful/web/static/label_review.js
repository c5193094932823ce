// A second look: likely errors, flags, images on which annotators differ; one key each.

import { make, percent } from "./cards.js";
import { LARGE } from "./label_feed.js";

const WORDS = { suspect: "Is this label right?", dispute: "Annotators differ. Who is right?", flag: "Flagged for a second look." };

/** Fetch what deserves a second look. */
export async function fetchReview() {
  const response = await fetch("review");
  if (!response.ok) throw new Error("review");
  return response.json();
}

/** Return a screen of one look, which the keys of a single image work on. */
export function screenOf(look, line) {
  const item = { image: look.image, name: look.name, suggestion: null, probability: null, top: [], model: null, blind: false, q: null };
  return { kind: "review", class: null, why: look.kind, items: [item], look, line };
}

/** Show one look: the image between its classes. */
export function showReview(view, screen, { feed, choose }) {
  const { look, items } = screen;
  const picture = feed.picture(items[0].image, LARGE);
  picture.alt = items[0].name;
  const list = make("div", { class: "choices", role: "group", "aria-label": "Classes" });
  list.append(...look.choices.map((choice, place) => button(choice, place, choose)));
  if (screen.line) list.append(make("p", { class: "small muted" }, screen.line));
  view.replaceChildren(make("figure", { class: "shot-large" }, picture, make("figcaption", { class: "file name" }, items[0].name)), list);
  return { question: WORDS[look.kind] };
}

function button({ label, why, probability }, place, choose) {
  const said = probability === null ? why : `${why}, ${percent(probability)} by consensus`;
  const element = make("button", { type: "button", class: "choice look", "data-name": label });
  element.append(make("kbd", {}, String(place + 1)), make("span", { class: "name" }, label), make("span", { class: "small muted" }, said));
  element.addEventListener("click", () => choose(label));
  return element;
}

/** Return how the annotators agree, as a line; "" for one alone. */
export function agreementLine(together) {
  if (!together) return "";
  const people = together.annotators.map(({ name, accuracy, interval, n }) => `${name || "unnamed"} ${n}${accuracy === null ? "" : ` (${percent(accuracy)} right by consensus, ${percent(interval[0])} to ${percent(interval[1])})`}`).join(", ");
  const same = together.agreement === null ? "no image has two answers yet" : `they agree on ${percent(together.agreement)} of ${together.n} images`;
  return `Annotators: ${same}. Answers: ${people}.`;
}
