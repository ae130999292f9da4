// A button with a menu of commands (WAI-ARIA's pattern of menu buttons): arrow keys walk, a letter jumps, Escape and Tab close.

import { h, newId } from "./dom.js";
import { busy } from "./elements.js";

/** `commands`: each with its `name`, its `label` and its `work`, which runs when the menu is closed and the button has the focus again. */
export function menuButton(label, commands, attributes = {}) {
  const id = newId("menu");
  const button = h("button", { type: "button", class: "button button-secondary button-small", "aria-haspopup": "menu", "aria-expanded": "false", "aria-controls": id, "aria-label": label, title: label, ...attributes }, "…");
  const entries = commands.map(({ name, label: words, work }) => h("button", { type: "button", role: "menuitem", tabindex: "-1", class: "menu-entry", "data-command": name, onclick: () => choose(work) }, words));
  const menu = h("div", { id, class: "menu", role: "menu", "aria-label": label, hidden: true }, entries);
  const element = h("div", { class: "menu-place" }, button, menu);

  function open(entry) {
    menu.hidden = false;
    button.setAttribute("aria-expanded", "true");
    entry.focus();
  }

  function close() {
    if (menu.hidden) return;
    menu.hidden = true;
    button.setAttribute("aria-expanded", "false");
    // Once the key or the click that closed it has done all it does.
    setTimeout(() => menu.dispatchEvent(new Event("closed")));
  }

  async function choose(work) {
    close();
    button.focus();
    await busy(button, work);
  }

  button.addEventListener("click", () => (menu.hidden ? open(entries[0]) : close()));
  button.addEventListener("keydown", (event) => {
    const entry = { ArrowDown: entries[0], ArrowUp: entries.at(-1) }[event.key];
    if (!entry) return;
    event.preventDefault();
    open(entry);
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Tab") return close();
    if (event.key === "Escape") {
      // It leaves the menu, not the conversation.
      event.stopPropagation();
      close();
      return button.focus();
    }
    const here = entries.indexOf(document.activeElement);
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: entries.length - 1 }[event.key];
    const entry = to === undefined ? startingWith(event.key, here) : entries.at(to % entries.length);
    if (!entry) return null;
    event.preventDefault();
    event.stopPropagation();
    return entry.focus();
  });
  element.addEventListener("focusout", (event) => !element.contains(event.relatedTarget) && close());

  /** The next entry that begins with the letter that was typed. */
  function startingWith(key, here) {
    if (key.length !== 1) return null;
    const later = [...entries.slice(here + 1), ...entries.slice(0, here + 1)];
    return later.find((entry) => entry.textContent.toLowerCase().startsWith(key.toLowerCase()));
  }

  return element;
}

/** Does this work now or, while a menu within `element` is open, when it is closed: drawn anew, it would be gone from under somebody's hand. */
export function whenMenuIsClosed(element, signal, work) {
  const menu = element.querySelector("[role=menu]:not([hidden])");
  if (menu) menu.addEventListener("closed", work, { once: true, signal });
  else work();
}
