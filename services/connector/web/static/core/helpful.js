// The question at the end of the guide and of pages that tell a problem: did this help? The answer is counted, without who gave it.

import { post } from "./api.js";
import { actionButton, showProblem } from "./elements.js";
import { h, newId, replace } from "./dom.js";
import { language, t } from "./i18n.js";

/** `page`: one of the API's names of pages (HelpPage). */
export function helpfulQuestion(page) {
  const id = newId("helpful");
  const place = h("div", { class: "place" });
  const said = h("p", { role: "status", tabindex: "-1" });
  const buttons = h("div", { class: "buttons" });

  async function answer(isHelpful) {
    try {
      await post("/page-feedback", { page, language: language(), helpful: isHelpful });
      replace(place);
      said.textContent = t(isHelpful ? "helpful.thanks" : "helpful.thanks_no");
      said.focus({ preventScroll: true });
      buttons.remove();
    } catch (problem) {
      showProblem(place, problem, h("p", {}, t("helpful.again")));
    }
  }

  const choice = (key, isHelpful) => actionButton(t(key), () => answer(isHelpful), { class: "button button-secondary button-small", "aria-describedby": id });
  replace(buttons, choice("helpful.yes", true), choice("helpful.no", false));
  return h("div", { class: "helpful section", role: "group", "aria-labelledby": id, "data-testid": "helpful" }, h("p", { id }, t("helpful.question")), buttons, said, place);
}
