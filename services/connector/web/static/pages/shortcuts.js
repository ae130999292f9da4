// The keys of the inbox. Single letters count only outside of fields, and whoever dictates or has them for something else can switch them off.

import { announce, problemTexts } from "../core/elements.js";
import { loadLater } from "../core/router.js";

const STORAGE_KEY = "replyco.single_keys";
const FIELDS = "textarea, select, [contenteditable], [role=menu], input:not([type=checkbox], [type=radio])";

// What may be done again and again while a key is held down; a held E would close one conversation after another.
const WALKING = ["j", "k"];

export const areSingleKeysOn = () => localStorage.getItem(STORAGE_KEY) !== "off";

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

export function switchSingleKeys(isOn) {
  localStorage.setItem(STORAGE_KEY, isOn ? "on" : "off");
}

/** All keys in tables, and the switch for those without Ctrl. */
export async function showShortcuts() {
  try {
    const { showTables } = await loadLater(() => import("./shortcuts_dialog.js"));
    await showTables();
  } catch (problem) {
    announce(problemTexts(problem).title);
  }
}
