// A conversation as a list shows it: who wrote and when, about what, how their last message begins, and small what else there is to know.

import { h, svg } from "../core/dom.js";
import { countryName, dateTime, dayAndTime, shortTime } from "../core/format.js";
import { count, hasText, t } from "../core/i18n.js";
import { answerClock } from "./answer_clock.js";
import { flag } from "./flag.js";
import { withOrderIds } from "./texts_with_orders.js";

const MOST_TAGS = 1;
const ICONS = {
  files: "M8 12.5l6-6a3 3 0 0 1 4.3 4.3l-8 8a5 5 0 0 1-7.1-7.1l7.6-7.6",
  failed: "M12 3.5l9.5 16.5h-19zM12 10v4.5M12 17.3v.1",
};

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

export function statusTag({ status, snoozed_until: until }) {
  return h("span", { class: `tag tag-${status}` }, status === "snoozed" ? t("inbox.snoozed_until", { time: dayAndTime(until) }) : t(`status.${status}`));
}

/** The names of its tags; those that were deleted have none. */
export function tagsOf({ tag_ids: ids }, names) {
  return ids.map((id) => names.get(id)).filter(Boolean);
}

/** The link of one conversation; bold, with a dot and in words while it is unread. `names` are those of people and tags, by their ids. */
export function conversationRow(conversation, address, names = new Map()) {
  const { buyer_name: buyer, subject, snippet, kind, unread } = conversation;
  const name = h("bdi", { class: "conversation-name" }, withOrderIds(conversationName(conversation)));
  // Most are a buyer's: the others are worth a word.
  const isOther = kind !== "buyer_message";
  const topic = buyer && subject;
  const tags = tagsOf(conversation, names);
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
      conversation.message_count > 1 && messageCount(conversation.message_count),
      h("time", { datetime: conversation.last_message_at, title: dateTime(conversation.last_message_at) }, shortTime(conversation.last_message_at)),
    ),
    (topic || isOther || tags.length > 0) && h("span", { class: "conversation-topic-line" }, isOther && kindTag(kind), topic && h("span", { class: "conversation-subject", dir: "auto" }, withOrderIds(subject)), tags.length > 0 && tagList(tags)),
    snippet && h("span", { class: "conversation-snippet", dir: "auto" }, withOrderIds(snippet)),
    h("span", { class: "conversation-below" }, marksOf(conversation, names), placeOf(conversation)),
  );
}

/** What takes somebody's attention, before where it came from. */
function marksOf(conversation, names) {
  const { answer_due_at: due, has_failed_reply: hasFailed, has_files: hasFiles, assignee_id: assignee } = conversation;
  return [
    conversation.status !== "open" && statusTag(conversation),
    hasFailed && h("span", { class: "mark mark-failed" }, icon("failed"), t("inbox.failed_reply")),
    due && answerClock(due),
    hasFiles && h("span", { class: "mark", title: t("inbox.has_files") }, icon("files"), h("span", { class: "visually-hidden" }, t("inbox.has_files"))),
    assignee && names.has(assignee) && h("span", { class: "mark mark-assignee" }, h("span", { class: "visually-hidden" }, t("inbox.assigned_to"), " "), h("bdi", {}, names.get(assignee))),
  ];
}

/** Store, country and order. */
function placeOf({ integration, country, order_id: order, buyer_name: buyer, subject }) {
  const isOrderNamed = [buyer, subject].some((text) => text?.includes(order));
  return h(
    "span",
    { class: "conversation-place" },
    h("bdi", {}, integration.name ?? t("integrations.unnamed")),
    country && [" · ", flag(country), countryName(country)],
    order && !isOrderNamed && [" · ", h("bdi", { class: "conversation-order", dir: "ltr" }, order)],
  );
}

function messageCount(number) {
  return h("span", { class: "conversation-count" }, h("span", { "aria-hidden": "true" }, number), h("span", { class: "visually-hidden" }, ` ${count("inbox.messages", number)}`));
}

function tagList(tags) {
  const more = tags.length - MOST_TAGS;
  return h("span", { class: "conversation-tags", title: tags.join(", ") }, tags.slice(0, MOST_TAGS).map((name) => h("bdi", { class: "label" }, name)), more > 0 && h("span", {}, `+${more}`, h("span", { class: "visually-hidden" }, ` ${tags.slice(MOST_TAGS).join(", ")}`)));
}

function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

/** Store and country. */
export function whereFrom({ integration, country }) {
  return [integration.name ?? t("integrations.unnamed"), country && countryName(country)].filter(Boolean).join(" · ");
}
