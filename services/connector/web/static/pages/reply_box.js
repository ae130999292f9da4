// The box for a reply under a conversation: what is written, its files, what Amazon says to it, and the ways to send it.

import { get, postOnce, put } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { actionButton, announce, busy, notice, problemNotice } from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { loadLater } from "../core/router.js";
import { conversationNews } from "./conversation_news.js";
import { replyChecks, rulesList } from "./reply_checks.js";
import { replyDraft } from "./reply_draft.js";
import { replyFiles } from "./reply_files.js";

const TYPING_EACH_MS = 5000;

/**
 * `readAgain()` reads the conversation and its thread again and leads to `update`; `onSent(reply, wish)` is called when the server has taken a reply;
 * `onInsert()` opens the templates.
 */
export function replyBox({ conversationId, signal, readAgain, onSent, onInsert }) {
  const path = `/conversations/${conversationId}`;
  const id = newId("reply");
  const input = h("textarea", { id, class: "input reply-text", rows: 4, dir: "auto", "aria-describedby": `${id}-saved`, "data-testid": "reply-text" });
  const saved = h("p", { class: "muted place", id: `${id}-saved` });
  const conflictPlace = h("div", { class: "place" });
  const questionPlace = h("div", { class: "place" });
  const files = replyFiles({ path, signal, most: () => checks.mostBytes(), onChange: () => checks.changed() });
  const reply = () => ({ text: input.value, file_ids: files.ids() });
  const checks = replyChecks({ path, input, reply, bytes: files.bytes, signal });
  const draft = replyDraft({ conversationId, input, place: saved, conflictPlace, signal, onLoading: files.ids, onLoaded: (content, before) => files.show(content.files, before) });
  const isWriting = () => input.value.trim() !== "" || files.ids().length > 0;
  const news = conversationNews({ isWriting, onAcknowledged: () => input.focus() });
  let typedAt = 0;

  input.addEventListener("input", () => {
    ask(null);
    draft.changed();
    checks.changed();
    tellTyping();
  });
  input.addEventListener("change", () => checks.changed());

  function tellTyping() {
    if (!input.value.trim() || Date.now() - typedAt < TYPING_EACH_MS) return;
    typedAt = Date.now();
    // Only colleagues miss something when it fails.
    put(`${path}/typing`, undefined, signal).catch(() => {});
  }

  /** Why it cannot be sent yet, if that is known without the server. */
  function hindrance() {
    if (files.hasRefused()) return t("reply.files_refused");
    return isWriting() ? null : t("reply.empty");
  }

  async function send(wish = {}) {
    if (files.isUploading()) ask(notice("info", t("reply.files_uploading")));
    await files.settled();
    const reason = hindrance();
    if (reason) return ask(notice("warning", reason));
    const body = { ...reply(), send_at: wish.sendAt ?? null, close: wish.close ?? false, confirmed_warnings: wish.confirmed ?? [] };
    ask(null);
    try {
      const { content } = await postOnce(`${path}/replies`, body, { key: draft.keyFor(body), version: news.seen() });
      await taken(content, wish, body.text);
    } catch (problem) {
      await notTaken(problem, wish);
    }
  }

  async function taken(content, wish, text) {
    news.acknowledge();
    announce(content.state === "scheduled" ? t("reply.said.scheduled", { time: dateTime(content.send_at) }) : t("reply.said.queued"));
    await draft.sent(text);
    await onSent(content, wish);
  }

  async function notTaken(problem, wish) {
    if (problem.status === 0) return ask(notice("warning", t("reply.offline.title"), h("p", {}, t("reply.offline.text"))));
    if (problem.status < 500) draft.refused();
    if (problem.code === "conversation_changed") return changedMeanwhile(wish);
    if (problem.code === "reply_warned") return askWarned(problem.fields.warnings, wish);
    if (problem.code === "not_answerable") await readAgain();
    return ask(problemNotice(problem));
  }

  /** Somebody wrote: it is shown, and this text stays. Anything else that has changed is no reason to ask. */
  async function changedMeanwhile(wish) {
    const before = news.seen();
    await readAgain();
    if (!news.isUnseen() && news.seen() !== before) return send(wish);
    const anyway = actionButton(t("reply.send_anyway"), () => {
      news.acknowledge();
      return send(wish);
    }, { class: "button button-small" });
    return ask(h("div", { role: "alert" }, notice("warning", t("reply.changed.title"), h("p", {}, t("reply.changed.text")), h("div", { class: "buttons" }, anyway, backButton()))));
  }

  function askWarned(warnings, wish) {
    const confirmed = [...(wish.confirmed ?? []), ...warnings.map(({ code }) => code)];
    const anyway = actionButton(t("reply.send_anyway"), () => send({ ...wish, confirmed }), { class: "button button-small" });
    ask(h("div", { role: "alert" }, notice("warning", t("reply.warned.title"), rulesList(warnings, input), h("div", { class: "buttons" }, anyway, backButton()))));
  }

  const backButton = () =>
    actionButton(t("reply.change_text"), () => {
      ask(null);
      input.focus();
    }, { class: "button button-secondary button-small" });

  /** Says or asks something above the buttons, and leads a keyboard there if there is something to decide. What is asked is not told twice. */
  function ask(element) {
    replace(questionPlace, element);
    checks.element.hidden = Boolean(element);
    if (!element) return;
    const first = element.querySelector(".buttons button");
    if (first) first.focus();
    else announce(element.textContent);
  }

  async function sendLater() {
    try {
      const { chooseTime } = await loadLater(() => import("./send_later.js"));
      const sendAt = await chooseTime();
      if (sendAt) await send({ sendAt });
      else input.focus();
    } catch (problem) {
      ask(problemNotice(problem));
    }
  }

  /** Inserts at the cursor, so that the browser's undo takes it back. */
  function insert(text) {
    input.focus();
    if (!document.execCommand("insertText", false, text)) input.setRangeText(text, input.selectionStart, input.selectionEnd, "end");
    draft.changed();
    checks.changed();
  }

  async function insertTemplate(template) {
    try {
      const filled = await get(`${path}/reply-templates/${template.id}`, signal);
      insert(filled.text);
      if (filled.missing.length) announce(t("template.missing", { names: filled.missing.join(", ") }));
    } catch (problem) {
      if (problem.name !== "AbortError") ask(problemNotice(problem));
    }
  }

  const sendButton = h("button", { type: "submit", class: "button button-small", "aria-keyshortcuts": "Control+Enter" }, t("reply.send"));
  const closeButton = actionButton(t("reply.send_and_close"), () => send({ close: true }), { class: "button button-secondary button-small" });
  const laterButton = actionButton(t("reply.send_later"), sendLater, { class: "button button-secondary button-small" });
  const insertButton = h("button", { type: "button", class: "button button-secondary button-small", onclick: onInsert, "aria-keyshortcuts": "Control+K" }, t("reply.insert"));
  const sendFrom = (button, work) => busy(button, work);
  const element = h(
    "form",
    {
      class: "reply-form",
      novalidate: true,
      "aria-label": t("reply.label"),
      onsubmit: (event) => {
        event.preventDefault();
        sendFrom(sendButton, () => send());
      },
    },
    news.element,
    conflictPlace,
    h("div", { class: "reply-head" }, h("label", { for: id }, t("reply.label")), checks.counter),
    input,
    files.list,
    checks.element,
    questionPlace,
    h("div", { class: "reply-buttons" }, h("div", { class: "buttons" }, sendButton, closeButton, laterButton), h("div", { class: "buttons" }, files.button, insertButton)),
    saved,
  );
  files.acceptOn(element);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    event.preventDefault();
    if (event.shiftKey) sendFrom(closeButton, () => send({ close: true }));
    else sendFrom(sendButton, () => send());
  });

  return {
    element,
    isWriting,
    // The thread stays where it was scrolled to.
    focus: () => input.focus({ preventScroll: true }),
    /** What is on the way to the server is awaited, and then the server's draft is read: a reply that was taken back is one again. */
    async load() {
      await draft.save();
      await draft.load();
      checks.changed();
    },
    save: draft.save,
    update: news.update,
    insert,
    insertTemplate,
    chooseFiles: files.choose,
    send: () => sendFrom(sendButton, () => send()),
    sendAndClose: () => sendFrom(closeButton, () => send({ close: true })),
    sendLater: () => sendFrom(laterButton, sendLater),
  };
}
