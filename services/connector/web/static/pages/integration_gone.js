// A store that somebody has disconnected while a page shows it: what is shown of it is no longer true.

import { h } from "../core/dom.js";
import { notice } from "../core/elements.js";
import { t } from "../core/i18n.js";

/** The words that take its place, with the way out. */
export function integrationGone(wayOut) {
  return notice("warning", t("integration.gone.title"), h("p", { role: "status" }, t("integration.gone.text")), wayOut);
}

/** The words for a store that has never been shown: nobody knows whether it ever was. */
export function integrationUnknown(wayOut) {
  return notice("warning", t("integration.unknown.title"), h("p", { role: "status" }, t("integration.unknown.text")), wayOut);
}

/** The way out of a page: to the list, where the store can be restored. */
export function toTheList() {
  return h("a", { href: "/integrations", class: "button" }, t("integration.gone.close"));
}
