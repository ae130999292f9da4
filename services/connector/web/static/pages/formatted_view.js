// A mail's HTML, on request: what shows it is loaded when somebody asks for it.

import { h, newId, replace } from "../core/dom.js";
import { showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { loadLater } from "../core/router.js";

export function formattedView(message, signal) {
  const id = newId("formatted");
  const place = h("div", { id, class: "formatted" });
  const button = h("button", { type: "button", class: "button button-secondary button-small", "aria-expanded": "false", "aria-controls": id }, t("formatted.show"));
  let shown = null;

  async function show(ends) {
    try {
      const { frame } = await loadLater(() => import("./formatted_frame.js"));
      if (!ends.aborted) replace(place, [frame(message, ends), h("p", { class: "hint" }, t("formatted.images"))]);
    } catch (problem) {
      if (!ends.aborted) showProblem(place, problem);
    }
  }

  button.addEventListener("click", () => {
    shown?.abort();
    shown = shown ? null : new AbortController();
    button.setAttribute("aria-expanded", String(Boolean(shown)));
    button.textContent = t(shown ? "formatted.hide" : "formatted.show");
    replace(place);
    if (shown) show(AbortSignal.any([signal, shown.signal]));
  });
  return h("div", { class: "formatted-place" }, button, place);
}
