// The labelling page: one screen after the other, every key at once, every answer kept until it is safe.

import { make } from "./cards.js";
import { openBox } from "./label_box.js";
import { classesDialog } from "./label_classes.js";
import { Feed } from "./label_feed.js";
import { answersOfPage, showGrid } from "./label_grid.js";
import { KEYS, classOfKey } from "./label_keys.js";
import { newId, Outbox } from "./label_outbox.js";
import { showPanel } from "./label_panel.js";
import { showPlans } from "./label_plans.js";
import { agreementLine, fetchReview, screenOf, showReview } from "./label_review.js";
import { showSingle } from "./label_single.js";

const $ = (id) => document.getElementById(id);
const POLL = 1500; // milliseconds
const main = $("main");
const tab = newId();
const history = []; // what this tab answered: {id, screen}
let state = null;
let screen = null; // on view
let tools = {}; // what the view can do
let shownAt = 0;
let looks = null; // the review queue while one reviews

const outbox = new Outbox(`handful${location.pathname}`, { acknowledged: take, refused, changed: showSaved });
const feed = new Feed(tab, onHand, (fresh) => {
  take(fresh);
  if (!screen && !looks) advance();
});
const openClasses = classesDialog(take);

/** Return the images on view, and those whose answer is still on its way. */
function onHand() {
  const shown = screen?.items.map(({ image }) => image) ?? [];
  return [...shown, ...outbox.waiting.flatMap(({ message }) => message.answers?.map(({ image }) => image) ?? [])];
}

// State, as the server has it.

function take(fresh) {
  const before = state;
  state = fresh;
  showPanel(state);
  showSaved();
  showExport();
  showPlans(state.advice);
  $("undo").disabled = !history.length && state.undo === null;
  const isChanged = JSON.stringify(before?.classes.map(([name]) => name)) !== JSON.stringify(names());
  if (isChanged && screen?.kind === "single") show(screen, true);
}

function names() {
  return state?.classes.map(([name]) => name) ?? [];
}

async function poll() {
  try {
    const response = await fetch("state");
    const body = await response.json();
    if (response.ok) take(body);
    else lost(body.error?.message);
    if (response.ok && !screen && !looks) feed.fill().then(() => !screen && advance());
  } catch {
    lost("The server does not answer. This page goes on by itself once it is there again.");
  }
  setTimeout(poll, POLL);
}

let isLost = "";
function lost(message) {
  isLost = message ?? "";
  showSaved();
}

function showSaved() {
  const n = outbox.waiting.length;
  const { trouble } = outbox;
  const kind = trouble || isLost ? "trouble" : n ? "saving" : "saved";
  if (kind === "saved") isLost = "";
  $("saved").dataset.kind = kind;
  $("saved").textContent = n ? `${trouble ? "Not saved" : "Saving"}: ${n}` : kind === "trouble" ? "Not connected" : "Saved";
  const isFull = trouble && trouble.kind !== "offline";
  const text = isFull ? `${trouble.text} ${n} ${n === 1 ? "answer waits" : "answers wait"} in this tab and will be tried again; new ones are not taken until then.` : trouble ? `${trouble.text} ${n} ${n === 1 ? "answer waits" : "answers wait"} in this tab; it reconnects by itself.` : isLost;
  $("trouble").hidden = !text;
  if ($("trouble").textContent !== text) $("trouble").textContent = text;
  isLost = trouble ? isLost : "";
}

function refused(message, why) {
  const place = history.findIndex(({ id }) => id === message.id);
  say(`Not taken: ${why}`, true);
  if (place === -1) return;
  const [{ screen: back }] = history.splice(place, 1);
  feed.back(screen);
  show(back);
}

let fault = "";
function say(text, isFault = false) {
  $("live").textContent = text;
  fault = isFault ? text : "";
  if (isFault) $("note").textContent = text;
}

// What is on view.

function advance() {
  const next = looks ? looks.shift() ?? null : feed.next();
  if (looks && !next) return endReview("Nothing else needs a second look.");
  if (next) return show(next);
  screen = null;
  const { stage, message, labelled, ready } = state ?? { stage: "scan" };
  const words = stage === "failed" ? message : stage === "done" && feed.isEmpty && ready ? `Nothing is left to ask: ${labelled} images are labelled.` : "Getting ready …";
  blank(words, stage === "done" && ready ? "Press e to export a model, r for a second look." : "");
  $("view").setAttribute("aria-busy", String(stage !== "done" && stage !== "failed"));
}

function blank(words, note = "") {
  tools = {};
  $("ask").textContent = words;
  $("note").textContent = note;
  $("view").replaceChildren();
  $("acts").hidden = true;
}

function show(next, isAgain = false) {
  screen = next;
  const context = { feed, classes: names(), choose: give, openBox: chooseClass, changed: showQuestion };
  const make_ = { grid: showGrid, single: showSingle, review: showReview }[screen.kind];
  $("view").className = `view ${screen.kind}`;
  $("view").setAttribute("aria-busy", "false");
  $("acts").hidden = false;
  tools = make_($("view"), screen, context);
  showQuestion();
  if (isAgain) return;
  shownAt = performance.now();
  screen.flagged ??= false;
  if (screen.kind !== "grid" && document.activeElement !== $("stage")) $("stage").focus({ preventScroll: true });
  say($("ask").textContent);
}

function showQuestion() {
  const [item] = screen.items;
  $("take").hidden = screen.kind === "grid" ? screen.class === null : item.suggestion === null;
  $("mode").firstChild.textContent = feed.mode === "grid" ? "One by one " : "Grid ";
  $("mode").setAttribute("aria-pressed", String(feed.mode === "grid"));
  if (screen.kind === "grid") {
    const { accepted, all } = tools.counts?.() ?? { accepted: 0, all: 0 };
    $("ask").replaceChildren(...(screen.class ? ["All ", make("span", { class: "name" }, screen.class), "?"] : ["What are these?"]));
    $("note").textContent = screen.class ? `${accepted} of ${all} accepted. Enter takes them; mark exceptions first.` : "A digit or c names the page; then mark exceptions, Enter takes it.";
    return;
  }
  if (screen.kind === "review") {
    $("ask").textContent = tools.question;
    $("note").textContent = `${looks?.length ?? 0} more. Escape ends the review.`;
    return;
  }
  $("ask").replaceChildren(...(item.suggestion ? [make("span", { class: "name" }, item.suggestion), "?"] : ["Which class?"]));
  const why = { audit: "Blind audit: no suggestion, so that the accuracy is measured honestly.", second: "Somebody else labelled this too: no suggestion.", unsure: "You were unsure of this one." };
  $("note").textContent = fault || (why[screen.why] ?? (item.suggestion ? "Enter takes it." : names().length ? "" : "Press c to name the first class."));
  fault = "";
  $("stage").toggleAttribute("data-blind", item.blind);
  tools.flag?.(screen.flagged);
}

// Answers.

function isBlocked() {
  if (!screen) return true;
  if (outbox.trouble && outbox.trouble.kind !== "offline") {
    say("Not taken: nothing can be saved now.", true);
    return true;
  }
  if (screen.isGone) say("This image cannot be shown; s skips it.", true);
  return Boolean(screen.isGone);
}

function eventOf({ item, kind, label, flagged, milliseconds }) {
  const how = screen.why === "audit" ? "audit" : label === item.suggestion ? "confirmed" : "human";
  return {
    image: item.image, kind: kind === "label" ? how : kind, label: label ?? null, blind: item.blind, flagged,
    suggestion: item.suggestion, probability: item.probability, model: item.model, q: item.q,
    milliseconds: Math.max(0, Math.round(milliseconds)),
  };
}

function commit(answers) {
  if (answers.length) {
    const id = newId();
    history.push({ id, screen, looking: Boolean(looks) });
    $("undo").disabled = false;
    outbox.put({ id, answers: answers.map(eventOf) });
  }
  advance();
}

function answer(kind, label = null) {
  const [item] = screen.items;
  commit([{ item, kind, label, flagged: screen.flagged, milliseconds: performance.now() - shownAt }]);
}

/** Give a class: to the image, to the tile under the cursor, or to a page that has none. */
function give(name) {
  if (isBlocked()) return;
  if (screen.kind !== "grid") return answer("label", name);
  if (screen.class === null) {
    screen.class = name;
    tools.redraw();
    return showQuestion();
  }
  tools.give(name);
}

async function chooseClass() {
  if (isBlocked()) return;
  const title = screen.kind === "grid" && screen.class === null ? "What are these?" : "Which class?";
  const on = screen;
  const name = await openBox(title, names());
  if (name !== null && screen === on) give(name);
}

function accept() {
  if (isBlocked()) return;
  if (screen.kind === "grid") {
    if (screen.class === null) return say("Name the page first: a digit or c.", true);
    return commit(answersOfPage(screen, performance.now() - shownAt));
  }
  const [item] = screen.items;
  if (item.suggestion !== null) answer("label", item.suggestion);
}

function mark(kind) {
  if (isBlocked()) return;
  if (screen.kind === "grid") tools.mark(kind);
  else answer(kind);
}

function flag() {
  if (!screen) return;
  if (screen.kind === "grid") return tools.flag();
  screen.flagged = !screen.flagged;
  tools.flag?.(screen.flagged);
  say(screen.flagged ? "Flagged." : "Not flagged.");
}

async function undo() {
  const last = history.pop();
  if (last) {
    outbox.put({ undo: last.id });
    if (screen) (looks ? looks.unshift(screen) : feed.back(screen));
    show(last.screen);
    return say("Undone.");
  }
  await outbox.drained();
  const response = await fetch("last").catch(() => null);
  const found = response?.ok ? await response.json() : null;
  if (!found) return say("There is nothing to undo.", true);
  outbox.put({ undo: found.step });
  if (screen) (looks ? looks.unshift(screen) : feed.back(screen));
  show(screenAgain(found.items));
  say("Undone.");
}

/** Return the screen of a step of an earlier session. */
function screenAgain(items) {
  if (items.length === 1) return { kind: "single", class: null, why: items[0].kind === "audit" ? "audit" : "again", items };
  const common = items.find(({ kind }) => kind === "confirmed")?.label ?? items[0].label;
  const marks = items.map(({ label, kind, flagged }) => ({ kind: label === common ? "accepted" : label ? "label" : kind, label, flagged }));
  return { kind: "grid", class: common, why: "again", items, marks };
}

// Other views.

function switchMode() {
  if (looks) return;
  const isGrid = screen?.kind === "grid" || feed.mode === "grid";
  feed.tiles = tilesThatFit();
  screen = null;
  blank("Getting ready …");
  feed.restart(isGrid ? "single" : "grid");
}

function tilesThatFit() {
  const { width } = $("view").getBoundingClientRect();
  const columns = Math.max(2, Math.floor((width + 8) / 120));
  return Math.min(48, Math.max(12, columns * Math.max(3, Math.floor((innerHeight - 190) / 124))));
}

async function find() {
  if (!screen) return;
  if (main.dataset.search === "yes") {
    $("find").returnValue = "";
    $("find").showModal();
    return;
  }
  const { image } = screen.kind === "grid" ? tools.current() : screen.items[0];
  ask("alike", { image });
}

async function ask(where, said) {
  const response = await fetch(where, { method: "POST", body: JSON.stringify({ tab, tiles: tilesThatFit(), ...said }) });
  const page = await response.json();
  if (!response.ok || !page) return say(page?.error?.message ?? "There is nothing like it left.", true);
  feed.load(page);
  if (screen) feed.back(screen);
  show(page);
}

async function review() {
  if (looks) return endReview("");
  try {
    const found = await fetchReview();
    $("n-review").textContent = found.looks.length || "";
    if (!found.looks.length) return say(`Nothing needs a second look. ${agreementLine(found.together)}`, true);
    if (screen) feed.back(screen);
    const line = agreementLine(found.together);
    looks = found.looks.map((look) => screenOf(look, line));
    advance();
  } catch {
    say("The server does not answer.", true);
  }
}

function endReview(text) {
  looks = null;
  screen = null;
  advance();
  if (text) say(text, true);
}

function showExport() {
  const { status, bundle, report, accuracy, message } = state.export;
  $("export-go").disabled = status === "running";
  const parts = [];
  if (status === "running") parts.push(make("p", { class: "muted" }, "Fitting and measuring … You can go on labelling."));
  if (status === "failed") parts.push(make("p", { class: "fault" }, message));
  if (status === "done") {
    const share = (value) => Math.round(1000 * value) / 10;
    const measured = accuracy.value === null ? `Not measurable: ${accuracy.how}.` : `Accuracy on images like the labelled ones: ${share(accuracy.value)} % (${share(accuracy.low)} to ${share(accuracy.high)}).`;
    parts.push(make("p", {}, make("code", { class: "name" }, bundle)), make("p", {}, measured));
    const audited = state.progress.accuracy;
    if (audited.value !== null) parts.push(make("p", {}, `On the images of this folder, by ${audited.n} blind audits: ${share(audited.value)} % (${share(audited.low)} to ${share(audited.high)}).`));
    parts.push(make("p", {}, make("a", { href: "model", download: "" }, "Download"), make("span", { class: "muted name" }, ` Report: ${report}`)));
  }
  const text = parts.map((part) => part.textContent).join("");
  if ($("export-state").textContent !== text) $("export-state").replaceChildren(...parts);
}

async function post(where, said) {
  const response = await fetch(where, { method: "POST", body: JSON.stringify(said) }).catch(() => null);
  if (response?.ok) take(await response.json());
  return response?.ok ?? false;
}

// Keys.

const ACTIONS = {
  Enter: accept, c: chooseClass, x: () => mark("unsure"), n: () => mark("none_of_these"), f: flag, s: skip,
  Backspace: undo, g: switchMode, "/": find, r: review, m: () => openClasses(state.classes),
  p: () => $("plans").showModal(), e: () => $("export").showModal(), "?": () => $("keys").showModal(), " ": () => screen?.kind === "grid" && tools.toggle(),
};

function skip() {
  if (screen) advance();
}

function arrow(key) {
  if (screen?.kind === "grid") return tools.arrows[key]();
  if (key === "ArrowRight") skip();
  if (key === "ArrowLeft") undo();
}

function onKey(event) {
  if (document.querySelector("dialog[open]") || !state) return;
  const { target, key } = event;
  if (key === "Escape") {
    if (looks) endReview("");
    else if (screen?.kind !== "grid") $("stage").focus();
    return;
  }
  if (target.matches("input, select, textarea")) return;
  const isControl = target.matches("button, a, summary");
  if (isControl && (key === "Enter" || key === " " || key === "Tab")) return;
  const isUndo = (event.ctrlKey || event.metaKey) && key.toLowerCase() === "z";
  if (!isUndo && (event.ctrlKey || event.metaKey || event.altKey)) return;
  const place = classOfKey(event);
  if (isUndo) undo();
  else if (key === "Tab" && !event.shiftKey) switchMode();
  else if (place !== null) giveByPlace(place);
  else if (key.startsWith("Arrow") && !event.shiftKey && (screen?.kind === "grid" || key === "ArrowLeft" || key === "ArrowRight")) arrow(key);
  else if (Object.hasOwn(ACTIONS, key)) ACTIONS[key]();
  else return;
  event.preventDefault();
}

function giveByPlace(place) {
  const isLook = screen?.kind === "review";
  const name = isLook ? screen.look.choices[place]?.label : names()[place];
  if (name === undefined) return say(isLook ? "No such choice." : `There is no class ${place + 1}. c names a new one.`, true);
  give(name);
}

addEventListener("keydown", onKey);
addEventListener("beforeunload", (event) => !outbox.isEmpty && event.preventDefault());
$("undo").addEventListener("click", undo);
$("mode").addEventListener("click", switchMode);
for (const [id, key] of [["take", "Enter"], ["unsure", "x"], ["none", "n"], ["flag", "f"], ["skip", "s"]]) $(id).addEventListener("click", ACTIONS[key]);
$("open-review").addEventListener("click", review);
$("open-classes").addEventListener("click", ACTIONS.m);
$("open-plans").addEventListener("click", ACTIONS.p);
$("open-export").addEventListener("click", ACTIONS.e);
$("open-keys").addEventListener("click", ACTIONS["?"]);
$("plans-go").addEventListener("click", () => post("advice", {}));
$("export-go").addEventListener("click", () => post("export", {}));
$("find").addEventListener("close", () => $("find").returnValue === "go" && $("find-text").value.trim() && ask("search", { text: $("find-text").value.trim() }));
$("target").addEventListener("change", async () => {
  const number = Number($("target").value.replace(",", "."));
  const target = $("target").value.trim() ? number / 100 : null;
  if (!(await post("target", { target }))) say("The target is a share in percent, above 0 and at most 100.", true);
});
$("keys-list").append(
  make("tr", {}, make("th", {}, "Key"), make("th", {}, "One image"), make("th", {}, "Grid")),
  ...KEYS.map(([key, single, grid]) => make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, key)), make("td", {}, single), make("td", {}, grid))),
);
feed.tiles = tilesThatFit();
if (!outbox.isEmpty) outbox.send();
poll();
feed.fill();
