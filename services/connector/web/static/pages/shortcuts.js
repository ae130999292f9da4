// The keys of the inbox. Single letters count only outside of fields, and whoever dictates or has them for something else can switch them off.

import { h, newId } from "../core/dom.js";
import { announce, showMessage } from "../core/elements.js";
import { t } from "../core/i18n.js";

const STORAGE_KEY = "replyco.single_keys";
const SHOWN = {
  list: [
    [["J"], "next"],
    [["K"], "previous"],
    [["O"], "open"],
    [["X"], "select"],
    [["/"], "search"],
  ],
  conversation: [
    [["R"], "reply"],
    [["N"], "note"],
    [["Ctrl", "Enter"], "send"],
    [["Ctrl", "Shift", "Enter"], "send_and_close"],
    [["E"], "close"],
    [["U"], "unread"],
    [["A"], "assign"],
    [["T"], "tag"],
    [["S"], "snooze"],
    [["Esc"], "leave"],
  ],
  all: [
    [["Z"], "undo"],
    [["Ctrl", "K"], "palette"],
    [["?"], "help"],
  ],
};
const FIELDS = "textarea, select, [contenteditable], [role=menu], input:not([type=checkbox], [type=radio])";

// What may be done again and again while a key is held down; a held E would close one conversation after another.
const WALKING = ["j", "k"];

const areSingleKeysOn = () => localStorage.getItem(STORAGE_KEY) !== "off";

/** Listens until the signal is aborted. `bind(keys, until)` gives work to keys, such as `{ r: reply }`, until that signal is. */
export function keyboard({ signal, palette }) {
  const bound = new Map([["?", showShortcuts]]);

  function onKey(event) {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const work = isPalette(event) ? palette.open : isSingle(event) ? bound.get(event.key.toLowerCase()) : null;
    if (!work || (event.repeat && !WALKING.includes(event.key.toLowerCase()))) return;
    event.preventDefault();
    work();
  }

  function bind(keys, until) {
    for (const [key, work] of Object.entries(keys)) bound.set(key, work);
    until.addEventListener("abort", () => {
      for (const [key, work] of Object.entries(keys)) if (bound.get(key) === work) bound.delete(key);
    });
  }

  document.addEventListener("keydown", onKey, { signal });
  return { bind };
}

const isPalette = (event) => event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;

function isSingle(event) {
  return !event.target.closest?.(FIELDS) && !event.ctrlKey && !event.metaKey && !event.altKey && areSingleKeysOn();
}

/** All keys in tables, and the switch for those without Ctrl. */
export function showShortcuts() {
  const id = newId("keys");
  const box = h("input", { type: "checkbox", id, checked: areSingleKeysOn() });
  box.addEventListener("change", () => {
    localStorage.setItem(STORAGE_KEY, box.checked ? "on" : "off");
    announce(t(box.checked ? "shortcuts.single.on" : "shortcuts.single.off"));
  });
  const tables = Object.entries(SHOWN).map(([group, rows]) => h("table", { class: "shortcuts" }, h("caption", {}, t(`shortcuts.group.${group}`)), h("tbody", {}, rows.map(keyRow))));
  return showMessage({
    title: t("shortcuts.title"),
    content: [h("div", { class: "tick" }, box, h("label", { for: id }, t("shortcuts.single"))), tables],
  });
}

function keyRow([keys, name]) {
  return h("tr", {}, h("th", { scope: "row" }, keys.map((key) => h("kbd", {}, key.length > 1 ? t(`key.${key.toLowerCase()}`) : key))), h("td", {}, t(`shortcuts.${name}`)));
}
