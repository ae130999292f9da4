// Asks for a link to set a new password. It says the same whether somebody has the address or not.

import { post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { busy, field, notice, pageHeading, showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";

export const width = "narrow";

export async function show({ main, signal }) {
  const email = field(t("sign_in.email"), { type: "email", name: "email", autocomplete: "username", required: true, inputmode: "email", autocapitalize: "none", "data-autofocus": true });
  const said = h("div", { class: "place", role: "status" });
  const button = h("button", { type: "submit", class: "button button-wide" }, t("forgot.send"));

  async function send() {
    try {
      await post("/password-resets", { email: email.input.value.trim() }, signal);
      replace(said, notice("info", t("forgot.sent_title"), h("p", {}, t("forgot.sent"))));
    } catch (problem) {
      showProblem(said, problem);
    }
  }

  function submit(event) {
    event.preventDefault();
    replace(said);
    email.setError(email.input.value.trim() ? null : t("sign_in.email_missing"));
    if (email.input.hasAttribute("aria-invalid")) return email.input.focus();
    return busy(button, send);
  }

  const form = h("form", { class: "card form", novalidate: true, onsubmit: submit }, email.element, button, said, h("p", {}, h("a", { href: "/sign-in" }, t("forgot.back"))));
  replace(main, pageHeading(t("forgot.title")), h("p", { class: "lead" }, t("forgot.lead")), form);
  return null;
}
