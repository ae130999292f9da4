// An order as a list shows it: how far it is, what is due, what it is worth and where it comes from.

import { h } from "../core/dom.js";
import { countryName, dayAndTime, isPast, money, shortDate } from "../core/format.js";
import { count, t } from "../core/i18n.js";
import { orderStatus } from "./order_details.js";

const WAITS = ["PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED"];
const MARKS = ["prime", "business", "gift", "pickup", "replacement", "exchange"];

/** The link to one order. */
export function orderRow(order) {
  const marks = MARKS.filter((mark) => order[`is_${mark}`]).map((mark) => t(`order.mark.${mark}`));
  return h(
    "a",
    { href: `/orders/${order.id}`, class: "order-row", "data-testid": "order-row", "data-order": order.id },
    h("span", { class: "order-row-number" }, h("bdi", { dir: "ltr" }, order.order_id)),
    h("span", { class: "order-row-state" }, h("span", { class: "tag" }, orderStatus(order.status)), order.is_cancellation_requested && h("span", { class: "tag order-row-late" }, t("orders.cancellation"))),
    h("span", { class: "order-row-due" }, due(order)),
    h("span", { class: "order-row-total" }, order.total && money(order.total.amount, order.total.currency)),
    h("span", { class: "order-row-below" }, [
      order.purchased_at && t("orders.purchased", { date: shortDate(order.purchased_at) }),
      order.quantity > 0 && count("orders.pieces", order.quantity),
      ...marks,
      order.is_incomplete && t("orders.incomplete"),
      order.gone_at && t("orders.gone"),
    ].filter(Boolean).join(" · ")),
    h("span", { class: "order-row-store" }, h("bdi", {}, order.integration.name ?? t("integrations.unnamed")), order.country && ` · ${countryName(order.country)}`),
  );
}

/** By when it has to be shipped, as long as it is not. */
function due({ status, ship_by: until }) {
  if (!until || !WAITS.includes(status)) return null;
  const isLate = isPast(until);
  return h("span", { class: isLate ? "order-row-late" : null }, t(isLate ? "orders.late" : "orders.ship_by", { time: dayAndTime(until) }));
}
