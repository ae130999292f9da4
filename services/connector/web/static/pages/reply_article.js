// A reply in its conversation: what was written, where it is on its way to the buyer, and what can be done about it.

import { downloadUrl, serverNow } from "../core/api.js";
import { append, h, newId, svg } from "../core/dom.js";
import { actionButton, copyButton, notice, outsideLink } from "../core/elements.js";
import { countryName, dateTime, list, size } from "../core/format.js";
import { t } from "../core/i18n.js";
import { may, userId } from "../core/session.js";

const SHAPES = {
  scheduled: "M12 3a9 9 0 1 0 .01 0z M12 7v5l3.5 2",
  queued: "M4 12l16-8-5 16-4-6z M11 14l9-10",
  sending: "M4 12l16-8-5 16-4-6z M11 14l9-10",
  handed_over: "M5 12.5l4.5 4.5L19 7",
  confirmed: "M2.5 12.5L7 17 15.5 7.5 M11 16l1 1 9.5-9.5",
  delayed: "M7 3h10 M7 21h10 M8 3c0 5 8 6 8 9s-8 4-8 9 M16 3c0 5-8 6-8 9s8 4 8 9",
  perhaps_sent: "M9 9a3 3 0 1 1 4.5 2.6c-1 .7-1.5 1.3-1.5 2.4 M12 17.5v.1 M12 2.5a9.5 9.5 0 1 0 .01 0z",
  failed: "M12 3l9.5 17h-19z M12 10v4.5 M12 17.2v.1",
};
const TONES = { confirmed: "good", handed_over: "quiet", delayed: "warning", perhaps_sent: "warning", failed: "bad" };
const TICK_MS = 250;

/**
 * `wishes` has `cancel`, `sendNow`, `sendAgain` and `dismiss`, each of which takes a reply and resolves when what came of it is shown, and where there is a
 * reply box, `edit`.
 */
export function replyArticle(reply, { wishes, signal }) {
  const who = reply.written_by?.id === userId() ? t("reply.you") : (reply.written_by?.name ?? t("reply.your_team"));
  return h(
    "article",
    { class: `message card reply reply-${reply.state}`, tabindex: "-1", "data-testid": "reply", "data-reply": reply.id, "data-state": reply.state },
    h("header", { class: "message-head" }, h("h3", {}, h("bdi", {}, who), h("span", { class: "muted" }, ` · ${t("reply.kind")}`)), h("time", { datetime: reply.created_at }, dateTime(reply.created_at))),
    reply.text === null ? h("p", { class: "muted" }, t("reply.unreadable")) : h("div", { class: "message-text", dir: "auto" }, reply.text),
    files(reply),
    replyStatus(reply, { wishes, signal }),
  );
}

/** State, reason, cure and what can be done: the same in a conversation and in the list of failed replies. */
export function replyStatus(reply, { wishes, signal }) {
  return [stateLine(reply), reason(reply), may("inbox.messages", "edit") && buttons(reply, wishes, signal)];
}

function stateLine(reply) {
  const { state } = reply;
  return h(
    "p",
    { class: `reply-state tone-${TONES[state] ?? "quiet"}`, "data-testid": "reply-state" },
    svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: SHAPES[state] ?? SHAPES.queued })),
    h("strong", {}, t(`reply.state.${state}`)),
    h("span", { class: "muted" }, stateTime(reply)),
  );
}

/** When: of what is still to come, the time at which it comes. */
function stateTime(reply) {
  if (reply.state === "scheduled") return t("reply.at.scheduled", { time: dateTime(reply.send_at) });
  if (reply.state === "delayed" && reply.next_attempt_at) return t("reply.at.delayed", { time: dateTime(reply.next_attempt_at) });
  return dateTime(reply.state_since);
}

function reason(reply) {
  if (reply.state === "failed" && reply.failure) return failureNotice(reply);
  if (reply.state === "perhaps_sent") return notice("warning", t("reply.perhaps.title"), h("p", {}, t("reply.perhaps.text")));
  if (reply.state === "handed_over" && reply.unconfirmed) return unconfirmedNotice(reply);
  return null;
}

function failureNotice(reply) {
  const { failure } = reply;
  return notice(
    "bad",
    failure.title,
    failure.text && h("p", {}, failure.text),
    failure.countries?.length > 0 && h("p", {}, t("reply.countries", { countries: list(failure.countries.map(countryName)) })),
    failure.cure && h("p", {}, h("strong", {}, t("check.cure")), " ", failure.cure),
    failure.code === "sender_not_approved" && senderAddress(reply),
    failure.server_words && h("details", { class: "technical" }, h("summary", {}, t("reply.server_words")), h("p", { class: "code" }, failure.server_words)),
    cureLink(reply),
  );
}

/** To where it is cured: in Seller Central, or at the store's own mail server. */
function cureLink({ failure, integration_id: integrationId }) {
  if (failure.link) return outsideLink(failure.link, t("check.to_seller_central"), { class: "button button-secondary button-small" });
  if (failure.action !== "open_smtp_configuration" || !may("general.admin", "view")) return null;
  return h("a", { href: `/integrations/${integrationId}`, class: "button button-secondary button-small" }, t("reply.to_smtp"));
}

function unconfirmedNotice(reply) {
  return notice("warning", t("reply.unconfirmed.title"), h("p", {}, t("reply.unconfirmed.text")), h("p", {}, h("strong", {}, t("check.cure")), " ", t("reply.unconfirmed.cure")), senderAddress(reply));
}

/** Exactly what must stand in Seller Central. */
function senderAddress(reply) {
  if (!reply.sent_from) return null;
  const address = h("code", { class: "address address-small", id: newId("sender") }, reply.sent_from);
  return h("div", { class: "address-line" }, address, copyButton(t("copy.address"), address));
}

function buttons(reply, wishes, signal) {
  const button = (name, wish, attributes = {}) => actionButton(t(`reply.${name}`), () => wish(reply), { class: "button button-secondary button-small", "data-action": name, ...attributes });
  const shown = {
    queued: () => [undoButton(reply, wishes, signal)],
    scheduled: () => [button("cancel", wishes.cancel), button("send_now", wishes.sendNow)],
    delayed: () => [button("cancel", wishes.cancel)],
    failed: () => failedButtons(reply, wishes, button),
    perhaps_sent: () => [button("send_again", wishes.sendAgain), !reply.dismissed_at && button("leave", wishes.dismiss)],
  }[reply.state]?.();
  const present = shown?.filter(Boolean);
  return present?.length > 0 && h("div", { class: "buttons", role: "group", "aria-label": t("reply.actions") }, present);
}

/** What Amazon does not take as it is has to be changed first; everything else is sent again. */
function failedButtons(reply, wishes, button) {
  const isToChange = reply.failure?.action === "change_reply" && wishes.edit;
  return [
    isToChange && button("edit", wishes.edit, { class: "button button-small" }),
    button("send_again", wishes.sendAgain, isToChange ? {} : { class: "button button-small" }),
    !reply.dismissed_at && button("leave", wishes.dismiss),
  ];
}

/** "Undo", with the seconds that are left, for as long as the server tells. */
function undoButton(reply, wishes, signal) {
  if (!reply.undo_until) return null;
  const ends = new Date(reply.undo_until).getTime();
  const left = () => Math.ceil((ends - serverNow()) / 1000);
  if (left() <= 0) return null;
  const seconds = h("span", { "aria-hidden": "true" });
  const button = actionButton([t("reply.undo"), seconds], () => wishes.cancel(reply), { class: "button button-secondary button-small", "data-action": "undo" });
  const draw = () => (seconds.textContent = t("reply.undo.left", { seconds: Math.max(left(), 0) }));
  draw();
  const timer = setInterval(() => {
    draw();
    if (left() > 0) return;
    clearInterval(timer);
    // Whoever was on the button stays with the reply.
    if (document.activeElement === button) button.closest("article")?.focus();
    button.remove();
  }, TICK_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  return button;
}

function files(reply) {
  if (!reply.files.length) return null;
  const rows = reply.files.map((file) => {
    const row = h("li", { class: file.scan === "infected" ? "attachment attachment-infected" : "attachment", "data-testid": "reply-file" });
    const name = h("bdi", {}, file.filename || t("conversation.unnamed_file"));
    const shown = file.scan === "infected" ? h("span", { class: "attachment-name" }, name) : h("a", { href: downloadUrl(`/files/${file.id}`), download: file.filename }, name);
    append(row, h("div", {}, shown, h("span", { class: "muted" }, ` ${size(file.size)}`), file.scan === "infected" && h("p", { class: "tone-bad" }, t("file.infected"))));
    return row;
  });
  return h("ul", { class: "attachments", "aria-label": t("conversation.attachments") }, rows);
}
