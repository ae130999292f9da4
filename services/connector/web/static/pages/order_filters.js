// Which orders the list shows. The address holds it, so that reload and back work.

import { eachPage, get } from "../core/api.js";
import { append, h, newId, replace } from "../core/dom.js";
import { showProblem } from "../core/elements.js";
import { startOfDay, wallClockOf } from "../core/format.js";
import { hasText, language, t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";

const NAMES = ["integration", "country", "status", "program", "due", "updated", "sort"];
const STATUSES = ["PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNFULFILLABLE", "PENDING_AVAILABILITY"];
const PROGRAMS = ["PRIME", "AMAZON_BUSINESS"];
// How many days after today begins the day until whose start something is due; "late" is due now.
const DUE = { late: null, today: 1, tomorrow: 2, week: 7 };
// How many days back the day begins since which something has changed.
const UPDATED = { today: 0, week: 6, month: 29 };
const SORTS = ["newest", "ship_by"];

/** What an address asks for; what it does not name is not limited. */
export function filtersOf(query) {
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
}

/** The query of an address of ours, without what is not limited. */
export function addressQuery(filters) {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  return query.size ? `?${query}` : "";
}

export const areSame = (one, other) => addressQuery(one) === addressQuery(other);

/** The API's parameters for these filters, as a query. */
export function askedFor({ integration, country, status, program, due, updated, sort }, cursor) {
  const asked = {
    integration_id: integration,
    country,
    status,
    program,
    ship_by_before: due in DUE && (DUE[due] === null ? new Date() : dayFromToday(DUE[due])).toISOString(),
    updated_since: updated in UPDATED && dayFromToday(-UPDATED[updated]).toISOString(),
    sort: SORTS.includes(sort) && sort,
    cursor,
  };
  return new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
}

const dayFromToday = (days) => startOfDay(wallClockOf(new Date()).slice(0, 10), days);

/** The fields with what can be chosen. Integrations are only offered to those who may see them. */
export function filterFields(current, signal) {
  const problemPlace = h("div", { class: "place" });
  const named = (key, values) => values.map((value) => [value, hasText(`${key}.${value}`) ? t(`${key}.${value}`) : value]);
  const choices = {
    status: named("order.status", STATUSES),
    due: named("orders.due", Object.keys(DUE)),
    program: named("orders.program", PROGRAMS),
    country: [],
    integration: [],
    updated: named("orders.updated", Object.keys(UPDATED)),
    sort: named("orders.sort", SORTS.slice(1)),
  };
  const change = (name, value) => navigate(`/orders${addressQuery({ ...current(), [name]: value })}`);
  const fields = Object.fromEntries(Object.entries(choices).map(([name, options]) => [name, choice(name, options, (value) => change(name, value))]));
  const set = h("span", {});
  const clear = h("a", { href: "/orders", class: "button button-secondary button-small" }, t("inbox.filter.clear"));
  const { integration, country } = fields;
  integration.element.hidden = true;
  // They come while the list is read already.
  get("/marketplaces", signal)
    .then(({ items }) => {
      country.add(items.map((each) => [each.country, each.name]).sort(([, one], [, other]) => one.localeCompare(other, language())));
      country.select.value = current().country;
    })
    .catch((problem) => showProblem(problemPlace, problem));
  const addIntegrations = (items) => {
    integration.add(items.map((each) => [each.id, each.name ?? t("integrations.unnamed")]));
    integration.select.value = current().integration;
    integration.element.hidden = integration.select.length < 3;
  };
  if (may("general.admin", "view")) eachPage("/integrations?limit=100", signal, addIntegrations).catch((problem) => showProblem(problemPlace, problem));
  const element = h("details", { class: "filters order-filters card" }, h("summary", {}, t("inbox.filters"), set), h("div", { class: "order-filter-fields" }, Object.values(fields).map((field) => field.element)), problemPlace, clear);
  return {
    element,
    update(filters) {
      for (const [name, field] of Object.entries(fields)) field.show(filters[name]);
      const number = Object.values(filters).filter(Boolean).length;
      replace(set, number > 0 && ` (${number})`);
      clear.hidden = number === 0;
      if (number) element.open = true;
    },
  };
}

function choice(name, options, onChosen) {
  const id = newId("order-filter");
  const select = h("select", { id, class: "input" });
  const add = (more) => append(select, more.map(([value, text]) => h("option", { value }, text)));
  add([["", t(name === "sort" ? "orders.sort.newest" : "inbox.filter.any")], ...options]);
  select.addEventListener("change", () => onChosen(select.value));
  // An address may name a status or programme that is new at Amazon.
  const show = (value) => {
    if (value && ["status", "program"].includes(name) && ![...select.options].some((option) => option.value === value)) add([[value, value]]);
    select.value = value;
  };
  return { select, add, show, element: h("div", { class: "field" }, h("label", { for: id }, t(`orders.filter.${name}`)), select) };
}
