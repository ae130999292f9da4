// A mail's HTML as a document of its own, in a frame that runs nothing and loads nothing, as tall as what it shows.

import { downloadUrl } from "../core/api.js";
import { h } from "../core/dom.js";
import { t } from "../core/i18n.js";

// Links open in windows of their own, which are windows like any other. This page may see how tall the document is; without scripts, the document
// sees nothing of this page.
const SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";

/** Until the signal is aborted, it is as tall as its document. */
export function frame(message, signal) {
  const element = h("iframe", {
    class: "formatted-frame",
    src: downloadUrl(`/messages/${message.id}/html`),
    sandbox: SANDBOX,
    height: 128,
    referrerpolicy: "no-referrer",
    title: t("formatted.title"),
  });
  let sizes = null;
  signal.addEventListener("abort", () => sizes?.disconnect());
  element.addEventListener("load", () => {
    sizes?.disconnect();
    const root = element.contentDocument?.documentElement;
    if (!root) return;
    sizes = new ResizeObserver(() => fit(element));
    sizes.observe(root);
  });
  // On paper it has another width, so other lines break: it is as wide before it is measured.
  const print = (isPrinted) => {
    element.classList.toggle("formatted-frame-printed", isPrinted);
    fit(element);
  };
  addEventListener("beforeprint", () => print(true), { signal });
  addEventListener("afterprint", () => print(false), { signal });
  return element;
}

/** As tall as its content. */
function fit(element) {
  const root = element.contentDocument?.documentElement;
  if (root) element.height = Math.ceil(root.getBoundingClientRect().height) + element.offsetHeight - element.clientHeight;
}
