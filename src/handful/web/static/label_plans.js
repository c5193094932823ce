// The plans: what would help most from here, each with the accuracy to expect and what it costs.

import { make } from "./cards.js";

const $ = (id) => document.getElementById(id);
let shown = "";

export function showPlans(advice) {
  $("plans-go").disabled = advice.status === "running";
  const said = JSON.stringify(advice);
  if (said === shown) return;
  shown = said;
  $("plans-state").replaceChildren(...parts(advice));
}

function parts({ status, message, sentence, seen, plans, ruled_out: ruledOut }) {
  if (status === "running") return [make("p", { class: "muted" }, "Trying and ranking … You can go on labelling.")];
  if (status === "failed") return [make("p", { class: "fault" }, message)];
  if (status !== "done") return [];
  const out = ruledOut.map(({ title, why }) => make("div", {}, make("dt", {}, title), make("dd", { class: "small muted" }, why)));
  return [
    make("p", {}, make("strong", {}, sentence)),
    make("ol", { class: "plans" }, ...plans.map(plan)),
    ...(out.length ? [make("details", {}, make("summary", {}, "Ruled out here"), make("dl", { class: "facts" }, ...out))] : []),
    make("p", { class: "small muted" }, `Seen: ${seen.join(". ")}.`),
  ];
}

function plan({ title, expected, cost, command, evidence }) {
  return make(
    "li", {},
    make("strong", {}, title), ` ${expected}, ${cost}`,
    make("code", { class: "name" }, command),
    ...(evidence ? [make("details", { class: "small muted" }, make("summary", {}, "Evidence"), evidence)] : []),
  );
}
