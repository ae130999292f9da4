// What the inbox shows: a view, filters, sorting and a search. The address and history.state hold all of it, so that reload and back work.

import { h, newId, replace, svg } from "../core/dom.js";
import { showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { loadLater, navigate } from "../core/router.js";

/** The API's parameters of each view. */
export const VIEWS = {
  open: { status: "open" },
  mine: { status: "open", assignee: "me" },
  unassigned: { status: "open", assignee: "nobody" },
  due: { due: true },
  overdue: { overdue: true },
  failed: { failed: true },
  unread: { unread: true },
  snoozed: { status: "snoozed" },
  closed: { status: "closed" },
  quarantine: { status: "quarantine" },
  all: {},
};
// Names in our addresses, and what the API calls them.
export const FILTERS = { integration: "integration_id", country: "country", kind: "kind", assignee: "assignee", tag: "tag_id" };

/** What an address asks for, also in the API's words; what it does not name has its usual value. What is searched for stands beside it, in history.state. */
export function filtersOf(query) {
  const view = viewOf(query);
  const sort = ["newest", "due"].includes(query.get("sort")) ? query.get("sort") : usualSort(view);
  const set = Object.entries(FILTERS).map(([name, inApi]) => [name, query.get(name) ?? query.get(inApi) ?? ""]);
  const filters = { view, q: history.state?.q ?? "", sort, ...Object.fromEntries(set) };
  return VIEWS[view].assignee ? { ...filters, assignee: "" } : filters;
}

function viewOf(query) {
  if (Object.hasOwn(VIEWS, query.get("view") ?? "")) return query.get("view");
  if (query.get("status") === "all") return "all";
  const isAsked = ([name, value]) => query.get(name) === String(value);
  const asked = Object.keys(VIEWS).filter((view) => view !== "all" && Object.entries(VIEWS[view]).every(isAsked));
  // What waits, or is somebody's, says more than that it is open.
  return asked.findLast((view) => view !== "open") ?? "open";
}

/** The query of an address of ours; the usual values are left out, and so is what is searched for: it may be a buyer's. */
export function addressQuery({ q: _, ...filters }) {
  const usual = { view: "open", sort: usualSort(filters.view) };
  const query = new URLSearchParams(Object.entries(filters).filter(([name, value]) => value && value !== usual[name]));
  return query.size ? `?${query}` : "";
}

/** The filters of another view, with what was chosen besides. */
export const inView = (filters, view) => ({ ...filters, view, assignee: "", sort: usualSort(view) });

/** What of them goes along in history.state. */
export const stateOf = ({ q }) => (q ? { q } : {});

/** Whether both show the same. */
export const areSame = (one, other) => one.q === other.q && addressQuery(one) === addressQuery(other);

/** The API's parameters for these filters. */
export function askedFor(filters) {
  const set = Object.entries(FILTERS).map(([name, inApi]) => [inApi, filters[name]]);
  const sort = filters.sort === "newest" ? "" : filters.sort;
  return { ...Object.fromEntries(set.filter(([, value]) => value)), ...VIEWS[filters.view], ...(sort && { sort }) };
}

export const goTo = (filters) => navigate(`/inbox${addressQuery(filters)}`, { state: stateOf(filters) });

/** How many of the filters in the box are set. */
export function countSet({ view, sort, ...filters }) {
  return [...Object.keys(FILTERS).map((name) => filters[name]), sort !== usualSort(view)].filter(Boolean).length;
}

const usualSort = (view) => (view === "due" || view === "overdue" ? "due" : "newest");

/** The search box. */
export function searchForm(current) {
  const hintId = newId("search-hint");
  const input = h("input", { type: "search", class: "input", maxlength: 200, autocomplete: "off", "aria-label": t("inbox.search"), "aria-describedby": hintId, "aria-keyshortcuts": "/", placeholder: t("inbox.search.placeholder") });
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
    focus: () => input.select(),
    update(filters) {
      if (document.activeElement !== input) input.value = filters.q;
      element.classList.toggle("search-active", Boolean(filters.q));
    },
  };
}

function lens() {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("circle", { cx: 10.5, cy: 10.5, r: 6.5 }), svg("path", { d: "M15.5 15.5L21 21" }));
}

/** The box with the other filters and the sorting. What is in it is loaded, and what can be chosen read, when it is first opened. */
export function filterBox(current, signal) {
  const problemPlace = h("div", { class: "place" });
  const fieldsPlace = h("div", { class: "filter-fields" });
  const set = h("span", {});
  const clear = h("a", { class: "button button-secondary button-small" }, t("inbox.filter.clear"));
  const element = h("details", { class: "filters" }, h("summary", {}, t("inbox.filters"), set), fieldsPlace, problemPlace, clear);
  let fields = null;
  let isRead = false;

  element.addEventListener("toggle", async () => {
    if (!element.open || isRead) return;
    isRead = true;
    try {
      const { filterFields } = await loadLater(() => import("./filter_fields.js"));
      if (!fields) {
        fields = filterFields(current, signal);
        replace(fieldsPlace, fields.elements);
        fields.show(current());
      }
      await fields.read();
      replace(problemPlace);
      fields.show(current());
    } catch (problem) {
      isRead = false;
      if (problem.name !== "AbortError") showProblem(problemPlace, problem);
    }
  });

  return {
    element,
    update(filters) {
      fields?.show(filters);
      const number = countSet(filters);
      replace(set, number > 0 && ` (${number})`);
      clear.hidden = number === 0;
      clear.href = `/inbox${addressQuery(filtersOf(new URLSearchParams({ view: filters.view })))}`;
      if (number) element.open = true;
    },
  };
}
