// What the inbox shows: views, filters, sorting and search. The address and history.state hold all of it, so that reload and back work.

import { eachPage, get } from "../core/api.js";
import { append, h, newId, replace, svg } from "../core/dom.js";
import { showProblem } from "../core/elements.js";
import { language, t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";

const VIEWS = {
  open: { status: "open" },
  unread: { unread: true },
  due: { due: true },
  closed: { status: "closed" },
  quarantine: { status: "quarantine" },
  all: {},
};
const KINDS = ["buyer_message", "order_notice", "claim_notice", "return_notice", "delivery_failure", "reply_confirmation", "verification", "auto_reply", "other", "unparseable"];
// The largest count that the API gives.
const MOST_COUNTED = 1000;

/** What an address asks for; what it does not name has its usual value. What is searched for stands beside it, in history.state. */
export function filtersOf(query) {
  const view = query.get("view") in VIEWS ? query.get("view") : "open";
  const named = (name) => query.get(name) ?? "";
  const sort = ["newest", "due"].includes(query.get("sort")) ? query.get("sort") : usualSort(view);
  return { view, q: history.state?.q ?? "", integration: named("integration"), country: named("country"), kind: named("kind"), sort };
}

/** The query of an address of ours; the usual values are left out, and so is what is searched for: it may be a buyer's. */
export function addressQuery({ q: _, ...filters }) {
  const usual = { view: "open", sort: usualSort(filters.view) };
  const query = new URLSearchParams(Object.entries(filters).filter(([name, value]) => value && value !== usual[name]));
  return query.size ? `?${query}` : "";
}

/** What of them goes along in history.state. */
export const stateOf = ({ q }) => (q ? { q } : {});

/** Whether both show the same. */
export const areSame = (one, other) => one.q === other.q && addressQuery(one) === addressQuery(other);

/** The API's parameters for these filters. */
export function askedFor({ view, integration, country, kind, sort, q }, cursor) {
  return { ...VIEWS[view], integration_id: integration, country, kind, sort: sort === "newest" ? "" : sort, q, cursor };
}

const goTo = (filters) => navigate(`/inbox${addressQuery(filters)}`, { state: stateOf(filters) });

/** How many of the filters in the box are set. */
export function countSet({ integration, country, kind, view, sort }) {
  return [integration, country, kind, sort !== usualSort(view)].filter(Boolean).length;
}

const usualSort = (view) => (view === "due" ? "due" : "newest");

/** The views, as links with how many conversations each has. */
export function viewTabs() {
  const links = Object.fromEntries(
    Object.keys(VIEWS).map((view) => {
      const number = h("span", { class: "count" });
      const late = view === "due" && h("span", { class: "count count-late" });
      return [view, { link: h("a", { "data-view": view }, t(`inbox.view.${view}`), number, late), number, late }];
    }),
  );
  return {
    element: h("nav", { class: "views", "aria-label": t("inbox.views") }, h("ul", {}, Object.values(links).map(({ link }) => h("li", {}, link)))),
    update(filters) {
      for (const [view, { link }] of Object.entries(links)) {
        link.href = `/inbox${addressQuery({ ...filters, view, sort: usualSort(view) })}`;
        if (view === filters.view) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
    },
    count(counts) {
      for (const [view, { number, late }] of Object.entries(links)) {
        number.textContent = counts[view] ? ` ${shownCount(counts[view])}` : "";
        if (late) late.textContent = counts.overdue ? ` ${t("inbox.overdue", { count: shownCount(counts.overdue) })}` : "";
      }
    },
  };
}

const shownCount = (number) => (number >= MOST_COUNTED ? `${MOST_COUNTED - 1}+` : String(number));

/** The search box. */
export function searchForm(current) {
  const hintId = newId("search-hint");
  const input = h("input", { type: "search", class: "input", maxlength: 200, autocomplete: "off", "aria-label": t("inbox.search"), "aria-describedby": hintId, placeholder: t("inbox.search.placeholder") });
  const search = () => goTo({ ...current(), q: input.value.trim() });
  const submit = (event) => {
    event.preventDefault();
    search();
  };
  // Emptied, for example with the cross in the box: the search is over.
  input.addEventListener("input", () => !input.value && current().q && search());
  const element = h(
    "form",
    { role: "search", class: "search", novalidate: true, onsubmit: submit },
    h("div", { class: "search-line" }, input, h("button", { type: "submit", class: "button button-secondary", "aria-label": t("inbox.search.button") }, lens())),
    h("p", { class: "hint", id: hintId }, t("inbox.search.hint")),
  );
  return {
    element,
    update(filters) {
      if (document.activeElement !== input) input.value = filters.q;
      element.classList.toggle("search-active", Boolean(filters.q));
    },
  };
}

function lens() {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("circle", { cx: 10.5, cy: 10.5, r: 6.5 }), svg("path", { d: "M15.5 15.5L21 21" }));
}

/** The box with the other filters and the sorting. Integrations are only offered to those who may see them. */
export async function filterBox(current, signal) {
  const marketplaces = await get("/marketplaces", signal);
  const countries = marketplaces.items.map((each) => [each.country, each.name]).sort(([, one], [, other]) => one.localeCompare(other, language()));
  const choices = {
    integration: [],
    country: countries,
    kind: KINDS.map((kind) => [kind, t(`kind.${kind}`)]),
  };
  const change = (name, value) => goTo({ ...current(), [name]: value });
  const fields = {};
  for (const [name, options] of Object.entries(choices)) {
    fields[name] = choice(t(`inbox.filter.${name}`), [["", t("inbox.filter.any")], ...options], (value) => change(name, value));
  }
  fields.sort = choice(t("inbox.sort"), ["newest", "due"].map((sort) => [sort, t(`inbox.sort.${sort}`)]), (value) => change("sort", value));
  const problemPlace = h("div", { class: "place" });
  // There may be thousands: they come page by page while the inbox is used.
  const { integration } = fields;
  integration.element.hidden = true;
  const addIntegrations = (items) => {
    integration.add(items.map((each) => [each.id, each.name ?? t("integrations.unnamed")]));
    integration.select.value = current().integration;
    integration.element.hidden = integration.select.length < 3;
  };
  if (may("general.admin", "view")) eachPage("/integrations?limit=100", signal, addIntegrations).catch((problem) => showProblem(problemPlace, problem));
  const set = h("span", {});
  const clear = h("a", { class: "button button-secondary button-small" }, t("inbox.filter.clear"));
  const element = h("details", { class: "filters" }, h("summary", {}, t("inbox.filters"), set), h("div", { class: "filter-fields" }, Object.values(fields).map((field) => field.element)), problemPlace, clear);
  return {
    element,
    update(filters) {
      for (const [name, field] of Object.entries(fields)) field.select.value = filters[name];
      const number = countSet(filters);
      replace(set, number > 0 && ` (${number})`);
      clear.hidden = number === 0;
      clear.href = `/inbox${addressQuery(filtersOf(new URLSearchParams({ view: filters.view })))}`;
      if (number) element.open = true;
    },
  };
}

function choice(label, options, onChosen) {
  const id = newId("filter");
  const select = h("select", { id, class: "input" });
  const add = (more) => append(select, more.map(([value, text]) => h("option", { value }, text)));
  add(options);
  select.addEventListener("change", () => onChosen(select.value));
  return { select, add, element: h("div", { class: "field" }, h("label", { for: id }, label), select) };
}
