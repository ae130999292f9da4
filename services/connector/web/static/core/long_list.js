// A list of any length, of which only the rows in sight are elements. All rows have the same height, which the style sheet gives them.

import { h } from "./dom.js";

// Beyond the window, above and below: a turn of the wheel meets rows that are there.
const ROWS_BEYOND = 6;
// So many rows before the end the next ones are asked for.
const ROWS_AHEAD = 40;
const FIRST_GUESS_PX = 110;

/**
 * `render(item, element)` fills an item's element, an `li`, whenever the item has changed; `mark(item, element)` does so whenever it is shown.
 * `onEnd()` is called as the end comes near. `element` is the list; `scroller`, what scrolls it where not the document does.
 */
export function longList({ label, scroller, signal, render, mark, onEnd }) {
  const element = h("ul", { class: "long-list", "aria-label": label });
  const drawn = new Map();
  let items = [];
  let places = new Map();
  let hasMore = false;
  let height = FIRST_GUESS_PX;

  document.addEventListener("scroll", draw, { capture: true, passive: true, signal });
  // Also when it is shown again after another page of a phone.
  const sizes = new ResizeObserver(measured);
  sizes.observe(element);
  signal.addEventListener("abort", () => sizes.disconnect());

  /** Another width, or larger letters: the first row says how high they are now. */
  function measured() {
    const row = element.firstElementChild;
    if (!isShown() || !row || row.offsetHeight === height) return draw();
    const first = firstInSight();
    height = row.offsetHeight;
    draw();
    if (first > 0) scrollBy(topOf(first) - windowTop());
    return draw();
  }

  const isShown = () => element.offsetParent !== null;
  const windowTop = () => Math.max(scroller.getBoundingClientRect().top, 0);
  const topOf = (index) => element.getBoundingClientRect().top + index * height;
  const firstInSight = () => Math.max(Math.floor((windowTop() - element.getBoundingClientRect().top) / height), 0);
  /** On a phone the document scrolls. */
  const scrolls = () => (scroller.scrollHeight > scroller.clientHeight ? scroller : document.scrollingElement);
  const scrollBy = (pixels) => scrolls().scrollBy(0, pixels);

  function draw() {
    element.style.height = `${items.length * height}px`;
    if (!isShown()) return;
    const from = Math.max(firstInSight() - ROWS_BEYOND, 0);
    const to = Math.min(Math.ceil((innerHeight - element.getBoundingClientRect().top) / height) + ROWS_BEYOND, items.length);
    const wanted = items.slice(from, Math.max(to, 0));
    const focused = itemOf(document.activeElement);
    // Whoever has the focus keeps it, however far the wheel turns.
    if (focused && !wanted.includes(focused)) wanted[places.get(focused.id) < from ? "unshift" : "push"](focused);
    const ids = new Set(wanted.map(({ id }) => id));
    for (const [id, { row }] of drawn) if (!ids.has(id)) forget(id, row);
    let before = null;
    for (const item of wanted) {
      const row = drawRow(item);
      if (row.parentElement !== element || row.previousElementSibling !== before) element.insertBefore(row, before ? before.nextElementSibling : element.firstElementChild);
      before = row;
    }
    if (hasMore && to > items.length - ROWS_AHEAD) onEnd();
    if (before && element.firstElementChild.offsetHeight !== height) measured();
  }

  function drawRow(item) {
    const known = drawn.get(item.id);
    const row = known?.row ?? h("li", { "data-row": item.id });
    if (!known || (known.item !== item && JSON.stringify(known.item) !== JSON.stringify(item))) {
      const hadFocus = row.contains(document.activeElement);
      render(item, row);
      if (hadFocus && !row.contains(document.activeElement)) row.querySelector("a")?.focus({ preventScroll: true });
    }
    drawn.set(item.id, { item, row });
    const index = places.get(item.id);
    row.style.top = `${index * height}px`;
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-setsize", hasMore ? -1 : items.length);
    mark(item, row);
    return row;
  }

  function forget(id, row) {
    row.remove();
    drawn.delete(id);
  }

  /** The item in whose row this element is. */
  function itemOf(inside) {
    const id = element.contains(inside) && inside.closest("li")?.dataset.row;
    return items[places.get(id)] ?? null;
  }

  /** Shows these items; what is in sight stays where it is, unless the list is at its top. */
  function show(newItems, { more = false } = {}) {
    const anchor = isShown() ? items.slice(firstInSight()).find(({ id }) => newItems.some((each) => each.id === id)) : null;
    const isMoved = anchor && firstInSight() > 0;
    const before = anchor && topOf(places.get(anchor.id));
    items = newItems;
    hasMore = more;
    places = new Map(items.map(({ id }, index) => [id, index]));
    draw();
    if (isMoved) scrollBy(topOf(places.get(anchor.id)) - before);
    draw();
  }

  /** Brings an item into sight, if it is not. */
  function reveal(id) {
    if (!places.has(id) || !isShown()) return;
    const top = topOf(places.get(id));
    const bottom = Math.min(innerHeight, scroller.scrollHeight > scroller.clientHeight ? scroller.getBoundingClientRect().bottom : innerHeight);
    if (top < windowTop()) scrollBy(top - windowTop());
    else if (top + height > bottom) scrollBy(top + height - bottom);
    draw();
  }

  return {
    element,
    show,
    reveal,
    /** Marks anew what is in sight. */
    redraw: draw,
    /** Draws anew what is in sight: something besides the items has changed. */
    renderAll() {
      for (const each of drawn.values()) each.item = null;
      draw();
    },
    /** Gives the focus to an item's link; it comes into sight. */
    focus(id) {
      reveal(id);
      drawn.get(id)?.row.querySelector("a")?.focus({ preventScroll: true });
    },
    items: () => items,
    itemOf,
    indexOf: (id) => places.get(id) ?? -1,
    shownIds: () => [...drawn.keys()],
    isScrolled: () => isShown() && firstInSight() > 0,
    toTop: () => isShown() && scrollBy(topOf(0) - windowTop()),
  };
}
