// What people have typed or chosen and not saved yet: it outlives another language, and Escape asks before it is lost.

import { h } from "./dom.js";
import { confirmDialog } from "./elements.js";
import { t } from "./i18n.js";

const FIELDS = "input, select, textarea";
const TICKED = ["checkbox", "radio"];
// What asks anew every time, or finds something, is not lost work.
const NO_WORK = 'input[type="search"], input[type="password"], input[autocomplete="one-time-code"], [role="combobox"]';

// What fields held when people came to them. Those that they have not been in are not in here, whatever scripts put into them.
const before = new WeakMap();
let submitted = null;

const valueOf = (field) => (TICKED.includes(field.type) ? field.checked : field.value);
const isUnsaved = (field) => before.has(field) && before.get(field) !== valueOf(field);
const isWork = (field) => !field.matches(NO_WORK) && (!TICKED.includes(field.type) || field.form !== null);

addEventListener("focusin", ({ target }) => target.matches?.(FIELDS) && !isUnsaved(target) && before.set(target, valueOf(target)), { capture: true });
addEventListener("submit", ({ target }) => (submitted = target), { capture: true });
addEventListener("done", () => {
  for (const field of submitted?.querySelectorAll(FIELDS) ?? []) before.delete(field);
});

/** Takes note of what is unsaved; the function that it returns puts it into the same fields, drawn anew. */
export function noteUnsaved(root) {
  const opened = [...root.querySelectorAll("details")].map((each) => each.open);
  const noted = [...numbered(root)].filter(([, field]) => isUnsaved(field)).map(([place, field]) => ({ place, value: valueOf(field), was: before.get(field) }));
  return function putBack() {
    if (!noted.length) return;
    [...root.querySelectorAll("details")].forEach((each, index) => (each.open ||= opened[index] ?? false));
    const fields = new Map(numbered(root));
    for (const { place, value, was } of noted) {
      const field = fields.get(place);
      if (!field || valueOf(field) === value) continue;
      if (TICKED.includes(field.type)) field.checked = value;
      else field.value = value;
      before.set(field, was);
      for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
    }
  };
}

/** To be called as a form is sent. The function that it returns empties the form, unless something else was typed meanwhile, and tells whether it did. */
export function emptying(form) {
  const fields = [...form.querySelectorAll(FIELDS)];
  const sent = fields.map(valueOf);
  return function empty() {
    const isAsSent = fields.every((field, index) => valueOf(field) === sent[index]);
    if (isAsSent) form.reset();
    return isAsSent;
  };
}

/** Each field with what it is found by after another drawing: what it is, and which one of these. Ids are new each time. */
function numbered(root) {
  const counts = new Map();
  return [...root.querySelectorAll(FIELDS)].map((field) => {
    const kind = `${field.localName} ${field.type}`;
    const number = counts.get(kind) ?? 0;
    counts.set(kind, number + 1);
    return [`${kind} ${number}`, field];
  });
}

/** From now on, whoever leaves a dialog with Escape, its cross, or a click beside it is asked first if something is typed in it. */
export function keepTypedInput() {
  addEventListener("cancel", (event) => askFirst(event, event.target, () => event.target.close()), { capture: true });
  addEventListener(
    "click",
    (event) => {
      const { target } = event;
      const closes = target.matches?.(".dialog-head .close-button, dialog:has(> .dialog-head)");
      if (closes) askFirst(event, target.closest("dialog"), () => target.click());
    },
    { capture: true },
  );
}

async function askFirst(event, dialog, leave) {
  const typed = [...dialog.querySelectorAll(FIELDS)].filter((field) => isWork(field) && isUnsaved(field));
  if (!typed.length) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (await confirmDialog({ title: t("unsaved.title"), content: h("p", {}, t("unsaved.text")), confirm: t("unsaved.discard") })) {
    for (const field of typed) before.delete(field);
    leave();
  } else {
    typed[0].focus();
  }
}
