// For people who may not consent at Amazon: a link to hand to whoever may, the primary user of the seller account.

import { post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, copyButton, showProblem } from "../core/elements.js";
import { date } from "../core/format.js";
import { t } from "../core/i18n.js";

/** `body()` gives `{country}` or `{integration_id}`, or null while nothing is chosen; `clear()` takes away what was made for another one. */
export function consentLink(body, signal) {
  const place = h("div", { class: "place", role: "status" });
  let unwanted = new AbortController();

  async function make() {
    const wanted = body();
    if (!wanted) return replace(place, h("p", {}, t("wizard.choose_first")));
    try {
      const { url, expires_at: expiresAt } = await post("/authorization-links", wanted, AbortSignal.any([signal, unwanted.signal]));
      const link = h("code", { class: "address address-small", "data-testid": "consent-link" }, url);
      replace(place, h("div", { class: "address-line" }, link, copyButton(t("consent_link.copy"), link)), h("p", { class: "muted" }, t("consent_link.good_until", { date: date(expiresAt) })));
    } catch (problem) {
      showProblem(place, problem);
    }
  }

  const element = h("details", { class: "consent-link" }, h("summary", {}, t("consent_link.title")), h("p", {}, t("consent_link.text"), " ", h("a", { href: "/settings/users" }, t("consent_link.invite"))), actionButton(t("consent_link.make"), make, { class: "button button-secondary" }), place);
  /** Also one that is being made. */
  function clear() {
    unwanted.abort();
    unwanted = new AbortController();
    replace(place);
  }

  return { element, clear };
}
