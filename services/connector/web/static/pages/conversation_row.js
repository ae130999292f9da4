// A conversation as a list shows it.

import { h } from "../core/dom.js";
import { countryName, dateTime, shortTime } from "../core/format.js";
import { count, hasText, t } from "../core/i18n.js";
import { answerClock } from "./answer_clock.js";

/** What a conversation is called where there is no room for its subject. */
export function conversationName({ order_id, asin }) {
  if (order_id) return order_id;
  return asin ? t("inbox.product", { asin }) : t("inbox.no_order");
}

export function kindTag(kind) {
  return hasText(`kind.${kind}`) && h("span", { class: `tag tag-kind tag-${kind}` }, t(`kind.${kind}`));
}

/** The link of one conversation; bold, with a dot and in words while it is unread. */
export function conversationRow(conversation, address) {
  return h(
    "a",
    {
      href: address,
      class: conversation.unread ? "conversation conversation-unread" : "conversation",
      "data-testid": "conversation",
      "data-conversation": conversation.id,
    },
    h(
      "span",
      { class: "conversation-top" },
      h("span", { class: "conversation-order" }, conversation.unread && h("span", { class: "visually-hidden" }, t("inbox.unread"), " "), conversationName(conversation)),
      h("time", { datetime: conversation.last_message_at, title: dateTime(conversation.last_message_at) }, shortTime(conversation.last_message_at)),
    ),
    h(
      "span",
      { class: "conversation-tags" },
      kindTag(conversation.kind),
      conversation.status !== "open" && h("span", { class: `tag tag-${conversation.status}` }, t(`status.${conversation.status}`)),
      conversation.answer_due_at && answerClock(conversation.answer_due_at),
    ),
    h("span", { class: "conversation-below" }, whereFrom(conversation), h("span", {}, count("inbox.messages", conversation.message_count))),
  );
}

/** Store and country. */
export function whereFrom({ integration, country }) {
  return [integration.name ?? t("integrations.unnamed"), country && countryName(country)].filter(Boolean).join(" · ");
}
