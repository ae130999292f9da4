// Marks what somebody looks for, wherever it is shown. How that is done is loaded when somebody searches.

import { h } from "./dom.js";

/** What the page looks for: it stands beside the address, never in it. */
export const searched = () => history.state?.q ?? "";

/** Marks within `element` what the page's search is for, also in what is drawn later; `bar` is given what leads from one hit to the next. */
export function keepMarked(element, signal, bar = null) {
  let mark = null;
  let isLoading = false;

  async function load() {
    isLoading = true;
    try {
      const { marker } = await import("./marking.js");
      mark = marker(element, bar);
      update();
    } catch {
      // What is found is there without its marks, too.
      isLoading = false;
    }
  }

  function update() {
    if (mark) mark(searched());
    else if (searched() && !isLoading) load();
  }

  const observer = new MutationObserver(update);
  observer.observe(element, { childList: true, subtree: true });
  signal.addEventListener("abort", () => observer.disconnect());
  // A search may end and leave everything where it is.
  addEventListener("popstate", update, { signal });
}

/** A bar for the marks in the messages of a conversation: how many, which one, back and on. */
export function hits(pane, signal) {
  const bar = h("div", { class: "hits", hidden: true });
  keepMarked(pane, signal, bar);
  return bar;
}
