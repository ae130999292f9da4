// A mail's HTML, on request: a document of its own in a frame that runs nothing and loads nothing, as tall as what it shows.

import { downloadUrl } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { t } from "../core/i18n.js";

// Links open in windows of their own, which are windows like any other. This page may see how tall the document is; without scripts, the document
// sees nothing of this page.
const SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";
// As wide as a sheet of A4 between its margins: on paper other lines break.
const PRINT_WIDTH = "680px";

export function formattedView(message, signal) {
  const id = newId("formatted");
  const place = h("div", { id, class: "formatted" });
  const button = h("button", { type: "button", class: "button button-secondary button-small", "aria-expanded": "false", "aria-controls": id }, t("formatted.show"));
  let shown = null;
  button.addEventListener("click", () => {
    shown?.abort();
    shown = shown ? null : new AbortController();
    button.setAttribute("aria-expanded", String(Boolean(shown)));
    button.textContent = t(shown ? "formatted.hide" : "formatted.show");
    replace(place, shown && [frame(message, AbortSignal.any([signal, shown.signal])), h("p", { class: "hint" }, t("formatted.images"))]);
  });
  return h("div", { class: "formatted-place" }, button, place);
}

function frame(message, signal) {
  const element = h("iframe", {
    class: "formatted-frame",
    src: downloadUrl(`/messages/${message.id}/html`),
    sandbox: SANDBOX,
    referrerpolicy: "no-referrer",
    title: t("formatted.title"),
  });
  let sizes = null;
  // Its own on paper, else that of its surroundings.
  let width = "";
  const fitTo = (chosen) => {
    width = chosen;
    fit(element, width);
  };
  signal.addEventListener("abort", () => sizes?.disconnect());
  element.addEventListener("load", () => {
    sizes?.disconnect();
    const root = element.contentDocument?.documentElement;
    if (!root) return;
    sizes = new ResizeObserver(() => fit(element, width));
    sizes.observe(root);
  });
  addEventListener("beforeprint", () => fitTo(PRINT_WIDTH), { signal });
  addEventListener("afterprint", () => fitTo(""), { signal });
  return element;
}

/** As tall as its content, for which it is first as wide as it will be. */
function fit(element, width) {
  element.style.width = width;
  const root = element.contentDocument?.documentElement;
  if (root) element.style.height = `${Math.ceil(root.getBoundingClientRect().height) + borders(element)}px`;
}

const borders = (element) => element.offsetHeight - element.clientHeight;
