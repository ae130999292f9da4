// What an agent has begun to write is never lost: every change is kept in this browser at once, and by the server a moment later.

import { getVersion, Problem, putVersion } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, announce, notice } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { clockTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { keepLocalDraft, localDraft, removeLocalDraft, typedSince } from "../core/local_drafts.js";
import { onSignOut, userId } from "../core/session.js";

const SAVE_AFTER_MS = 1000;

/**
 * `place` is where it says how things stand with the draft, `conflictPlace` where it asks which of two texts shall stay. `onLoaded(draft, before)` gets the
 * server's draft whenever it was read, and what `onLoading()` answered before.
 */
export function replyDraft({ conversationId, input, place, conflictPlace, signal, onLoading, onLoaded }) {
  const path = `/conversations/${conversationId}/draft`;
  const owner = userId();
  let tag = null;
  let version = 0;
  let saved = "";
  let sending = null;
  let timer = null;
  let running = null;
  let isConflict = false;
  let isGone = false;

  const isSaved = () => input.value === saved;

  function keep() {
    // Whoever has left this conversation, or signed out, leaves nothing behind that the server has.
    if (isGone && isSaved()) return removeLocalDraft(owner, conversationId);
    return keepLocalDraft(owner, conversationId, { text: input.value, version, isSaved: isSaved(), sending });
  }

  const say = (text) => (place.textContent = text);

  /** One reading or saving after the other: what an older answer says must not take the place of what was saved since. */
  async function inTurn(work) {
    while (running) await running.catch(() => {});
    running = work();
    try {
      return await running;
    } finally {
      running = null;
    }
  }

  /** Reads the server's draft and decides between it and this browser's copy. */
  async function load() {
    const isToSave = await inTurn(read);
    if (isToSave) await save();
  }

  async function read() {
    const filesBefore = onLoading();
    const answer = await getVersion(path, signal);
    const { content } = answer;
    // What was typed meanwhile is the newest, also where this browser keeps nothing.
    const local = isSaved() ? localDraft(owner, conversationId) : { text: input.value, version, isSaved: false, sending };
    tag = answer.version;
    version = content.version;
    saved = content.text;
    sending = local?.sending ?? null;
    const isLocalNewer = local && !local.isSaved && local.text !== content.text;
    setText(isLocalNewer ? local.text : content.text);
    onLoaded(content, filesBefore);
    if (!isLocalNewer) keep();
    else if (local.version !== content.version && content.text) showConflict(content.text);
    return isLocalNewer;
  }

  function setText(text) {
    if (input.value === text) return;
    input.value = text;
    input.dispatchEvent(new Event("change"));
  }

  function changed() {
    const isKept = keep();
    say(isKept ? "" : t("draft.not_kept"));
    clearTimeout(timer);
    timer = setTimeout(save, SAVE_AFTER_MS);
  }

  /** Resolves when the server has what stands in the box now, or has refused it. */
  async function save() {
    clearTimeout(timer);
    await inTurn(async () => {
      if (tag && !isConflict && !isSaved()) await put();
    });
  }

  async function put() {
    const text = input.value;
    try {
      const answer = await putVersion(path, { text }, tag);
      tag = answer.version;
      version = answer.content.version;
      saved = text;
      keep();
      if (isSaved()) say(text ? t("draft.saved", { time: clockTime(new Date()) }) : "");
    } catch (problem) {
      if (problem.status === 412) await resolveConflict();
      else say(t(problem.status === 0 ? "draft.kept_here" : "draft.not_saved"));
    }
  }

  async function resolveConflict() {
    const answer = await getVersion(path);
    tag = answer.version;
    version = answer.content.version;
    saved = answer.content.text;
    if (isSaved()) keep();
    // Sent or emptied elsewhere: what stands here is newer.
    else if (!saved) timer = setTimeout(save, SAVE_AFTER_MS);
    else showConflict(saved);
  }

  function showConflict(other) {
    isConflict = true;
    const end = (text) => {
      isConflict = false;
      replace(conflictPlace);
      setText(text);
      input.focus();
      keep();
      return save();
    };
    const box = notice(
      "warning",
      t("draft.conflict.title"),
      h("p", {}, t("draft.conflict.text")),
      h("div", { class: "other-text", dir: "auto", tabindex: "0", role: "group", "aria-label": t("draft.conflict.other") }, other),
      h(
        "div",
        { class: "buttons" },
        actionButton(t("draft.conflict.keep"), () => end(input.value), { class: "button button-small" }),
        actionButton(t("draft.conflict.take"), () => end(other), { class: "button button-secondary button-small" }),
      ),
    );
    replace(conflictPlace, box);
    announce(t("draft.conflict.title"));
  }

  /** The key by which the server knows that it has taken this request already, should its answer have been lost. */
  function keyFor(body) {
    const content = JSON.stringify(body);
    if (sending?.content !== content) sending = { content, key: crypto.randomUUID() };
    keep();
    return sending.key;
  }

  /** The server has answered, and has not taken it. */
  function refused() {
    sending = null;
    keep();
  }

  /** Sent: this text and the files belong to the reply now. */
  async function sent(text) {
    clearTimeout(timer);
    sending = null;
    saved = "";
    setText(typedSince(input.value, text));
    if (input.value) keep();
    else removeLocalDraft(owner, conversationId);
    say("");
    await load();
  }

  signal.addEventListener("abort", () => {
    isGone = true;
    if (isSaved() && !sending) removeLocalDraft(owner, conversationId);
    else if (userId() === owner) save();
  });
  onSignOut(signal, save);
  // What could not be read when the conversation was opened is read now.
  onEvent("resync", signal, () => (tag ? save() : load()).catch((problem) => problem instanceof Problem || Promise.reject(problem)));
  return { load, changed, save, keyFor, refused, sent };
}
