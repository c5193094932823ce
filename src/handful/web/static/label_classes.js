// The classes: what there is, new ones, renaming and merging.

import { make } from "./cards.js";
import { keyOfClass } from "./label_keys.js";
import { count } from "./label_panel.js";

const $ = (id) => document.getElementById(id);

/** Wire the dialog; `changed(state)` is called after each change. */
export function classesDialog(changed) {
  async function change(said) {
    let body;
    try {
      const response = await fetch("classes", { method: "POST", body: JSON.stringify(said) });
      body = await response.json();
      if (response.ok) {
        $("classes-fault").hidden = true;
        changed(body);
        return draw(body.classes);
      }
    } catch { /* told below */ }
    $("classes-fault").hidden = false;
    $("classes-fault").textContent = body?.error?.message ?? "The server does not answer. Try again.";
  }

  $("classes-add").addEventListener("submit", (event) => {
    event.preventDefault();
    change({ do: "add", name: $("classes-name").value, into: "" });
    $("classes-name").value = "";
  });

  function row(classes, [name, n], place) {
    const input = make("input", { value: name, maxlength: "500", "aria-label": `Name of ${name}`, class: "name" });
    input.addEventListener("change", () => input.value !== name && change({ do: "rename", name, into: input.value }));
    const into = make("select", { "aria-label": `Merge ${name} into` }, make("option", { value: "" }, "Merge into …"));
    into.append(...classes.filter(([other]) => other !== name).map(([other]) => make("option", { value: other }, other)));
    into.addEventListener("change", () => into.value && change({ do: "merge", name, into: into.value }));
    const cells = [make("kbd", {}, keyOfClass(place)), input, count(n), into].map((cell) => make("td", {}, cell));
    return make("tr", {}, ...cells);
  }

  function draw(classes) {
    $("classes-list").replaceChildren(...classes.map((each, place) => row(classes, each, place)));
  }

  return (classes) => {
    draw(classes);
    $("classes-fault").hidden = true;
    $("classes").showModal();
  };
}
