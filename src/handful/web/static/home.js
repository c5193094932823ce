// The page that classifies what is dropped on it.

import { bars, card, fill, make, noPreview, percent, verdict } from "./cards.js";
import { csvOf } from "./csv.js";
import { filesOf } from "./files.js";
import { Sender } from "./sending.js";

const $ = (id) => document.getElementById(id);
const { maxBytes, maxFiles, maxRequestBytes } = $("main").dataset;
const limits = { maxBytes: +maxBytes, maxFiles: +maxFiles, maxRequestBytes: +maxRequestBytes };
const items = [];
const sender = new Sender(limits, answered);
let shown = "all"; // the filter: "all", "unknown", "fault" or "class:NAME"
let looked = null; // the item in the dialog

function add(files) {
  const added = [...files].map((file) => ({ file, url: URL.createObjectURL(file), answer: null }));
  if (!added.length) return;
  items.push(...added);
  $("cards").append(...added.map((item) => card(item, look)));
  $("drop").classList.add("small");
  $("results").hidden = false;
  $("how").textContent = "Drop more, paste, or choose.";
  sender.add(added);
  refresh();
}

function answered(item, answer) {
  if (!items.includes(item)) return; // cleared meanwhile
  item.answer = answer;
  fill(item);
  if (item === looked) look(item);
  refresh();
}

function clear() {
  sender.clear();
  for (const item of items) URL.revokeObjectURL(item.url);
  items.length = 0;
  shown = "all";
  $("cards").replaceChildren();
  $("results").hidden = true;
  $("drop").classList.remove("small");
  $("how").textContent = "Drop images or a folder anywhere on this page, paste one, or choose files.";
  $("choose").focus();
}

function addChosen() {
  add($("files").files);
  $("files").value = "";
}

// What is shown: counts, filters and the order; drawn at most once a frame.

let isDrawing = false;
function refresh() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    showStatus();
    showFilters();
    showCards();
  });
}

function showStatus() {
  const done = items.filter((item) => item.answer).length;
  const images = items.length === 1 ? "image" : "images";
  $("status").textContent = done < items.length ? `${done} of ${items.length} ${images} …` : `${done} ${images} done`;
  $("progress").hidden = done === items.length;
  $("progress").firstElementChild.style.setProperty("--share", done / items.length);
}

function keyOf({ answer }) {
  const { kind } = verdict(answer);
  return kind === "known" ? `class:${answer.label}` : kind;
}

function showFilters() {
  const counts = new Map();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  const classes = [...counts.keys()].filter((key) => key.startsWith("class:")).sort((a, b) => counts.get(b) - counts.get(a));
  const keys = ["all", ...classes, ...["unknown", "fault"].filter((key) => counts.has(key))];
  if (!keys.includes(shown)) shown = "all";
  const focused = document.activeElement?.dataset?.key;
  $("filters").replaceChildren(
    ...keys.map((key) => {
      const words = { all: "All", unknown: "Unknown", fault: "Not classified" }[key] ?? key.slice(6);
      const count = make("span", { class: "count" }, String(key === "all" ? items.length : counts.get(key)));
      const attributes = { type: "button", "data-key": key, "aria-pressed": String(key === shown) };
      const button = make("button", attributes, make("span", { class: "name" }, words), " ", count);
      button.addEventListener("click", () => { shown = key; refresh(); });
      return button;
    }),
  );
  if (focused) [...$("filters").children].find((button) => button.dataset.key === focused)?.focus();
}

const ORDERS = {
  added: () => 0,
  unsure: (a, b) => sureness(a) - sureness(b),
  class: (a, b) => keyOf(a).localeCompare(keyOf(b)) || sureness(b) - sureness(a),
};

function sureness({ answer }) {
  if (!answer) return 3;
  if (answer.error) return 2;
  return answer.confidence - (answer.is_known ? 0 : 1);
}

function ordered() {
  const chosen = items.filter((item) => shown === "all" || keyOf(item) === shown);
  return chosen.sort(ORDERS[$("order").value]);
}

function showCards() {
  const wanted = ordered().map((item) => item.element);
  const present = [...$("cards").children];
  if (wanted.length === present.length && wanted.every((element, i) => element === present[i])) return;
  const focused = document.activeElement;
  $("cards").replaceChildren(...wanted);
  if ($("cards").contains(focused)) focused.focus({ preventScroll: true });
}

// One image, large, with all its probabilities.

function look(item) {
  looked = item;
  const { kind, title, note } = verdict(item.answer);
  $("look").dataset.kind = kind;
  const picture = make("img", { id: "look-image", alt: item.file.name, src: item.url });
  picture.addEventListener("error", () => picture.replaceWith(noPreview(item.file)));
  $("look").querySelector(".stage").replaceChildren(picture);
  $("look-name").textContent = item.file.name;
  $("look-label").textContent = kind === "known" ? `${title}, ${percent(item.answer.confidence)}` : title;
  $("look-note").textContent = note;
  $("look-note").hidden = !note;
  $("look-bars").replaceChildren(...(item.answer?.probabilities ? bars(item.answer) : []));
  $("look-bars").hidden = !item.answer?.probabilities;
  if (!$("look").open) $("look").showModal();
}

function step(by) {
  const order = ordered();
  const next = order[order.indexOf(looked) + by];
  if (next) look(next);
}

function save() {
  const link = make("a", {
    href: URL.createObjectURL(new Blob(["\ufeff", csvOf(items)], { type: "text/csv" })),
    download: "predictions.csv",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// What people do.

$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", addChosen);
$("clear").addEventListener("click", clear);
$("save").addEventListener("click", save);
$("order").addEventListener("change", refresh);
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("look").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
$("look").addEventListener("click", (event) => {
  if (event.target === $("look")) $("look").close();
});
$("look").addEventListener("close", () => {
  looked?.element.querySelector("button").focus();
  looked = null;
});

addEventListener("paste", async (event) => {
  const files = await filesOf(event.clipboardData);
  add(files.filter((file) => file.type.startsWith("image/")));
});

let depth = 0; // of elements that the drag is over
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
const over = (by) => {
  depth = Math.max(0, depth + by);
  document.body.classList.toggle("dragging", depth > 0);
};
addEventListener("dragenter", (event) => hasFiles(event) && over(1));
addEventListener("dragleave", (event) => hasFiles(event) && over(-1));
addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
addEventListener("drop", async (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  over(-depth);
  add(await filesOf(event.dataTransfer));
});

addChosen(); // files chosen before this script was there
