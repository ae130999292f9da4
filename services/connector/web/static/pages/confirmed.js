// Where the company's provider leads back to when it has confirmed who is there: tells the page that has asked, and closes.

import { tellConfirmed } from "../core/company_account.js";
import { h, replace } from "../core/dom.js";
import { pageHeading } from "../core/elements.js";
import { t } from "../core/i18n.js";

export const width = "narrow";

export async function show({ main }) {
  tellConfirmed();
  window.close();
  replace(main, pageHeading(t("confirmed.title")), h("p", { class: "lead" }, t("confirmed.text")));
  return null;
}
