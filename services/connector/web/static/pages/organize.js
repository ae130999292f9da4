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
    const done = { ids: [], changeIds: [], changed: [], refused: 0 };
    let hindrance = null;
    while (done.ids.length < ids.length && !hindrance) {
      const part = ids.slice(done.ids.length, done.ids.length + MOST_AT_ONCE);
      try {
        const answer = await post("/conversations/changes", { conversation_ids: part, change: wanted }, signal);
        if (answer.id) done.changeIds.push(answer.id);
        done.ids.push(...part);
        done.changed.push(...answer.changed);
        done.refused += answer.refused.length;
      } catch (problem) {
        hindrance = problem;
      }
    }
    if (!done.ids.length) throw hindrance;
    const { length } = done.changed;
    const words = [
      length > 0 && count(`organize.${said.name}`, length, said),
      done.refused > 0 && count("organize.refused", done.refused),
      hindrance && count("organize.unconfirmed", ids.length - done.ids.length, { problem: problemTexts(hindrance).title }),
    ].filter(Boolean).join(" ") || t("organize.unchanged");
    // A key that was pressed twice does not take the way back from what the first time has done.
    if (canUndo() && !length && !done.refused && !hindrance) announce(words);
    else tell(words, done.changeIds, wanted);
    await onChanged(done.ids, wanted);
    return true;
  }

  function tell(words, changeIds, wanted) {
    show(h("p", {}, words), changeIds, wanted);
    announce(words);
    clearTimeout(timer);
    timer = setTimeout(hide, UNDO_MS);
  }

  function show(words, changeIds, wanted) {
    undoable = changeIds.length ? { changeIds, wanted } : null;
    const button = actionButton(t("organize.undo"), undo, { class: "button button-secondary button-small", "aria-keyshortcuts": "z" });
    const close = h("button", { type: "button", class: "close-button", "aria-label": t("common.close"), onclick: hide }, "×");
    replace(element, words, undoable && button, close);
    element.hidden = false;
  }

  const canUndo = () => undoable !== null;

  function hide() {
    undoable = null;
    element.hidden = true;
  }

  /** Undoes what was done last; what somebody else has changed since stays as it is. */
  async function undo() {
    if (!undoable) return;
    const { wanted } = undoable;
    const changeIds = [...undoable.changeIds];
    const restored = [];
    let left = 0;
    undoable = null;
    try {
      while (changeIds.length) {
        const answer = await post(`/conversations/changes/${changeIds[0]}/undo`, undefined, signal);
        changeIds.shift();
        restored.push(...answer.restored);
        left += answer.left.length;
      }
      hide();
      announce([count("organize.undone", restored.length), left > 0 && count("organize.left", left)].filter(Boolean).join(" "));
      await onUndone(restored, wanted);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      show(h("p", { role: "alert" }, problemTexts(problem).title), mayHelpAgain(problem) ? changeIds : [], wanted);
      if (restored.length) await onUndone(restored, wanted);
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

/** Without a network, or while the server is busy or away, trying again may help. */
const mayHelpAgain = ({ status }) => status === 0 || status === 429 || status >= 500;
