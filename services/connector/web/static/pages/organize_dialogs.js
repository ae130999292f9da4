// The dialogs of the inbox: whose a conversation is, its tags, until when it is put off, a view's name, what is muted, and whether new mail is told.

import { get, patch, post, put, remove } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { announce, confirmDialog, fieldError, field, problemTexts, showMessage } from "../core/elements.js";
import { dateIn, dayAndTime, momentOf, wallClockOf, zoneName } from "../core/format.js";
import { t } from "../core/i18n.js";
import { userId } from "../core/session.js";
import { assignees, forgetChoices, tags } from "./inbox_choices.js";
import { isWished, wish } from "./new_mail.js";

const DAY_MS = 86400000;
const MORNING = "T08:00";
// The clock of the browser may be a little wrong.
const SOONEST_MS = 60000;

/** Whom conversations are given to: `{ id, name }`, with an id of null for nobody; or null. */
export async function chooseAssignee(signal) {
  const people = await assignees(signal);
  const name = newId("assignee");
  const choices = [
    ...people.filter(({ id }) => id === userId()).map((each) => ({ ...each, label: t("organize.assign.me", { name: each.name }) })),
    { id: null, name: "", label: t("inbox.assignee.nobody") },
    ...people.filter(({ id }) => id !== userId()).map((each) => ({ ...each, label: each.name })),
  ];
  const boxes = choices.map((each, index) => h("input", { type: "radio", name, id: newId("choice"), checked: index === 0, value: index }));
  const rows = h("div", { class: "choices", role: "radiogroup", "aria-label": t("organize.assign.title") }, choices.map((each, index) => h("div", { class: "choice" }, boxes[index], h("label", { for: boxes[index].id }, h("bdi", {}, each.label)))));
  const isChosen = await askAt(boxes[0], { title: t("organize.assign.title"), content: rows, confirm: t("organize.assign.confirm") });
  return isChosen ? choices[boxes.findIndex((box) => box.checked)] : null;
}

/** Which tags are added to conversations and which taken from them, as the API takes it; or null. What some of them have is left as it is until somebody ticks it. */
export async function chooseTags(conversations, signal) {
  forgetChoices();
  const known = [...(await tags(signal))];
  const rows = h("div", { class: "choices", role: "group", "aria-label": t("organize.tags.title") });
  const before = new Map();
  const boxes = new Map();
  const added = field(t("organize.tags.new"), { maxlength: 60, autocomplete: "off" }, t("organize.tags.new.hint"));
  const addButton = h("button", { type: "button", class: "button button-secondary button-small", onclick: add }, t("organize.tags.add"));
  added.input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !added.input.value.trim()) return;
    event.preventDefault();
    add();
  });

  function addRow(tag, isNew = false) {
    const having = conversations.filter(({ tag_ids: ids }) => ids.includes(tag.id)).length;
    const box = h("input", { type: "checkbox", id: newId("choice"), checked: isNew || having === conversations.length });
    box.indeterminate = !isNew && having > 0 && having < conversations.length;
    before.set(tag.id, box.indeterminate ? null : having > 0);
    boxes.set(tag.id, box);
    rows.append(h("div", { class: "choice" }, box, h("label", { for: box.id }, h("bdi", {}, tag.name))));
  }

  async function add() {
    const name = added.input.value.trim();
    const same = known.find((tag) => tag.name.toLowerCase() === name.toLowerCase());
    added.setError(null);
    if (same) {
      boxes.get(same.id).checked = true;
    } else {
      try {
        const tag = await post("/tags", { name }, signal);
        forgetChoices();
        known.push(tag);
        addRow(tag, true);
      } catch (problem) {
        return added.setError(fieldError(problem, "name"));
      }
    }
    added.input.value = "";
    announce(t("organize.tags.ticked", { name }));
    return added.input.focus();
  }

  for (const tag of known) addRow(tag);
  const isChosen = await askAt(known.length ? [...boxes.values()][0] : added.input, { title: t("organize.tags.title"), content: [rows, added.element, addButton], confirm: t("organize.tags.confirm") });
  if (!isChosen) return null;
  const changed = [...boxes].filter(([id, box]) => !box.indeterminate && box.checked !== before.get(id));
  if (!changed.length) return null;
  return { add_tag_ids: changed.filter(([, box]) => box.checked).map(([id]) => id), remove_tag_ids: changed.filter(([, box]) => !box.checked).map(([id]) => id) };
}

/** The moment at which conversations come back, as the API takes it, or null. */
export async function chooseSnooze() {
  const id = newId("snooze");
  const day = (days) => dateIn(days) + MORNING;
  const isoDay = new Date(`${wallClockOf(new Date()).slice(0, 10)}T00:00Z`).getUTCDay() || 7;
  const moments = [
    ["hours", new Date(Date.now() + DAY_MS / 8)],
    ["tomorrow", momentOf(day(1))],
    // On a Sunday, that is tomorrow.
    ...(isoDay < 7 ? [["monday", momentOf(day(8 - isoDay))]] : []),
  ];
  const own = h("input", { type: "radio", name: id, id: `${id}-own`, value: "own" });
  const input = h("input", { type: "datetime-local", class: "input", id: `${id}-at`, value: day(2), min: wallClockOf(new Date()), "aria-label": t("organize.snooze.when"), "aria-describedby": `${id}-zone ${id}-error` });
  const zone = h("p", { class: "hint", id: `${id}-zone` }, t("send_later.zone", { zone: zoneName(new Date()) }));
  const wrong = h("p", { class: "field-error", id: `${id}-error`, role: "alert" });
  input.addEventListener("input", () => (own.checked = true));
  const radios = moments.map(([name, moment], index) => h("input", { type: "radio", name: id, id: `${id}-${name}`, checked: index === 1, value: moment.toISOString() }));
  const rows = h(
    "div",
    { class: "choices", role: "radiogroup", "aria-label": t("organize.snooze.title") },
    moments.map(([name, moment], index) => h("div", { class: "choice" }, radios[index], h("label", { for: `${id}-${name}` }, t(`organize.snooze.${name}`), h("span", { class: "muted" }, dayAndTime(moment))))),
    h("div", { class: "choice" }, own, h("label", { for: `${id}-own` }, t("organize.snooze.own"))),
  );
  const chosen = () => (own.checked ? input.value && momentOf(input.value).toISOString() : radios.find((radio) => radio.checked).value);
  const check = () => {
    const isRight = chosen() && new Date(chosen()) > new Date(Date.now() + SOONEST_MS);
    wrong.textContent = isRight ? "" : t("send_later.past");
    if (!isRight) input.focus();
    return Boolean(isRight);
  };
  const text = h("p", { class: "muted" }, t("organize.snooze.text"));
  const isChosen = await askAt(radios[1], { title: t("organize.snooze.title"), content: [text, rows, input, zone, wrong], confirm: t("organize.snooze.confirm"), check });
  return isChosen ? chosen() : null;
}

/** Stores the filters that are shown under a name; resolves to the view, or to null. */
export function saveView(filters, signal) {
  return askName(t("views.save.title"), "", (name) => post("/saved-views", { name, filters }, signal), h("p", { class: "muted" }, t("views.save.text")));
}

export function renameView(view, signal) {
  return askName(t("views.rename.title"), view.name, (name) => patch(`/saved-views/${view.id}`, { name }, signal));
}

export async function deleteView(view, signal) {
  const isConfirmed = await confirmDialog({ title: t("views.delete.title", { name: view.name }), content: h("p", {}, t("views.delete.text")), confirm: t("views.delete.confirm") });
  if (isConfirmed) await remove(`/saved-views/${view.id}`, signal);
  return isConfirmed;
}

/** What of Amazon's notices arrives closed and read; a tick counts at once. */
export async function mutedKinds(signal) {
  const answer = await get("/muted-kinds", signal);
  const said = h("p", { class: "field-error", role: "alert" });
  const rows = answer.mutable.map((kind) => {
    const box = h("input", { type: "checkbox", id: newId("choice"), checked: answer.muted.includes(kind) });
    box.addEventListener("change", async () => {
      replace(said);
      try {
        await (box.checked ? put(`/muted-kinds/${kind}`, undefined, signal) : remove(`/muted-kinds/${kind}`, signal));
        announce(t(box.checked ? "mute.on" : "mute.off", { kind: t(`kind.${kind}`) }));
      } catch (problem) {
        box.checked = !box.checked;
        replace(said, problemTexts(problem).title);
      }
    });
    return h("div", { class: "choice" }, box, h("label", { for: box.id }, t(`kind.${kind}`)));
  });
  return showMessage({ title: t("mute.title"), content: [h("p", { class: "muted" }, t("mute.text")), h("div", { class: "choices", role: "group", "aria-label": t("mute.title") }, rows), said] });
}

/** The switch of what tells of new mail, with what the browser says to it. */
export function askToTell() {
  const id = newId("tell");
  const said = h("p", { class: "field-error", role: "alert" });
  const box = h("input", { type: "checkbox", id, checked: isWished() });
  box.addEventListener("change", async () => {
    said.textContent = "";
    if (box.checked && (await globalThis.Notification?.requestPermission()) !== "granted") {
      box.checked = false;
      said.textContent = t("new_mail.refused");
    }
    wish(box.checked);
  });
  return showMessage({ title: t("new_mail.title"), content: [h("div", { class: "tick" }, box, h("label", { for: id }, t("new_mail.tell"))), h("p", { class: "muted" }, t("new_mail.text")), said] });
}

/** Mutes the kind of one notice, after it was said what that means; whether it was done. */
export async function muteKind(kind, signal) {
  const isConfirmed = await confirmDialog({ title: t("mute.one.title", { kind: t(`kind.${kind}`) }), content: h("p", {}, t("mute.text")), confirm: t("mute.one.confirm"), isDangerous: false });
  if (isConfirmed) await put(`/muted-kinds/${kind}`, undefined, signal);
  return isConfirmed;
}

/** A dialog whose focus begins in its first field, in which Enter confirms. */
function askAt(first, options) {
  const asked = confirmDialog({ ...options, isDangerous: false });
  first.focus();
  const dialog = first.closest("dialog");
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.defaultPrevented || event.target.matches("button")) return;
    event.preventDefault();
    dialog.querySelector(".buttons-end .button:last-child").click();
  });
  return asked;
}

async function askName(title, name, save, ...content) {
  const named = field(t("views.name"), { maxlength: 60, autocomplete: "off", value: name });
  let isSaving = false;
  let saved = null;
  const check = () => {
    if (saved) return true;
    if (!isSaving) trySave();
    return false;
  };
  async function trySave() {
    isSaving = true;
    named.setError(null);
    try {
      saved = await save(named.input.value.trim());
      named.input.closest("dialog").querySelector(".buttons-end .button:last-child").click();
    } catch (problem) {
      named.setError(named.input.value.trim() ? fieldError(problem, "name") : t("views.name.missing"));
      named.input.focus();
    }
    isSaving = false;
  }
  const isSaved = await askAt(named.input, { title, content: [...content, named.element], confirm: t("views.save.confirm"), check });
  return isSaved ? saved : null;
}
