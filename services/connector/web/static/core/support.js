// Where people ask for help: the operator's choice, which the document names. Nowhere, if it names none.

import { h } from "./dom.js";
import { t } from "./i18n.js";

/** A link that leads there, or nothing; without a label it says the address itself. */
export function supportLink(label) {
  const address = document.querySelector('meta[name="support-contact"]')?.content;
  if (!address) return null;
  const isMail = address.startsWith("mailto:");
  const inOwnWindow = isMail ? {} : { target: "_blank", rel: "noopener noreferrer" };
  return h("a", { href: address, ...inOwnWindow }, label ?? (isMail ? address.slice("mailto:".length) : t("support.page")));
}

/** A line for pages that say what went wrong and show its code, or nothing. */
export function supportLine() {
  const link = supportLink();
  return link && h("p", {}, `${t("support.with_code")} `, link);
}
