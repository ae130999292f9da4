// One order as an agent reads it: how far it is, what was bought, what it cost, where its packages are, and for whom it is.

import { h, newId } from "../core/dom.js";
import { copyButton, outsideLink } from "../core/elements.js";
import { countryName, date, dateTime, dayAndTime, isPast, money } from "../core/format.js";
import { count, hasText, t } from "../core/i18n.js";

// More are folded away: an order may have 500 items, and as many packages.
const ITEMS_AT_ONCE = 5;
const PACKAGES_AT_ONCE = 3;
const AMOUNTS = ["items", "shipping", "tax", "discount", "other"];

/** Amazon's word for how far an order is, in ours; one that we do not know as it stands. */
export function orderStatus(status) {
  return hasText(`order.status.${status}`) ? t(`order.status.${status}`) : status;
}

export function orderDetails(order) {
  return [
    order.is_cancellation_requested && h("p", { class: "order-alert", "data-testid": "cancellation" }, t("order.cancellation_requested")),
    marks(order),
    number(order),
    timeline(order),
    packages(order.packages),
    items(order),
    amounts(order.amounts),
    people(order),
    furtherColumns(order.report_columns),
    order.is_incomplete && h("p", { class: "muted", "data-testid": "incomplete" }, t("order.incomplete"), order.unreadable.length > 0 && [" ", h("code", {}, order.unreadable.join(", "))]),
    order.problem && h("p", { class: "order-alert" }, t(`order.problem.${order.problem}`)),
  ];
}

function marks(order) {
  const set = [
    order.fulfilled_by && (hasText(`order.by.${order.fulfilled_by}`) ? t(`order.by.${order.fulfilled_by}`) : order.fulfilled_by),
    ...["prime", "business", "gift", "pickup", "replacement", "exchange"].map((mark) => order[`is_${mark}`] && t(`order.mark.${mark}`)),
  ].filter(Boolean);
  return h("ul", { class: "order-marks", "aria-label": t("order.marks") }, set.map((mark) => h("li", { class: "tag" }, mark)));
}

function number(order) {
  const text = h("bdi", { class: "order-number" }, order.order_id);
  return h(
    "div",
    { class: "order-line" },
    h("p", {}, text, " ", copyButton(t("order.copy"), text, { "aria-label": t("order.copy_number"), "data-key": "copy-number" })),
    h("p", {}, outsideLink(order.seller_central_url, t("order.seller_central"), { "data-key": "seller-central" })),
    order.replaces_order_id && h("p", { class: "muted" }, t("order.replaces"), " ", h("bdi", {}, order.replaces_order_id)),
  );
}

function timeline(order) {
  return h(
    "ol",
    { class: "order-steps", "aria-label": t("order.timeline") },
    order.timeline.map(({ step, state, at, until }) => {
      const isOver = state !== "done" && until && isPast(until);
      // Amazon tells of few deliveries: that it has told of none is not that there was none.
      const isLate = isOver && step !== "delivered";
      const key = isLate ? "order.step.late" : isOver ? "order.step.promised" : "order.step.until";
      const when = at ? dateTime(at) : until && t(key, { time: dayAndTime(until) });
      return h(
        "li",
        { class: `order-step order-step-${isLate ? "late" : state}`, "data-step": step },
        h("span", {}, t(`order.step.${step}`), state === "partly" && ` (${t("order.step.partly")})`, h("span", { class: "visually-hidden" }, `: ${t(`order.step.state.${isOver && !isLate ? "untold" : state}`)}`)),
        when && h("span", { class: "muted" }, when),
      );
    }),
  );
}

function packages(found) {
  const rows = found.map((each) => h("div", { class: "order-line", "data-testid": "package" }, packageLines(each)));
  const rest = rows.slice(PACKAGES_AT_ONCE);
  return [rows.slice(0, PACKAGES_AT_ONCE), rest.length > 0 && folded("packages", "order.more_packages", rest.length, rest)];
}

function packageLines({ reference, carrier, shipping_service, status, tracking_number }) {
  const name = [carrier, shipping_service].filter(Boolean).join(" · ") || t("order.package");
  const said = status && (hasText(`order.package.${status}`) ? t(`order.package.${status}`) : status);
  const tracking = tracking_number && h("bdi", {}, tracking_number);
  return [
    h("p", {}, h("strong", {}, h("bdi", {}, name)), said && [" ", h("span", { class: "muted" }, said)]),
    tracking && h("p", {}, tracking, " ", copyButton(t("order.copy"), tracking, { "aria-label": t("order.copy_tracking"), "data-key": `copy-${reference}` })),
  ];
}

/** Those that are not shown at once, behind a line that says how many they are. */
function folded(name, key, number, content) {
  return h("details", { class: "order-more", "data-key": name }, h("summary", {}, count(key, number)), content);
}

function items({ items: found, amounts }) {
  const rows = found.map((item) => itemRow(item, item.amounts.currency ?? amounts.currency));
  const rest = rows.slice(ITEMS_AT_ONCE);
  return [
    h("ul", { class: "order-items", "aria-label": t("order.items") }, rows.slice(0, ITEMS_AT_ONCE)),
    rest.length > 0 && folded("items", "order.more_items", rest.length, h("ul", { class: "order-items" }, rest)),
  ];
}

function itemRow(item, currency) {
  const facts = [item.sku && t("order.sku", { sku: item.sku }), item.asin && t("order.asin", { asin: item.asin }), item.condition && (hasText(`order.condition.${item.condition}`) ? t(`order.condition.${item.condition}`) : item.condition)].filter(Boolean);
  return h(
    "li",
    { class: "order-item" },
    h("p", {}, item.quantity !== null && h("strong", {}, `${item.quantity} × `), h("bdi", {}, item.title ?? t("order.no_title"))),
    h("p", { class: "muted" }, h("bdi", {}, facts.join(" · "))),
    item.unit_price !== null && currency && h("p", { class: "muted" }, t("order.unit_price", { price: money(item.unit_price, currency) })),
    item.quantity_shipped > 0 && item.quantity_shipped < item.quantity && h("p", { class: "muted" }, t("order.shipped_of", { shipped: item.quantity_shipped, quantity: item.quantity })),
    item.is_cancellation_requested && h("p", { class: "order-alert" }, t("order.item_cancellation"), item.cancel_reason && [" ", h("bdi", {}, item.cancel_reason)]),
    item.gift_wrap && h("p", { class: "muted" }, t("order.gift_wrap", { wrap: item.gift_wrap })),
    item.gift_message && h("blockquote", { dir: "auto" }, item.gift_message),
  );
}

function amounts(sum) {
  if (!sum.currency) return h("p", { class: "muted" }, t("order.no_amounts"));
  const row = (name, value) => value !== null && [h("dt", {}, t(`order.amount.${name}`)), h("dd", {}, money(value, sum.currency))];
  return h("dl", { class: "order-amounts" }, AMOUNTS.map((name) => row(name, sum[name])), row("total", sum.total));
}

/** Buyer and recipient, as far as the application may know them and their time is not over. */
function people({ buyer, recipient, personal_data, personal_data_end_at }) {
  const lines = [
    buyer && (buyer.name || buyer.company) && [t("order.buyer"), [buyer.name, buyer.company]],
    buyer?.purchase_order && [t("order.purchase_order"), [buyer.purchase_order]],
    recipient && [t("order.recipient"), addressLines(recipient)],
    recipient?.instructions && [t("order.instructions"), [recipient.instructions]],
  ].filter(Boolean);
  const lacksName = !buyer?.name && !recipient?.name;
  return h(
    "div",
    { class: "order-people" },
    lines.length > 0 && h("dl", {}, lines.map(([label, texts]) => [h("dt", {}, label), h("dd", {}, texts.filter(Boolean).map((text) => h("span", { dir: "auto" }, text)))])),
    personal_data === "ended" ? h("p", { class: "muted" }, t("order.personal.ended")) : lacksName && h("p", { class: "muted", "data-testid": "no-names" }, t("order.personal.not_available")),
    personal_data === "present" && !lacksName && personal_data_end_at && h("p", { class: "muted" }, t("order.personal.until", { date: date(personal_data_end_at) })),
  );
}

function addressLines({ name, company, lines, postal_code, city, county, state, country, phone }) {
  return [name, company, ...lines, [postal_code, city].filter(Boolean).join(" "), [county, state].filter(Boolean).join(", "), country && knownCountry(country), phone];
}

function knownCountry(code) {
  return /^[A-Z]{2}$/.test(code) ? countryName(code) : code;
}

/** What a report has told besides, under the names of its columns. */
function furtherColumns(of_items) {
  const cells = (of_items ?? []).filter(({ columns }) => Object.keys(columns).length > 0);
  if (!cells.length) return null;
  const id = newId("columns");
  return h(
    "details",
    { class: "order-more", "data-key": "columns" },
    h("summary", { id }, t("order.columns")),
    cells.map(({ item_id, columns }) =>
      h("dl", { class: "order-columns", "aria-labelledby": id }, cells.length > 1 && [h("dt", {}, t("order.item")), h("dd", {}, item_id)], Object.entries(columns).map(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, value)])),
    ),
  );
}
