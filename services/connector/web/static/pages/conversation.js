// One conversation with its messages, newest first. Shows the text of a mail only, never its HTML.

import { downloadUrl, get } from "../core/api.js";
import { append, h, replace } from "../core/dom.js";
import { announce, atMostEvery, notice, setTitle, showProblem } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { dateTime, size } from "../core/format.js";
import { hasText, t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { may } from "../core/session.js";

export async function conversationPane(place, conversationId, signal, { listAddress }) {
  const conversation = await get(`/conversations/${conversationId}`, signal);
  const messages = h("div", { class: "messages" });
  const problemPlace = h("div", { class: "place" });
  let shown = null;
  const pages = pagedList({
    load: (cursor) => get(`/conversations/${conversationId}/messages${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
    render: (message) => article(message, conversation),
    container: messages,
    label: t("conversation.older"),
  });

  async function readAgain() {
    try {
      const before = messages.firstElementChild;
      await pages.refresh();
      replace(problemPlace);
      if (shown && messages.firstElementChild !== before) announce(t("conversation.new_message"));
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  const soon = atMostEvery(1000, signal, readAgain);
  onEvent("message.received", signal, (ids) => (!ids.conversation_id || ids.conversation_id === conversationId) && soon());
  shown = await pages.refresh();
  const title = conversation.order_id ? t("conversation.order", { order: conversation.order_id }) : conversation.subject || t("inbox.no_order");
  setTitle(title);
  replace(
    place,
    h("a", { href: listAddress(), class: "back" }, t("inbox.back")),
    h("h2", { tabindex: "-1" }, title),
    h("p", { class: "muted" }, [conversation.buyer_name, conversation.integration.name, conversation.country].filter(Boolean).join(" · ")),
    conversation.order_id && conversation.subject && h("p", { class: "subject" }, conversation.subject),
    problemPlace,
    messages,
    pages.more,
  );
}

function article(message, conversation) {
  const sender = message.sender_name || message.sender_address || conversation.buyer_name || t("conversation.unknown_sender");
  const element = h(
    "article",
    { class: "message card", "data-testid": "message", "data-message": message.id },
    h(
      "header",
      { class: "message-head" },
      h("h3", {}, sender),
      h("time", { datetime: message.received_at }, dateTime(message.received_at)),
    ),
    message.sender_name && message.sender_address && h("p", { class: "muted message-address" }, message.sender_address),
    message.subject && message.subject !== conversation.subject && h("p", { class: "subject" }, message.subject),
    notes(message),
    textOf(message),
    attachments(message),
  );
  append(element, footer(message));
  return element;
}

/** "No text" is only said where that is known: what cannot be opened has its own note. */
function textOf(message) {
  if (message.text) return h("div", { class: "message-text", dir: "auto" }, message.text);
  return !message.problem && h("p", { class: "muted" }, t("conversation.no_text"));
}

function notes(message) {
  const isUnparseable = message.kind === "unparseable";
  const rawHint = may("general.admin", "view") ? "conversation.raw_has_all" : "conversation.ask_admin_for_raw";
  return [
    message.problem && notice("warning", null, h("p", {}, t("conversation.problem"))),
    message.from_amazon_domain === false && notice("warning", t("conversation.not_amazon.title"), h("p", {}, t("conversation.not_amazon.text"))),
    isUnparseable && notice("warning", t("conversation.unparseable"), h("p", {}, t(rawHint))),
    message.truncated && !isUnparseable && notice("info", t("conversation.truncated"), h("p", {}, t(rawHint))),
  ];
}

function attachments(message) {
  if (!message.attachments.length) return null;
  return h(
    "ul",
    { class: "attachments", "aria-label": t("conversation.attachments") },
    message.attachments.map((attachment) =>
      h(
        "li",
        {},
        h(
          "a",
          { href: downloadUrl(`/messages/${message.id}/attachments/${attachment.id}`), download: attachment.filename || "" },
          attachment.filename || t("conversation.unnamed_file"),
        ),
        h("span", { class: "muted" }, ` ${size(attachment.size)}`),
      ),
    ),
  );
}

function footer(message) {
  const kind = hasText(`kind.${message.kind}`) && message.kind !== "buyer_message" ? h("span", { class: "tag" }, t(`kind.${message.kind}`)) : null;
  const raw = may("general.admin", "view") && h("a", { href: downloadUrl(`/messages/${message.id}/raw`), download: "" }, t("conversation.raw"));
  if (!kind && !raw) return null;
  return h("footer", { class: "message-foot" }, kind, raw);
}
