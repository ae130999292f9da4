// The keys of a conversation. Single letters count only outside of fields, and whoever dictates or has them for something else can switch them off.

import { h, newId } from "../core/dom.js";
import { announce, showMessage } from "../core/elements.js";
import { t } from "../core/i18n.js";

const STORAGE_KEY = "replyco.single_keys";
const SHOWN = [
  [["R"], "shortcuts.reply"],
  [["N"], "shortcuts.note"],
  [["Ctrl", "Enter"], "shortcuts.send"],
  [["Ctrl", "Shift", "Enter"], "shortcuts.send_and_close"],
  [["Ctrl", "K"], "shortcuts.palette"],
  [["Esc"], "shortcuts.leave"],
  [["?"], "shortcuts.help"],
];

const areSingleKeysOn = () => localStorage.getItem(STORAGE_KEY) !== "off";

/** Listens until the signal is aborted. */
export function shortcuts({ signal, palette, box }) {
  const single = { r: () => box.open("reply"), n: () => box.open("note"), "?": showShortcuts };

  function onKey(event) {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const work = isPalette(event) ? palette.open : isSingle(event) ? single[event.key] : null;
    if (!work) return;
    event.preventDefault();
    work();
  }

  document.addEventListener("keydown", onKey, { signal });
}

const isPalette = (event) => event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;

function isSingle(event) {
  const isInField = event.target.closest?.("input, textarea, select, [contenteditable]");
  return !isInField && !event.ctrlKey && !event.metaKey && !event.altKey && areSingleKeysOn();
}

/** All keys in a table, and the switch for those without Ctrl. */
export function showShortcuts() {
  const id = newId("keys");
  const box = h("input", { type: "checkbox", id, checked: areSingleKeysOn() });
  box.addEventListener("change", () => {
    localStorage.setItem(STORAGE_KEY, box.checked ? "on" : "off");
    announce(t(box.checked ? "shortcuts.single.on" : "shortcuts.single.off"));
  });
  const rows = SHOWN.map(([keys, text]) => h("tr", {}, h("th", { scope: "row" }, keys.map((key) => h("kbd", {}, t(`key.${key === "?" ? "question" : key.toLowerCase()}`)))), h("td", {}, t(text))));
  return showMessage({
    title: t("shortcuts.title"),
    content: [h("table", { class: "shortcuts" }, h("tbody", {}, rows)), h("div", { class: "tick" }, box, h("label", { for: id }, t("shortcuts.single")))],
  });
}
