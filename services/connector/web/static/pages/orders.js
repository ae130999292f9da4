// The orders of all stores: a list with filters, a search by Amazon's number, and one order with its conversations.

import { get, post } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { actionButton, announce, pageHeading, setTitle, showProblem, throttled } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { count, t } from "../core/i18n.js";
import { latest } from "../core/latest.js";
import { pagedList } from "../core/paged_list.js";
import { navigate } from "../core/router.js";
import { filterFields, filtersOf, addressQuery, askedFor, areSame } from "./order_filters.js";
import { openOrder } from "./order_page.js";
import { orderRow } from "./order_row.js";

// Amazon's numbers have hyphens; people type or paste them in many ways.
const ORDER_ID = /^([0-9A-Z]{3})[^0-9A-Z]*([0-9]{7})[^0-9A-Z]*([0-9]{7})$/;

export async function show({ main, params, query, signal }) {
  let filters = filtersOf(query);
  let openId = null;
  let detail = null;
  const changing = latest();
  const list = h("div", { class: "order-page" });
  const place = h("div", {});
  const problemPlace = h("div", { class: "place" });
  const empty = h("div", { class: "place" });
  const found = h("div", { class: "place" });
  const rows = h("ul", { class: "order-list card", "aria-label": t("orders.title") });
  const pages = pagedList({
    load: (cursor) => get(`/orders?${askedFor(filters, cursor)}`, signal),
    render: (order) => h("li", {}, orderRow(order)),
    container: rows,
    label: t("common.load_more"),
  });
  const fields = filterFields(() => filters, signal);

  /** Returns how many are shown, or null when it did not come to that. */
  async function drawList() {
    try {
      const shown = await pages.refresh();
      if (shown === null) return null;
      replace(problemPlace);
      rows.hidden = shown === 0;
      replace(empty, shown === 0 && h("div", { class: "empty card" }, h("h2", {}, t("orders.empty.title")), h("p", {}, t(addressQuery(filters) ? "orders.empty.filtered" : "orders.empty.text"))));
      return shown;
    } catch (problem) {
      showProblem(problemPlace, problem);
      return null;
    }
  }

  async function change(newParams, newQuery) {
    const isLatest = changing();
    // An order has an address without filters: the list behind it stays as it is.
    const wanted = newParams.order_row_id ? filters : filtersOf(newQuery);
    if (!areSame(wanted, filters)) {
      filters = wanted;
      fields.update(filters);
      pages.clear();
      const shown = await drawList();
      // Whoever has not waited for it is somewhere else.
      if (!isLatest()) return;
      if (shown !== null) announce(shown ? count("orders.shown", shown) : t("orders.empty.title"));
    }
    await draw(newParams.order_row_id ?? null);
  }

  async function draw(orderRowId) {
    if (orderRowId === openId && place.childElementCount) return;
    detail?.abort();
    const before = openId;
    openId = orderRowId;
    if (!openId) {
      setTitle(t("orders.title"));
      replace(place, list);
      if (before) (rows.querySelector(`a[data-order="${CSS.escape(before)}"]`) ?? list.querySelector("h1")).focus();
      return;
    }
    detail = new AbortController();
    const content = h("div", { class: "order-page" });
    const ends = AbortSignal.any([signal, detail.signal]);
    await openOrder(content, openId, { signal: ends, back: `/orders${addressQuery(filters)}` });
    // Whoever has not waited for it is somewhere else.
    if (ends.aborted) return;
    replace(place, content);
    content.querySelector("h1")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  rows.addEventListener("keydown", (event) => {
    const links = [...rows.querySelectorAll("a[data-order]")];
    const here = links.indexOf(document.activeElement);
    const target = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 }[event.key];
    if (here < 0 || target === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    links[target]?.focus();
  });

  const soon = throttled(2000, signal, drawList);
  onEvent("order.changed", signal, soon);
  replace(list, pageHeading(t("orders.title")), searchForm(found, signal), found, fields.element, problemPlace, empty, rows, pages.more);
  replace(main, place);
  fields.update(filters);
  await Promise.all([drawList(), draw(params.order_row_id ?? null)]);
  return change;
}

/** Finds an order by its number and goes to it; where several stores have that number, lists them in `found`. */
function searchForm(found, signal) {
  const id = newId("order-search");
  const error = h("p", { class: "field-error", id: `${id}-error` });
  const input = h("input", { id, class: "input", maxlength: 60, autocomplete: "off", spellcheck: "false", placeholder: "303-1234567-1234567", "aria-describedby": error.id });

  function say(text) {
    error.textContent = text ?? "";
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  async function search() {
    replace(found);
    const parts = ORDER_ID.exec(input.value.trim().toUpperCase());
    say(parts ? null : t("orders.search.wrong"));
    if (!parts) return input.focus();
    try {
      const { items } = await post("/orders/search", { order_id: parts.slice(1).join("-") }, signal);
      // An order that was opened in the meantime stays open.
      if (!input.isConnected) return null;
      if (items.length === 1) return navigate(`/orders/${items[0].id}`);
      if (items.length === 0) {
        say(t("orders.search.none"));
        return input.focus();
      }
      announce(count("orders.shown", items.length));
      replace(found, h("ul", { class: "order-list card", "aria-label": t("orders.search.found") }, items.map((order) => h("li", {}, orderRow(order)))));
    } catch (problem) {
      showProblem(found, problem);
    }
    return null;
  }

  const button = actionButton(t("orders.search.button"), search, { type: "submit", class: "button button-secondary" });
  return h(
    "form",
    { role: "search", class: "order-search", novalidate: true, onsubmit: (event) => event.preventDefault() },
    h("div", { class: "field" }, h("label", { for: id }, t("orders.search")), h("div", { class: "search-line" }, input, button), error),
  );
}
