// What agents do with one conversation or many: close, reopen, assign, tag, put off, mark. Each is done at once and can be undone.

import { post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, announce, busy, problemTexts } from "../core/elements.js";
import { dayAndTime } from "../core/format.js";
import { count, t } from "../core/i18n.js";
import { loadLater } from "../core/router.js";

// As many as the API takes at once, and as long as it can be asked to undo.
const MOST_AT_ONCE = 200;
const UNDO_MS = 10 * 60_000;

/**
 * `onChanged(ids, change)` is called when conversations were changed, `onUndone(ids, change)` when they are as before. `element` tells what was
 * done, with a button that undoes it. Each of the others resolves to false if somebody has cancelled, and throws what went wrong.
 */
export function organizer({ signal, onChanged, onUndone }) {
  const element = h("div", { class: "undo-bar", role: "group", "aria-label": t("organize.done"), hidden: true });
  let undoable = null;
  let timer = null;
  signal.addEventListener("abort", () => clearTimeout(timer));

  async function change(ids, wanted, said) {
    const done = { changeIds: [], changed: [], refused: 0 };
    for (let from = 0; from < ids.length; from += MOST_AT_ONCE) {
      const answer = await post("/conversations/changes", { conversation_ids: ids.slice(from, from + MOST_AT_ONCE), change: wanted }, signal);
      if (answer.id) done.changeIds.push(answer.id);
      done.changed.push(...answer.changed);
      done.refused += answer.refused.length;
    }
    const { length } = done.changed;
    const words = [length > 0 && count(`organize.${said.name}`, length, said), done.refused > 0 && count("organize.refused", done.refused)].filter(Boolean).join(" ") || t("organize.unchanged");
    // A key that was pressed twice does not take the way back from what the first time has done.
    if (canUndo() && !length && !done.refused) announce(words);
    else tell(words, done.changeIds, wanted);
    await onChanged(ids, wanted);
    return true;
  }

  function tell(words, changeIds, wanted) {
    undoable = changeIds.length ? { changeIds, wanted } : null;
    const button = actionButton(t("organize.undo"), undo, { class: "button button-secondary button-small", "aria-keyshortcuts": "z" });
    const close = h("button", { type: "button", class: "close-button", "aria-label": t("common.close"), onclick: hide }, "×");
    replace(element, h("p", {}, words), undoable && button, close);
    element.hidden = false;
    announce(words);
    clearTimeout(timer);
    timer = setTimeout(hide, UNDO_MS);
  }

  const canUndo = () => undoable !== null;

  function hide() {
    undoable = null;
    element.hidden = true;
  }

  /** Undoes what was done last; what somebody else has changed since stays as it is. */
  async function undo() {
    if (!undoable) return;
    const { changeIds, wanted } = undoable;
    undoable = null;
    try {
      const answers = [];
      for (const id of changeIds) answers.push(await post(`/conversations/changes/${id}/undo`, undefined, signal));
      const restored = answers.flatMap((each) => each.restored);
      const left = answers.flatMap((each) => each.left).length;
      hide();
      announce([count("organize.undone", restored.length), left > 0 && count("organize.left", left)].filter(Boolean).join(" "));
      await onUndone(restored, wanted);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      const { title } = problemTexts(problem);
      replace(element, h("p", { role: "alert" }, title), h("button", { type: "button", class: "close-button", "aria-label": t("common.close"), onclick: hide }, "×"));
    }
  }

  const dialogs = () => loadLater(() => import("./organize_dialogs.js"));

  return {
    element,
    canUndo,
    undo: () => (element.querySelector("button.button") ? busy(element.querySelector("button.button"), undo) : undo()),
    close: (ids) => change(ids, { status: "closed" }, { name: "closed" }),
    reopen: (ids) => change(ids, { status: "open" }, { name: "reopened" }),
    markUnread: (ids) => change(ids, { unread: true }, { name: "unread" }),
    markRead: (ids) => change(ids, { unread: false }, { name: "read" }),
    async assign(ids) {
      const chosen = await (await dialogs()).chooseAssignee(signal);
      if (!chosen) return false;
      return change(ids, { assignee_id: chosen.id }, chosen.id ? { name: "assigned", person: chosen.name } : { name: "unassigned" });
    },
    /** `conversations` are given whole: their tags are shown. */
    async tag(conversations) {
      const chosen = await (await dialogs()).chooseTags(conversations, signal);
      if (!chosen) return false;
      return change(conversations.map(({ id }) => id), chosen, { name: "tagged" });
    },
    /** A kind of Amazon's notices, for the whole account. */
    async mute(kind) {
      if (!(await (await dialogs()).muteKind(kind, signal))) return false;
      announce(t("mute.on", { kind: t(`kind.${kind}`) }));
      return true;
    },
    async snooze(ids) {
      const until = await (await dialogs()).chooseSnooze();
      return until ? change(ids, { snoozed_until: until }, { name: "snoozed", time: dayAndTime(until) }) : false;
    },
  };
}
