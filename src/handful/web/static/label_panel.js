// The progress panel: labels done, accuracy with its interval over labels, pace, model, forecast.

const $ = (id) => document.getElementById(id);
const WIDTH = 280, HEIGHT = 132, LEFT = 34, BOTTOM = 18, TOP = 6;

export function showPanel(state) {
  const { progress } = state;
  $("n-labelled").textContent = count(state.labelled);
  $("of").textContent = `of ${count(state.images)} labelled`;
  $("share").style.setProperty("--share", state.images ? state.labelled / state.images : 0);
  $("stage-note").textContent = stageNote(state);
  showAccuracy(progress);
  $("pace").textContent = state.pace === null ? "–" : `${state.pace < 10 ? state.pace.toFixed(1) : Math.round(state.pace)} labels a minute`;
  $("model").textContent = state.model ? `${state.model_source || `v${state.model}`}, ${count(state.model_labels)} labels, ${age(state.model_age)} ago` : "needs two classes";
  $("gain-name").textContent = `Next ${progress.more} labels`;
  $("gain").textContent = inPoints(progress.gain);
  $("acceptance").textContent = inPoints(progress.acceptance);
  if (document.activeElement !== $("target")) $("target").value = progress.target === null ? "" : trim(100 * progress.target);
  $("stop").hidden = !progress.stop;
  if ($("stop").textContent !== (progress.stop ?? "")) $("stop").textContent = progress.stop ?? "";
}

function stageNote({ stage, message, embedded, images }) {
  if (stage === "scan") return "Reading the folder …";
  if (stage === "embed") return `Looking at the images: ${count(embedded)} of ${count(images)}. You can label meanwhile.`;
  return message;
}

function showAccuracy({ accuracy, points: drawn, target }) {
  const { value, low, high, n, how } = accuracy;
  $("accuracy").textContent = value === null ? "–" : `${trim(100 * value)} %`;
  $("interval").textContent = value === null ? "" : `${trim(100 * low)} to ${trim(100 * high)} %`;
  $("accuracy-how").textContent = value === null ? `Not known yet: ${how}.` : `On the images of this folder, 95 % sure, by ${n} blind audits.`;
  $("plot").replaceChildren(...(drawn.length ? [plot(drawn, target)] : []));
}

/** Draw accuracy over labels with its intervals. */
function plot(drawn, target) {
  const most = drawn.at(-1)[0];
  const least = Math.max(0, Math.floor(10 * Math.min(...drawn.map(([, , low]) => low))) / 10);
  const x = (labels) => LEFT + ((WIDTH - LEFT - 8) * labels) / Math.max(most, 1);
  const y = (share) => TOP + ((HEIGHT - TOP - BOTTOM) * (1 - share)) / (1 - least || 1);
  const words = `Accuracy over labels: ${drawn.map(([labels, value]) => `${Math.round(100 * value)} % at ${labels}`).join(", ")}.`;
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words });
  for (const share of [least, (1 + least) / 2, 1]) {
    svg.append(shape("line", { class: "grid-line", x1: LEFT, x2: WIDTH - 4, y1: y(share), y2: y(share) }));
    svg.append(shape("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${Math.round(100 * share)}`));
  }
  const up = drawn.map(([labels, , , high]) => `${x(labels)},${y(high)}`);
  const down = drawn.map(([labels, , low]) => `${x(labels)},${y(low)}`).reverse();
  svg.append(shape("polygon", { class: "band", points: [...up, ...down].join(" ") }));
  svg.append(shape("polyline", { class: "curve", points: drawn.map(([labels, value]) => `${x(labels)},${y(value)}`).join(" ") }));
  for (const [labels, value, low, high] of drawn) {
    svg.append(shape("line", { class: "whisker", x1: x(labels), x2: x(labels), y1: y(low), y2: y(high) }));
    svg.append(shape("circle", { class: "dot", cx: x(labels), cy: y(value), r: 2.5 }));
  }
  if (target !== null && target >= least) svg.append(shape("line", { class: "target", x1: LEFT, x2: WIDTH - 4, y1: y(target), y2: y(target) }));
  svg.append(shape("text", { x: x(most), y: HEIGHT - 4, "text-anchor": "end" }, `${count(most)} labels`));
  svg.append(shape("text", { x: LEFT, y: HEIGHT - 4 }, "0"));
  return svg;
}

function shape(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

export function count(n) {
  return n.toLocaleString("en");
}

function age(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

function inPoints({ value, low, high }) {
  return value === null ? "–" : `${points(value)} points (${points(low)} to ${points(high)})`;
}

function points(share) {
  return `${share > 0 ? "+" : ""}${trim(100 * share)}`;
}

function trim(number) {
  return String(Math.round(10 * number) / 10);
}
