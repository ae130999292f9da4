// The sign-in page: a password and perhaps a second step, a passkey alone, or the company account. It leads on to the page that somebody wanted, if that is ours.

import { goToProvider } from "../core/company_account.js";
import { h, replace } from "../core/dom.js";
import { actionButton, busy, field, pageHeading, problemTexts } from "../core/elements.js";
import { clockTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { ownAddress } from "../core/own_address.js";
import { askPasskey, knowsPasskeys, wasCancelled } from "../core/passkeys.js";
import { navigate } from "../core/router.js";
import { finishSignIn, signedIn, signIn, signInWithPasskey } from "../core/session.js";

export const width = "narrow";

export async function show({ main, params, query, signal }) {
  const next = ownAddress(query.get("next"));
  if (signedIn()) return goOn(next);
  if (params.account_id) showCompany();
  else showFirstStep();
  return null;

  /** A company's own page: there is one way in. */
  function showCompany() {
    const said = alertPlace();
    const button = actionButton(t("sign_in.company"), () => tryTo(said, () => goToProvider({ account_id: params.account_id }, next, signal)), { class: "button button-wide", "data-autofocus": true });
    const other = h("p", {}, h("a", { href: "/sign-in" }, t("sign_in.other_way")));
    replace(main, pageHeading(t("sign_in.title")), h("p", { class: "lead" }, t("sign_in.company_text")), h("div", { class: "card form" }, said, button, other));
  }

  /** The address's domain says which company it is. */
  function showCompanyStep(typed) {
    const said = alertPlace();
    const email = field(t("sign_in.email"), { type: "email", name: "email", autocomplete: "username", required: true, inputmode: "email", autocapitalize: "none", value: typed }, t("sign_in.company_hint"));
    const button = h("button", { type: "submit", class: "button button-wide" }, t("sign_in.company_go"));
    const submit = (event) => {
      event.preventDefault();
      const address = email.input.value.trim();
      email.setError(address ? null : t("sign_in.email_missing"));
      if (!address) return email.input.focus();
      return busy(button, () => tryTo(said, () => goToProvider({ email: address }, next, signal)));
    };
    const back = h("p", {}, h("button", { type: "button", class: "link-button", onclick: () => showFirstStep().input.focus() }, t("sign_in.other_way")));
    replace(main, pageHeading(t("sign_in.company")), h("form", { class: "card form", novalidate: true, onsubmit: submit }, said, email.element, button, back));
    email.input.focus();
  }

  function showFirstStep(problem) {
    const email = field(t("sign_in.email"), {
      type: "email", name: "email", autocomplete: "username webauthn", required: true, inputmode: "email", autocapitalize: "none", "data-autofocus": true,
    });
    const password = field(t("sign_in.password"), { type: "password", name: "password", autocomplete: "current-password", required: true });
    const said = alertPlace(problem);
    const button = h("button", { type: "submit", class: "button button-wide" }, t("sign_in.button"));

    async function submit(event) {
      event.preventDefault();
      replace(said);
      email.setError(email.input.value.trim() ? null : t("sign_in.email_missing"));
      password.setError(password.input.value ? null : t("sign_in.password_missing"));
      const missing = [email, password].find((each) => each.input.hasAttribute("aria-invalid"));
      if (missing) return missing.input.focus();
      return busy(button, () => attempt(email.input.value.trim()));
    }

    async function attempt(address) {
      let left;
      try {
        left = await signIn(address, password.input.value);
      } catch (refused) {
        replace(said, sentences(refused));
        password.input.focus();
        password.input.select();
        return;
      }
      if (left) showSecondStep(left);
      else await goOn(next);
    }

    const passkey = actionButton(t("sign_in.passkey"), () => tryTo(said, () => signInWithPasskey(signal)), { class: "button button-secondary button-wide" });
    const company = h("button", { type: "button", class: "button button-secondary button-wide", onclick: () => showCompanyStep(email.input.value.trim()) }, t("sign_in.company"));
    const forgot = h("p", {}, h("a", { href: "/forgot-password" }, t("sign_in.forgot")));
    const form = h("form", { class: "card form", novalidate: true, onsubmit: submit }, said, email.element, password.element, button, knowsPasskeys() && passkey, company, forgot);
    replace(main, pageHeading(t("sign_in.title")), query.has("next") && h("p", { class: "lead" }, t("sign_in.then_back")), form);
    return email;
  }

  function showSecondStep({ takes_codes, passkey_options }) {
    const said = alertPlace();
    const code = field(t("sign_in.code"), { name: "code", autocomplete: "one-time-code", inputmode: "text", autocapitalize: "characters", spellcheck: "false", required: true }, t("sign_in.code_hint"));
    const button = h("button", { type: "submit", class: "button button-wide" }, t("sign_in.button"));

    async function submit(event) {
      event.preventDefault();
      replace(said);
      const typed = code.input.value.trim();
      code.setError(typed ? null : t("sign_in.code_missing"));
      if (!typed) return code.input.focus();
      return busy(button, async () => {
        await tryTo(said, () => finishSignIn({ code: typed }));
        code.input.select();
        code.input.focus();
      });
    }

    const withPasskey = () => tryTo(said, async () => finishSignIn({ passkey: await askPasskey(passkey_options, signal) }));
    const passkey = passkey_options && knowsPasskeys() && actionButton(t("sign_in.use_passkey"), withPasskey, { class: takes_codes ? "button button-secondary button-wide" : "button button-wide" });
    const back = h("p", {}, h("button", { type: "button", class: "link-button", onclick: () => showFirstStep().input.focus() }, t("sign_in.back")));
    const form = h("form", { class: "card form", novalidate: true, onsubmit: submit }, said, takes_codes && [code.element, button], passkey, !takes_codes && !passkey && h("p", {}, t("sign_in.no_way")), back);
    const heading = pageHeading(t("sign_in.second_step"));
    replace(main, heading, h("p", { class: "lead" }, t(takes_codes ? "sign_in.second_step_text" : "sign_in.second_step_passkey")), form);
    (takes_codes ? code.input : heading).focus();
  }

  /** Does what signs somebody in, and goes on; says what went wrong. */
  async function tryTo(said, work) {
    replace(said);
    try {
      await work();
    } catch (problem) {
      if (signal.aborted) return;
      if (wasCancelled(problem)) replace(said, h("p", {}, t("passkey.cancelled")));
      else if (problem.code === "sign_in_expired") showFirstStep(problem).input.focus();
      else replace(said, sentences(problem));
      return;
    }
    await goOn(next);
  }
}

function alertPlace(problem) {
  return h("div", { role: "alert", class: "form-error" }, problem && sentences(problem));
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
