// The orders of a conversation, beside it: our copy of each, how old it is, and why there is no newer one.

import { get } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { announce, showProblem, throttled } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { countryName, shortDate, shortTime } from "../core/format.js";
import { hasText, t } from "../core/i18n.js";
import { may } from "../core/session.js";
import { orderDetails, orderStatus } from "./order_details.js";

// Beside the conversation there is room for it; above it, only its first line is shown until somebody opens it.
const BESIDE = "(min-width: 1100px)";
// A copy that is asked for and turns out to be the same is told by no event.
const READ_AGAIN_MS = 5000;
const READ_AGAIN_AT_MOST = 12;

/**
 * `element` is hidden while the conversation has no order, and from who may not see orders. `load()` never throws: what went wrong is said in its place; then `onLoaded()` is called.
 * `addressOf(orderId)` is where the whole order is shown, once it is known.
 */
export function orderCard({ conversationId, integrationId, signal, onLoaded }) {
  const path = `/conversations/${conversationId}/orders`;
  const summary = h("summary", {});
  const content = h("div", { class: "order-card-content" });
  const fold = h("details", { class: "card" }, summary, content);
  const element = h("section", { class: "order-card", "aria-label": t("order.card"), hidden: true }, fold);
  let drawn = "";
  let shown = { items: [], same_buyer: { orders: [], conversations: [] } };
  let chosen = null;
  let timer = null;
  let readings = 0;

  const beside = matchMedia(BESIDE);
  const unfold = () => (fold.open = beside.matches);
  beside.addEventListener("change", unfold, { signal });
  unfold();

  async function load() {
    if (!may("inbox.orders", "view")) return;
    try {
      const read = await get(path, signal);
      tellChanges(shown.items, read.items);
      shown = read;
      draw();
      onLoaded();
      readAgainLater();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      element.hidden = false;
      drawn = "";
      replace(summary, t("order.card"));
      showProblem(content, problem);
    }
  }

  /** While Amazon is being asked, for a minute at most: then it has answered, or an event will tell. */
  function readAgainLater() {
    clearTimeout(timer);
    readings = shown.items.some(({ is_refreshing }) => is_refreshing) ? readings + 1 : 0;
    if (readings > 0 && readings <= READ_AGAIN_AT_MOST) timer = setTimeout(() => !signal.aborted && soon(), READ_AGAIN_MS);
  }

  function draw() {
    const said = JSON.stringify([shown, chosen]);
    if (said === drawn) return;
    drawn = said;
    element.hidden = shown.items.length === 0;
    // Nor does it keep what was said while it could not be read.
    if (element.hidden) return void replace(content);
    const card = shown.items.find(({ order_id }) => order_id === chosen) ?? shown.items[0];
    const focused = content.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const opened = new Set([...content.querySelectorAll("details[open]")].map(({ dataset }) => dataset.key));
    replace(summary, summaryOf(card, shown.items));
    replace(content, shown.items.length > 1 ? tabs(card) : body(card), sameBuyer(shown.same_buyer));
    for (const part of content.querySelectorAll("details")) part.open = opened.has(part.dataset.key);
    if (focused) content.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  /** One tab for each order, chosen with the arrow keys (WAI-ARIA's pattern of tabs). */
  function tabs(card) {
    const panel = newId("order");
    const keys = shown.items.map(({ order_id }) => order_id);
    const choose = (orderId) => {
      chosen = orderId;
      draw();
      content.querySelector('[role="tab"][aria-selected="true"]').focus();
    };
    const move = (event) => {
      const here = keys.indexOf(card.order_id);
      const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: keys.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(keys[(to + keys.length) % keys.length]);
    };
    const list = h(
      "div",
      { role: "tablist", "aria-label": t("order.tabs"), class: "order-tabs", onkeydown: move },
      shown.items.map(({ order_id }) => {
        const isChosen = order_id === card.order_id;
        const attributes = { role: "tab", type: "button", "aria-selected": String(isChosen), "aria-controls": panel, tabindex: isChosen ? null : -1 };
        return h("button", { ...attributes, "data-key": `tab-${order_id}`, onclick: () => choose(order_id) }, h("bdi", {}, order_id));
      }),
    );
    return [list, h("div", { role: "tabpanel", id: panel, "aria-label": t("order.number", { order: card.order_id }) }, body(card))];
  }

  const soon = throttled(500, signal, load);
  onEvent("order.changed", signal, (ids) => {
    const isHere = shown.items.some(({ state, order }) => order?.id === ids.order_row_id || state !== "known");
    if (!ids.integration_id || (ids.integration_id === integrationId && isHere)) soon();
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
  onEvent("message.received", signal, (ids) => (!ids.conversation_id || ids.conversation_id === conversationId) && soon());
  const addressOf = (orderId) => {
    const order = shown.items.find((each) => each.order_id === orderId)?.order;
    return order ? `/orders/${order.id}` : null;
  };
  return { element, load, addressOf };
}

/** Tells people who do not see it that an order's status has changed. */
function tellChanges(before, after) {
  for (const { order_id, order } of after) {
    const known = before.find((each) => each.order_id === order_id);
    if (known && order && known.order?.status !== order.status) announce(t("order.changed", { order: order_id, status: orderStatus(order.status) }));
  }
}

/** One line, which on a phone is all that is seen at first: so it has what must not be missed. */
function summaryOf({ order_id, order, state }, items) {
  const said = order ? orderStatus(order.status) : t(`order.state.${state}`);
  const isCancelling = items.some((each) => each.order?.is_cancellation_requested);
  return [
    h("span", { class: "order-card-title" }, items.length > 1 ? t("order.title.several", { count: items.length }) : t("order.title")),
    items.length > 1 && [" ", h("bdi", { class: "muted" }, order_id)],
    " ",
    h("span", { class: "tag", "data-testid": "order-status" }, said),
    isCancelling && [" ", h("span", { class: "tag order-tag-alert" }, t("order.mark.cancellation"))],
  ];
}

function body(card) {
  return h("div", { class: "order-body", "data-testid": "order", "data-state": card.state }, copyState(card), card.order ? [orderDetails(card.order), wholeOrder(card.order)] : null);
}

/** Where there is room for what order reports say besides. */
function wholeOrder({ id }) {
  return h("p", {}, h("a", { href: `/orders/${id}`, "data-key": "whole" }, t("order.whole")));
}

/** How old our copy is, that a newer one is coming, or why none is. */
function copyState({ state, order, fetched_at, is_refreshing, hindrance }) {
  const age = order && (fetched_at ?? order.reported_at);
  return [
    state === "fetching" && h("p", { class: "muted" }, t("order.fetching")),
    state === "unknown" && h("p", {}, t("order.unknown")),
    hindrance && h("div", { class: "order-hindrance" }, h("p", {}, hindrance.title), h("p", { class: "muted" }, hindrance.cure)),
    order?.gone_at && h("p", { class: "order-hindrance" }, t("order.gone", { date: shortDate(order.gone_at) })),
    age && h("p", { class: "muted order-age" }, t("order.as_of", { time: shortTime(age) }), is_refreshing && ` · ${t("order.refreshing")}`),
  ];
}

/** What else this buyer has bought and written in this store. */
function sameBuyer({ orders, has_more_orders, conversations, has_more_conversations }) {
  if (!orders.length && !conversations.length) return null;
  return h(
    "details",
    { class: "order-more", "data-key": "same-buyer" },
    h("summary", {}, t("order.same_buyer", { orders: orders.length + (has_more_orders ? "+" : ""), conversations: conversations.length + (has_more_conversations ? "+" : "") })),
    orders.length > 0 && h("h4", {}, t("order.same_buyer.orders")),
    h("ul", { class: "plain" }, orders.map((order) => h("li", {}, h("a", { href: `/orders/${order.id}` }, h("bdi", {}, order.order_id)), " ", h("span", { class: "muted" }, [orderStatus(order.status), order.purchased_at && shortDate(order.purchased_at)].filter(Boolean).join(" · "))))),
    conversations.length > 0 && h("h4", {}, t("order.same_buyer.conversations")),
    h("ul", { class: "plain" }, conversations.map((other) => h("li", {}, h("a", { href: `/inbox/${other.id}` }, h("bdi", {}, other.order_id ?? other.asin ?? t(hasText(`kind.${other.kind}`) ? `kind.${other.kind}` : "inbox.conversation"))), " ", h("span", { class: "muted" }, [other.country && countryName(other.country), shortDate(other.last_message_at)].filter(Boolean).join(" · "))))),
  );
}
