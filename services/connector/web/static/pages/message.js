// One message: the buyer's own words first; what else the mail holds stands folded below.

import { h } from "../core/dom.js";
import { copyButton, notice, provenDownload } from "../core/elements.js";
import { dateTime, languageName, list } from "../core/format.js";
import { hasText, t } from "../core/i18n.js";
import { may } from "../core/session.js";
import { answerClock } from "./answer_clock.js";
import { attachments } from "./attachments.js";
import { authenticMark, authenticityNotice } from "./authenticity.js";
import { kindTag } from "./conversation_row.js";
import { formattedView } from "./formatted_view.js";
import { withOrderIds } from "./texts_with_orders.js";

const SNIPPET_CHARACTERS = 160;

/**
 * `reopen(id)` shows a conversation anew after its message was released. `fold` says whether the message `isOpen`, and is told by `onToggle(isOpen)`:
 * what is folded is one line.
 */
export function messageArticle(message, conversation, { signal, reopen, fold }) {
  const sender = message.sender_name || message.sender_address || conversation.buyer_name || t("conversation.unknown_sender");
  const snippet = h("span", { class: "message-snippet", dir: "auto" });
  // Unfolded, the text stands below.
  const drawSnippet = (isOpen) => (snippet.textContent = isOpen ? "" : (message.text ?? message.subject ?? "").slice(0, SNIPPET_CHARACTERS));
  const toggled = ({ target, currentTarget }) => {
    if (target !== currentTarget) return;
    drawSnippet(target.open);
    fold.onToggle(target.open);
  };
  drawSnippet(fold.isOpen);
  return h(
    "article",
    { class: "message card", "data-testid": "message", "data-message": message.id },
    h(
      "details",
      { class: "message-fold", open: fold.isOpen, ontoggle: toggled },
      h(
        "summary",
        { class: "message-head" },
        h("h3", {}, h("bdi", {}, sender)),
        snippet,
        h("time", { datetime: message.received_at }, dateTime(message.received_at)),
      ),
      h(
        "div",
        { class: "message-body" },
        facts(message, conversation),
        message.subject && message.subject !== conversation.subject && h("p", { class: "subject", dir: "auto" }, withOrderIds(message.subject)),
        authenticityNotice(message, conversation, { signal, reopen }),
        notes(message),
        deliveryFailure(message),
        textOf(message),
        quoted(message),
        message.has_formatting && formattedView(message, signal),
        attachments(message),
        details(message, signal),
      ),
    ),
  );
}

/** Whether something about a message must not be overlooked: it is never folded by itself. */
export function isToBeSeen(message) {
  return message.authenticity.verdict !== "authentic" || message.kind === "delivery_failure" || Boolean(message.answer_due_at && !message.answer_settled_at);
}

/** What the conversation's head does not say already. */
function facts(message, conversation) {
  const others = message.order_ids.filter((order) => order !== conversation.order_id);
  // One message alone has the conversation's clock.
  const isClockRunning = message.answer_due_at && !message.answer_settled_at && conversation.message_count > 1;
  const shown = [
    message.kind !== conversation.kind && kindTag(message.kind),
    others.length > 0 && h("span", {}, t("message.orders", { orders: list(others) })),
    message.asin && message.asin !== conversation.asin && h("span", {}, t("inbox.product", { asin: message.asin })),
    isClockRunning && answerClock(message.answer_due_at),
    message.answer_due_at && message.answer_settled_at && h("span", {}, t("clock.settled")),
  ].filter(Boolean);
  return shown.length > 0 && h("p", { class: "message-facts muted" }, shown);
}

function notes(message) {
  const isUnparseable = message.kind === "unparseable";
  const isWhole = message.kind === "buyer_message" && !message.is_excerpt && Boolean(message.text);
  const rawHint = may("general.admin", "view") ? "conversation.raw_has_all" : "conversation.ask_admin_for_raw";
  return [
    message.problem && notice("warning", null, h("p", {}, t("conversation.problem"))),
    isUnparseable && notice("warning", t("conversation.unparseable"), h("p", {}, t(rawHint))),
    message.truncated && !isUnparseable && notice("info", t("conversation.truncated"), h("p", {}, t(rawHint))),
    isWhole && h("p", { class: "hint" }, t("message.whole")),
  ];
}

/** Why Amazon did not take an answer of ours, and what helps. */
function deliveryFailure({ kind, failure_reason: reason }) {
  if (kind !== "delivery_failure") return null;
  const key = hasText(`failure.${reason}.title`) ? reason : "unknown";
  return notice("bad", t(`failure.${key}.title`), h("p", {}, h("strong", {}, t("check.cure")), " ", t(`failure.${key}.cure`)));
}

/** "No text" is only said where that is known: what cannot be opened has its own note. */
function textOf(message) {
  if (message.text) return h("div", { class: "message-text", dir: "auto", lang: message.language }, withOrderIds(message.text));
  return !message.problem && h("p", { class: "muted" }, t("conversation.no_text"));
}

function quoted(message) {
  if (!message.quoted_text) return null;
  const label = t("message.quoted");
  return h("details", { class: "quoted" }, h("summary", { "aria-label": label, title: label }, "…"), h("div", { class: "message-text", dir: "auto" }, withOrderIds(message.quoted_text)));
}

/** What is seldom asked for: the address, the language, whether it is proven, and the mail as it came. */
function details(message, signal) {
  const address = message.sender_address && h("bdi", {}, message.sender_address);
  const raw = may("general.admin", "view") && provenDownload(`/messages/${message.id}/raw`, `${message.id}.eml`, t("conversation.raw"), signal);
  const shown = [
    address && h("p", { class: "message-address" }, address, " ", copyButton("", address, { class: "button button-secondary copy copy-small", "aria-label": t("copy.address"), title: t("copy.address") })),
    message.language && h("p", {}, t("message.language", { language: languageName(message.language) })),
    authenticMark(message, signal),
    raw && h("div", {}, raw),
  ].filter(Boolean);
  return shown.length > 0 && h("details", { class: "message-details" }, h("summary", {}, t("message.details")), h("div", { class: "message-details-body" }, shown));
}
