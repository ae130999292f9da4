// A list of the API, which comes in pages: shown in a container, with a button for the next page, and read again on news.

import { h, replace } from "./dom.js";
import { actionButton, showProblem } from "./elements.js";

/**
 * `load(cursor)` gets a page, `render(item)` makes an element of an item. `refresh()` reads from the beginning, so far that
 * nothing that was shown goes away, and touches only what has changed: a click or a focus on a row is not lost.
 */
export function pagedList({ load, render, container, label }) {
  const drawn = new Map();
  const more = h("div", { class: "more" });
  const problemPlace = h("div", { class: "place" });
  let refreshes = 0;

  function elementOf(item) {
    const said = JSON.stringify(item);
    const known = drawn.get(item.id);
    if (known?.said === said) return known.element;
    const element = render(item);
    drawn.set(item.id, { said, element });
    return element;
  }

  function offerMore(cursor) {
    const button = cursor && actionButton(label, () => loadMore(cursor), { class: "button button-secondary" });
    replace(more, button);
  }

  async function loadMore(cursor) {
    try {
      const page = await load(cursor);
      const elements = page.items.map(elementOf);
      container.append(...elements);
      replace(problemPlace);
      offerMore(page.next_cursor);
      (elements[0]?.querySelector("a") ?? elements[0])?.focus();
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  /** Returns how many are shown, or null when a later refresh has overtaken this one. */
  async function refresh() {
    refreshes += 1;
    const mine = refreshes;
    const wanted = container.children.length;
    let page = await load(null);
    const items = [...page.items];
    while (page.next_cursor && items.length < wanted) {
      page = await load(page.next_cursor);
      items.push(...page.items);
    }
    if (mine !== refreshes) return null;
    showExactly(container, items.map(elementOf));
    offerMore(page.next_cursor);
    return items.length;
  }

  return { refresh, more: h("div", {}, problemPlace, more) };
}

/** Makes these the children, in this order, without moving those that are in place; the focus stays with its link. */
function showExactly(container, elements) {
  const focused = container.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const wanted = new Set(elements);
  for (const child of [...container.children]) if (!wanted.has(child)) child.remove();
  elements.forEach((element, index) => {
    if (container.children[index] !== element) container.insertBefore(element, container.children[index] ?? null);
  });
  if (focused && !container.contains(document.activeElement)) {
    container.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}
