// A mail's HTML, on request: a document of its own in a frame that runs nothing, knows nothing of us and loads nothing.

import { downloadUrl } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { t } from "../core/i18n.js";

// Links open in windows of their own, which are windows like any other. Nothing else is allowed.
const SANDBOX = "allow-popups allow-popups-to-escape-sandbox";

export function formattedView(message) {
  const id = newId("formatted");
  const place = h("div", { id, class: "formatted" });
  const button = h("button", { type: "button", class: "button button-secondary button-small", "aria-expanded": "false", "aria-controls": id }, t("formatted.show"));
  button.addEventListener("click", () => {
    const isShown = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isShown));
    button.textContent = t(isShown ? "formatted.show" : "formatted.hide");
    replace(place, !isShown && [frame(message), h("p", { class: "hint" }, t("formatted.images"))]);
  });
  return h("div", { class: "formatted-place" }, button, place);
}

function frame(message) {
  return h(
    "div",
    { class: "formatted-frame" },
    h("iframe", { src: downloadUrl(`/messages/${message.id}/html`), sandbox: SANDBOX, referrerpolicy: "no-referrer", title: t("formatted.title") }),
  );
}
