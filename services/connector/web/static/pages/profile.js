// The profile: who one is, and how one signs in. Whoever has still to set up a second factor sees that alone.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { notice, pageHeading } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { needsSecondFactor } from "../core/session.js";
import { secondFactorSection } from "./profile_factors.js";
import { passwordSection } from "./profile_password.js";
import { personSection } from "./profile_person.js";
import { sessionsSection } from "./profile_sessions.js";

export async function show({ main, signal }) {
  const isFirst = needsSecondFactor();
  const [factors, ways] = await Promise.all([secondFactorSection(signal), get("/me/second-factor", signal)]);
  if (isFirst) {
    replace(main, pageHeading(t("profile.title")), notice("warning", t("factor.needed_title"), h("p", {}, t("factor.needed"))), factors);
    return null;
  }
  const sessions = await sessionsSection(signal);
  replace(main, pageHeading(t("profile.title")), h("div", { class: "profile" }, personSection(signal), ways.is_company_account_only ? companySection() : passwordSection(signal, sessions.refresh), factors, sessions.element));
  return null;
}

/** In place of a password that lets nobody in. */
const companySection = () => h("section", { class: "card section" }, h("h2", {}, t("company.title")), h("p", {}, t("profile.company_only")));
