// Shows a paged list of the API in a container, with a button for the next page, and reads it again when something changed.

import { h, replace } from "./dom.js";
import { actionButton, showProblem } from "./elements.js";
import { fieldEntered } from "./focus.js";

/**
 * `load(cursor)` gets a page, `render(item)` makes an element of an item. `refresh()` reads as many pages as are shown, and
 * replaces only the elements of items that have changed, so that a click or a focus on a row is not lost. `hasMore()` says
 * whether there are items that are not shown yet. `clear()` takes away what was asked for before something else was.
 */
export function pagedList({ load, render, container, label }) {
  const drawn = new Map();
  const more = h("div", { class: "more" });
  const problemPlace = h("div", { class: "place" });
  let refreshes = 0;
  let clearings = 0;
  let next = null;

  function elementOf(item) {
    const serialized = JSON.stringify(item);
    const known = drawn.get(item.id);
    if (known?.serialized === serialized) return known.element;
    const element = render(item);
    drawn.set(item.id, { serialized, element });
    return element;
  }

  function offerMore(cursor) {
    if (cursor && cursor === next) return;
    next = cursor;
    replace(more, next && actionButton(label, () => loadMore(fieldEntered()), { class: "button button-secondary" }));
  }

  async function loadMore(isFieldEntered) {
    const cursor = next;
    const before = clearings;
    try {
      const page = await load(cursor);
      if (before !== clearings) return null;
      // The list has been read again in the meantime, and something else follows.
      if (cursor !== next) return next && loadMore(isFieldEntered);
      const elements = page.items.map(elementOf);
      container.append(...elements);
      replace(problemPlace);
      offerMore(page.next_cursor);
      if (!isFieldEntered()) (elements[0]?.querySelector("a") ?? elements[0])?.focus();
    } catch (problem) {
      if (before === clearings) showProblem(problemPlace, problem);
    }
    return null;
  }

  function clear() {
    refreshes += 1;
    clearings += 1;
    container.replaceChildren();
    replace(problemPlace);
    offerMore(null);
  }

  /** Resolves to the number of items that are shown, or to null if a later refresh has overtaken this one. */
  async function refresh() {
    refreshes += 1;
    const thisRefresh = refreshes;
    const items = [];
    let page = null;
    try {
      // As many as are shown by then: more may be loaded in the meantime.
      do {
        page = await load(page?.next_cursor ?? null);
        items.push(...page.items);
      } while (thisRefresh === refreshes && page.next_cursor && items.length < container.children.length);
    } catch (problem) {
      if (thisRefresh === refreshes) throw problem;
    }
    if (thisRefresh !== refreshes) return null;
    setChildren(container, items.map(elementOf));
    offerMore(page.next_cursor);
    return items.length;
  }

  return { refresh, clear, more: h("div", {}, problemPlace, more), hasMore: () => more.childElementCount > 0 };
}

/** Makes these elements the children, in this order, without touching those already in order; the focus stays on its link, or in its element. */
function setChildren(container, elements) {
  const wasInside = container.contains(document.activeElement) && document.activeElement !== container;
  const focused = wasInside ? document.activeElement.getAttribute("href") : null;
  const place = wasInside ? [...container.children].findIndex((child) => child.contains(document.activeElement)) : -1;
  const named = wasInside && namedBy(container.children[place]);
  const wanted = new Set(elements);
  for (const child of [...container.children]) if (!wanted.has(child)) child.remove();
  elements.forEach((element, index) => {
    if (container.children[index] !== element) container.insertBefore(element, container.children[index] ?? null);
  });
  if (!wasInside || container.contains(document.activeElement)) return;
  const link = focused && container.querySelector(`a[href="${CSS.escape(focused)}"]`);
  // Drawn anew, for example because its state has changed: the button that had the focus may be gone.
  (link ?? (named && container.querySelector(named)))?.focus({ preventScroll: true });
}

/** What finds an element again that is drawn anew, if it can take the focus. */
function namedBy(element) {
  const [name, value] = Object.entries(element.dataset).find(([each]) => ["reply", "note", "message"].includes(each)) ?? [];
  return name && element.tabIndex === -1 && element.hasAttribute("tabindex") ? `[data-${name}="${CSS.escape(value)}"]` : null;
}
