// Accepts an invitation by the link of a mail. The token is in the address's fragment, which browsers send to nobody.

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
  const offer = token && (await post("/invitations/look", { token }, signal).catch(refused));
  if (!offer) {
    replace(main, pageHeading(t("invitation.title")), notice("warning", null, h("p", {}, t("invitation.invalid"))));
    return null;
  }
  const name = field(t("invitation.name"), { name: "name", autocomplete: "name", maxlength: 100, required: true, value: offer.name ?? "", "data-autofocus": true });
  const email = h("input", { type: "email", name: "username", autocomplete: "username", value: offer.email, readonly: true, hidden: true });
  const password = field(t("password.new"), { type: "password", name: "new-password", autocomplete: "new-password", required: true }, t("password.hint"));
  const said = h("div", { role: "alert", class: "form-error" });
  const button = h("button", { type: "submit", class: "button button-wide" }, t("invitation.accept"));

  async function accept() {
    const body = { token, name: name.input.value.trim(), password: password.input.value, time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
    try {
      await post("/invitations/accept", body, signal);
    } catch (problem) {
      const { title, detail } = problemTexts(problem);
      if (problem.code?.startsWith("password_")) {
        password.setError(`${title}. ${detail}`);
        return password.input.focus();
      }
      return replace(said, h("p", { class: "notice-title" }, title), detail && h("p", {}, detail));
    }
    token = "";
    const heading = pageHeading(t("invitation.done_title"));
    replace(main, heading, h("p", { class: "lead" }, t("invitation.done", { email: offer.email })), h("a", { href: "/sign-in", class: "button" }, t("sign_in.title")));
    return heading.focus();
  }

  function submit(event) {
    event.preventDefault();
    replace(said);
    name.setError(name.input.value.trim() ? null : t("invitation.name_missing"));
    password.setError(password.input.value ? null : t("sign_in.password_missing"));
    const wrong = [name, password].find(({ input }) => input.hasAttribute("aria-invalid"));
    return wrong ? wrong.input.focus() : busy(button, accept);
  }

  const words = offer.invited_by ? t("invitation.by", { inviter: offer.invited_by, account: offer.account_name, email: offer.email }) : t("invitation.to", { account: offer.account_name, email: offer.email });
  replace(main, pageHeading(t("invitation.title")), h("p", { class: "lead" }, words), h("form", { class: "card form", novalidate: true, onsubmit: submit }, said, email, name.element, password.element, button));
  return null;
}

function refused(problem) {
  if (problem.code === "invitation_invalid") return null;
  throw problem;
}
