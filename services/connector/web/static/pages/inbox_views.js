// The views of the inbox beside its list: what waits for somebody, with how many there are, and one's own saved views.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { addressQuery, filtersOf, inView, VIEWS } from "./inbox_filters.js";

// The largest count that the API gives.
const MOST_COUNTED = 1000;
// Those that are the first thing that people look for, and those where they seldom look.
const GROUPS = [["open", "mine", "unassigned"], ["due", "overdue", "failed", "unread"], ["snoozed", "closed", "quarantine", "all"]];

/** `current()` are the filters that are shown. */
export function inboxViews({ current, signal }) {
  const links = Object.fromEntries(
    Object.keys(VIEWS).map((view) => {
      const number = h("span", { class: "count" });
      return [view, { number, link: h("a", { "data-view": view }, h("span", {}, t(`inbox.view.${view}`)), number) }];
    }),
  );
  const saved = h("ul", { class: "views-saved" });
  const problemPlace = h("div", { class: "place" });
  const lists = GROUPS.map((group) => h("ul", {}, group.map((view) => h("li", {}, links[view].link))));
  const element = h("nav", { class: "views", "aria-label": t("inbox.views") }, lists, saved, problemPlace);
  let items = [];
  let tellShown = () => {};

  async function readSaved() {
    try {
      ({ items } = await get("/saved-views", signal));
      replace(problemPlace);
      replace(saved, items.map((view) => h("li", {}, h("a", { "data-saved-view": view.id, title: view.name }, h("bdi", {}, view.name)))));
      mark();
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  const queryOf = ({ filters }) => addressQuery({ ...filtersOf(new URLSearchParams(Object.entries(filters).filter(([, value]) => value))), q: "" });
  /** The saved view that shows just this, or null. */
  const savedView = () => items.find((view) => queryOf(view) === addressQuery(current()) && !current().q) ?? null;

  function mark() {
    const filters = current();
    const own = savedView();
    saved.hidden = items.length === 0;
    for (const [view, { link }] of Object.entries(links)) {
      link.href = `/inbox${addressQuery(inView(filters, view))}`;
      markLink(link, !own && view === filters.view);
    }
    items.forEach((view, index) => {
      const link = saved.children[index].firstElementChild;
      link.href = `/inbox${queryOf(view)}`;
      // Only the filters are saved: what was searched for goes.
      link.dataset.state = "{}";
      markLink(link, view === own);
    });
    tellShown();
  }

  /** Where the views are one line, the one that is shown is in sight. */
  function markLink(link, isShown) {
    const was = link.getAttribute("aria-current");
    if (!isShown) return link.removeAttribute("aria-current");
    link.setAttribute("aria-current", "page");
    if (!was && element.scrollWidth > element.clientWidth) element.scrollTo(link.offsetLeft - (element.clientWidth - link.offsetWidth) / 2, 0);
    return null;
  }

  return {
    element,
    readSaved,
    savedView,
    update: mark,
    /** `work()` is done now, and whenever another view is shown or they have changed. */
    onShown(work) {
      tellShown = work;
      work();
    },
    /** Each with what leads to it, for whoever types. */
    commands() {
      const all = [...element.querySelectorAll("a")];
      return all.map((link) => [t("palette.view", { name: link.firstElementChild.textContent }), () => link.click()]);
    },
    count(counts) {
      for (const [view, { number, link }] of Object.entries(links)) {
        const isLate = (view === "overdue" || view === "failed") && counts[view] > 0;
        number.textContent = counts[view] ? ` ${shownCount(counts[view])}` : "";
        number.classList.toggle("count-late", isLate);
        link.classList.toggle("view-empty", counts[view] === 0);
      }
    },
  };
}

const shownCount = (number) => (number >= MOST_COUNTED ? `${MOST_COUNTED - 1}+` : String(number));
