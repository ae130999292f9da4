// A conversation as a list shows it: who wrote, about what, and how their last message begins.

import { h } from "../core/dom.js";
import { countryName, dateTime, shortTime } from "../core/format.js";
import { count, hasText, t } from "../core/i18n.js";
import { answerClock } from "./answer_clock.js";
import { withOrderIds } from "./texts_with_orders.js";

/** What a conversation is called where neither buyer nor subject is known. */
function referenceOf({ order_id, asin }) {
  if (order_id) return order_id;
  return asin ? t("inbox.product", { asin }) : t("inbox.no_order");
}

/** Who wrote or, in Amazon's own notices, what it is about. */
export function conversationName({ buyer_name, subject, ...others }) {
  return buyer_name || subject || referenceOf(others);
}

export function kindTag(kind) {
  return hasText(`kind.${kind}`) && h("span", { class: `tag tag-kind tag-${kind}` }, t(`kind.${kind}`));
}

/** The link of one conversation; bold, with a dot and in words while it is unread. */
export function conversationRow(conversation, address) {
  const { buyer_name: buyer, subject, snippet, order_id: order, unread, status } = conversation;
  const name = h("bdi", { class: "conversation-name" }, withOrderIds(conversationName(conversation)));
  const isOrderNamed = [buyer, subject].some((text) => text?.includes(order));
  return h(
    "a",
    {
      href: address,
      class: unread ? "conversation conversation-unread" : "conversation",
      "data-testid": "conversation",
      "data-conversation": conversation.id,
    },
    h(
      "span",
      { class: "conversation-top" },
      h("span", { class: "conversation-who" }, unread && h("span", { class: "visually-hidden" }, t("inbox.unread"), " "), name),
      h("time", { datetime: conversation.last_message_at, title: dateTime(conversation.last_message_at) }, shortTime(conversation.last_message_at)),
    ),
    buyer && subject && h("span", { class: "conversation-subject", dir: "auto" }, withOrderIds(subject)),
    snippet && h("span", { class: "conversation-snippet", dir: "auto" }, withOrderIds(snippet)),
    h(
      "span",
      { class: "conversation-below" },
      status !== "open" && h("span", { class: `tag tag-${status}` }, t(`status.${status}`)),
      // Most are a buyer's: the others are worth a word.
      conversation.kind !== "buyer_message" && kindTag(conversation.kind),
      conversation.answer_due_at && answerClock(conversation.answer_due_at),
      order && !isOrderNamed && h("bdi", { class: "conversation-order", dir: "ltr" }, order),
      h("bdi", {}, whereFrom(conversation)),
      conversation.message_count > 1 && h("span", {}, count("inbox.messages", conversation.message_count)),
    ),
  );
}

/** Store and country. */
export function whereFrom({ integration, country }) {
  return [integration.name ?? t("integrations.unnamed"), country && countryName(country)].filter(Boolean).join(" · ");
}
