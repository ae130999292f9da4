// One order on a page of its own: the same card as beside a conversation, and the conversations that name the order.

import { get, post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, pageHeading, showProblem, throttled } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { countryName, shortDate, shortTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { conversationRow } from "./conversation_row.js";
import { orderDetails, orderStatus } from "./order_details.js";

/** Draws the order into `content` and keeps it true. What went wrong is said there, with the way back. */
export async function openOrder(content, orderRowId, { signal, back }) {
  const backLink = h("a", { href: back, class: "order-back" }, t("orders.back"));
  const problemPlace = h("div", { class: "place" });
  const status = h("span", { class: "tag", "data-testid": "order-status" });
  const where = h("span", { class: "muted" });
  const body = h("div", { class: "order-body", "data-testid": "order" });
  const conversations = h("section", { class: "section order-conversations" });
  let drawn = "";
  let found = "";
  let known = null;

  async function read() {
    const order = await get(`/orders/${orderRowId}`, signal);
    const said = JSON.stringify(order);
    if (said === drawn) return order;
    drawn = said;
    if (known && known.status !== order.status) announce(t("order.changed", { order: order.order_id, status: orderStatus(order.status) }));
    known = order;
    status.textContent = orderStatus(order.status);
    replace(where, h("bdi", {}, order.integration.name ?? t("integrations.unnamed")), order.country && ` · ${countryName(order.country)}`);
    // What is open stays open, and the focus where it was.
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const opened = new Set([...body.querySelectorAll("details[open]")].map(({ dataset }) => dataset.key));
    replace(body, copyState(order), orderDetails(order));
    for (const part of body.querySelectorAll("details")) part.open = opened.has(part.dataset.key);
    if (focused) body.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    return order;
  }

  async function readConversations({ order_id, integration }) {
    const { items } = await post("/conversations/search", { q: order_id, integration_id: integration.id }, signal);
    const said = JSON.stringify(items);
    if (said === found) return;
    found = said;
    replace(
      conversations,
      h("h2", {}, t("orders.conversations")),
      items.length ? h("ul", { class: "conversations card" }, items.map((each) => h("li", {}, conversationRow(each, `/inbox/${each.id}`)))) : h("p", { class: "muted" }, t("orders.conversations.none")),
    );
  }

  const soon = throttled(500, signal, async () => {
    try {
      await read();
      replace(problemPlace);
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  });
  // Before it is read: what changes between the answer and the first look at it is told once.
  onEvent("order.changed", signal, (ids) => (!ids.order_row_id || ids.order_row_id === orderRowId) && soon());
  try {
    const order = await read();
    await readConversations(order);
    replace(
      content,
      backLink,
      h("div", { class: "order-head" }, pageHeading(t("order.number", { order: order.order_id })), h("p", { class: "order-head-line" }, status, " ", where)),
      problemPlace,
      h("div", { class: "order-columns-of-page" }, h("section", { class: "order-card card", "aria-label": t("order.card") }, body), conversations),
    );
    const conversationsSoon = throttled(500, signal, () => readConversations(order).catch((problem) => showProblem(problemPlace, problem)));
    onEvent("message.received", signal, (ids) => (!ids.integration_id || ids.integration_id === order.integration.id) && conversationsSoon());
  } catch (problem) {
    if (signal.aborted) return;
    replace(content, backLink, pageHeading(t(problem.status === 404 ? "orders.unknown" : "order.title")), problemPlace);
    showProblem(problemPlace, problem);
  }
}

/** How old our copy is, and that Amazon names the order no longer. */
function copyState({ gone_at: gone, fetched_at: fetched, reported_at: reported }) {
  const age = fetched ?? reported;
  return [gone && h("p", { class: "order-hindrance" }, t("order.gone", { date: shortDate(gone) })), age && h("p", { class: "muted order-age" }, t("order.as_of", { time: shortTime(age) }))];
}
