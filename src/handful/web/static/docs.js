// Renders openapi.json for people; everything it shows comes from that file.

import { make } from "./cards.js";

const base = new URL("./", location.href).href.replace(/\/$/, "");
const view = document.getElementById("document");

const EXAMPLES = {
  "/predict": [
    ["One image", `curl --data-binary @image.jpg ${base}/predict`],
    ["Many images", `curl -F files=@first.jpg -F files=@second.jpg ${base}/predict`],
    [
      "Python",
      "import json, urllib.request\n\n" +
        'image = open("image.jpg", "rb").read()\n' +
        `request = urllib.request.Request("${base}/predict", image)\n` +
        "with urllib.request.urlopen(request) as answer:\n" +
        '    print(json.load(answer)["predictions"][0])',
    ],
  ],
  "/metrics": [["Prometheus", `curl ${base}/metrics`]],
  "/model": [["Facts", `curl ${base}/model`]],
  "/health": [["Probe", `curl --fail ${base}/health`]],
};

function panel(path, method, operation) {
  const head = make("h3", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), path);
  const parts = [head, make("p", {}, operation.summary)];
  if (operation.description) parts.push(make("p", { class: "muted" }, operation.description));
  if (operation.requestBody) parts.push(...table("Body", Object.keys(operation.requestBody.content).map((type) => [type])));
  parts.push(...table("Answers", Object.entries(operation.responses).map(([status, { description }]) => [status, description])));
  for (const [title, code] of EXAMPLES[path] ?? []) {
    parts.push(make("h4", {}, title), make("pre", { tabindex: "0", "aria-label": title }, make("code", {}, code)));
  }
  return make("section", { class: "panel" }, ...parts);
}

function table(title, rows) {
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((cell) => make("td", {}, cell))),
  );
  return [make("h4", {}, title), make("table", {}, make("tbody", {}, ...body))];
}

function kindOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return `one of: ${schema.enum.slice(0, 30).join(", ")}${schema.enum.length > 30 ? ", …" : ""}`;
  if (schema.type === "array") return `list of ${kindOf(schema.items)}`;
  if (schema.additionalProperties) return `object of ${kindOf(schema.additionalProperties)} by name`;
  const range = schema.minimum === undefined ? "" : ` from ${schema.minimum} to ${schema.maximum}`;
  return [schema.type ?? "anything"].flat().join(" or ") + range;
}

function schemaPanel([name, schema]) {
  const rows = Object.entries(schema.properties).map(([key, property]) => {
    const heading = make("th", { scope: "row" }, key);
    if (schema.required?.includes(key)) heading.append(" ", make("span", { class: "required" }, "always"));
    return make("tr", {}, heading, make("td", { class: "kind" }, kindOf(property)), make("td", {}, property.description ?? ""));
  });
  return make("section", { class: "panel" }, make("h3", {}, name), make("table", {}, make("tbody", {}, ...rows)));
}

function security(document) {
  if (!document.security?.length) return [];
  const text = "Every call but /health needs the token, as the header “Authorization: Bearer TOKEN” or as ?token=TOKEN.";
  return [make("section", { class: "panel" }, make("h3", {}, "Token"), make("p", {}, text))];
}

function render(document) {
  const { info, paths, components } = document;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => panel(path, method, operation)),
  );
  view.replaceChildren(
    make("header", {}, make("h1", {}, info.title), make("p", {}, info.description)),
    ...security(document),
    ...operations,
    make("h2", {}, "What is answered"),
    ...Object.entries(components.schemas).map(schemaPanel),
  );
}

try {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`the server said ${response.status}`);
  render(await response.json());
} catch (error) {
  view.replaceChildren(make("p", { class: "note", role: "alert" }, `The description could not be loaded: ${error.message}.`));
}
view.removeAttribute("aria-busy");
