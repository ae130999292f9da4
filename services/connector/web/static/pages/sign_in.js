// The sign-in page. It leads on to the page that somebody wanted, if that is an address of ours.

import { h, replace } from "../core/dom.js";
import { busy, field, pageHeading, problemTexts } from "../core/elements.js";
import { clockTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { ownAddress } from "../core/own_address.js";
import { navigate } from "../core/router.js";
import { signedIn, signIn } from "../core/session.js";

export const width = "narrow";

export async function show({ main, query }) {
  const next = ownAddress(query.get("next"));
  if (signedIn()) return goOn(next);

  const email = field(t("sign_in.email"), {
    type: "email", name: "email", autocomplete: "username", required: true, inputmode: "email", autocapitalize: "none", "data-autofocus": true,
  });
  const password = field(t("sign_in.password"), { type: "password", name: "password", autocomplete: "current-password", required: true });
  const said = h("div", { role: "alert", class: "form-error" });
  const button = h("button", { type: "submit", class: "button button-wide" }, t("sign_in.button"));

  async function submit(event) {
    event.preventDefault();
    replace(said);
    email.setError(email.input.value.trim() ? null : t("sign_in.email_missing"));
    password.setError(password.input.value ? null : t("sign_in.password_missing"));
    const missing = [email, password].find((each) => each.input.hasAttribute("aria-invalid"));
    if (missing) return missing.input.focus();
    return busy(button, () => attempt(email.input.value.trim(), password));
  }

  async function attempt(address, passwordField) {
    try {
      await signIn(address, passwordField.input.value);
    } catch (problem) {
      replace(said, sentences(problem));
      passwordField.input.focus();
      passwordField.input.select();
      return;
    }
    await goOn(next);
  }

  const form = h("form", { class: "card form", novalidate: true, onsubmit: submit }, said, email.element, password.element, button);
  replace(main, pageHeading(t("sign_in.title")), query.has("next") && h("p", { class: "lead" }, t("sign_in.then_back")), form);
  return null;
}

function sentences(problem) {
  const { title, detail, code } = problemTexts(problem);
  const until = problem.retryAfterSeconds ? new Date(Date.now() + problem.retryAfterSeconds * 1000) : null;
  return [
    h("p", { class: "notice-title" }, title),
    h("p", {}, detail),
    problem.status === 429 && until && h("p", {}, t("sign_in.again_at", { time: clockTime(until) })),
    h("p", { class: "code" }, code),
  ];
}

/** Goes to a page. The server renders /amazon/confirm/ itself, so the browser has to load it. */
function goOn(next) {
  if (next.startsWith("/amazon/confirm/")) return location.replace(next);
  return navigate(next, { replace: true });
}
