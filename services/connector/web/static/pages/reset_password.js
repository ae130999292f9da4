// Sets a new password by the link of a mail. The token is in the address's fragment, which browsers send to nobody.

import { post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { busy, field, notice, pageHeading, problemTexts } from "../core/elements.js";
import { t } from "../core/i18n.js";

export const width = "narrow";

// Kept while the page is drawn anew in another language.
let token = "";

export async function show({ main, signal }) {
  token = location.hash.slice(1) || token;
  // Neither the history nor a look over somebody's shoulder shall keep it.
  history.replaceState(history.state, "", location.pathname);
  const again = h("a", { href: "/forgot-password", class: "button" }, t("reset.ask_again"));
  if (!token) {
    replace(main, pageHeading(t("reset.title")), notice("warning", null, h("p", {}, t("reset.no_token")), again));
    return null;
  }
  const password = field(t("password.new"), { type: "password", name: "new-password", autocomplete: "new-password", required: true, "data-autofocus": true }, t("password.hint"));
  const said = h("div", { role: "alert", class: "form-error" });
  const button = h("button", { type: "submit", class: "button button-wide" }, t("reset.set"));

  async function set() {
    try {
      await post("/password-resets/use", { token, new: password.input.value }, signal);
    } catch (problem) {
      const { title, detail } = problemTexts(problem);
      if (problem.code === "reset_expired") return replace(said, h("p", { class: "notice-title" }, title), h("p", {}, detail), again);
      password.setError(`${title}. ${detail}`);
      return password.input.focus();
    }
    token = "";
    const heading = pageHeading(t("reset.done_title"));
    replace(main, heading, h("p", { class: "lead" }, t("reset.done")), h("a", { href: "/sign-in", class: "button" }, t("sign_in.title")));
    return heading.focus();
  }

  function submit(event) {
    event.preventDefault();
    replace(said);
    password.setError(password.input.value ? null : t("sign_in.password_missing"));
    if (!password.input.value) return password.input.focus();
    return busy(button, set);
  }

  replace(main, pageHeading(t("reset.title")), h("form", { class: "card form", novalidate: true, onsubmit: submit }, said, password.element, button));
  return null;
}
