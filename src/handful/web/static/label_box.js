// The class box: type to filter, or name a class that is not there yet.

import { make } from "./cards.js";
import { keyOfClass } from "./label_keys.js";

const SHOWN = 60; // rows at once; typing finds the others

/** Let the person choose among `classes`; resolve to a name, or null. */
export function openBox(title, classes) {
  const box = document.getElementById("box");
  const input = document.getElementById("box-text");
  const list = document.getElementById("box-list");
  document.getElementById("box-title").textContent = title;
  let rows = [];
  let active = 0;
  let settle; // called at once, not with the event of the closing, which the next key may overtake

  function refresh() {
    const text = input.value.trim().normalize("NFC");
    const wanted = text.toLowerCase();
    const found = classes.filter((name) => name.toLowerCase().includes(wanted));
    found.sort((a, b) => Number(b.toLowerCase().startsWith(wanted)) - Number(a.toLowerCase().startsWith(wanted)));
    rows = found.slice(0, SHOWN).map((name) => ({ name, text: name, key: keyOfClass(classes.indexOf(name)) }));
    active = Math.max(0, rows.findIndex((row) => row.name === text));
    if (text && !classes.includes(text)) rows.push({ name: text, text: `New class “${text}”`, key: "" });
    list.replaceChildren(
      ...rows.map((row, place) => {
        const element = make("li", { role: "option", id: `box-${place}` }, make("span", { class: "name" }, row.text), make("kbd", {}, row.key));
        element.addEventListener("click", () => take(place));
        return element;
      }),
    );
    if (found.length > SHOWN) list.append(make("li", { class: "muted", role: "presentation" }, `and ${found.length - SHOWN} more: type some letters`));
    point();
  }

  function point() {
    [...list.children].forEach((element, place) => element.setAttribute("aria-selected", String(place === active)));
    if (!rows.length) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", `box-${active}`);
    list.children[active].scrollIntoView({ block: "nearest" });
  }

  function take(place) {
    if (!rows[place]) return;
    box.close();
    settle(rows[place].name);
  }

  function key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && rows.length) {
      active = (active + step + rows.length) % rows.length;
      point();
    } else if (event.key === "Enter" && !event.isComposing) {
      take(active);
    } else return;
    event.preventDefault();
  }

  return new Promise((resolve) => {
    settle = resolve;
    input.value = "";
    input.oninput = refresh;
    input.onkeydown = key;
    box.onclose = () => box.open || resolve(null); // open: the event is of the box before this one
    refresh();
    box.showModal();
    input.focus();
  });
}
