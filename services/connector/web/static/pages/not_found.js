// The page for an address that is no page, or names something that this account does not have.

import { h, replace } from "../core/dom.js";
import { pageHeading } from "../core/elements.js";
import { t } from "../core/i18n.js";

export const width = "narrow";

export function show({ main }) {
  replace(
    main,
    pageHeading(t("not_found.title")),
    h("p", {}, t("not_found.text")),
    h("p", {}, h("a", { href: "/", class: "button" }, t("not_found.home"))),
  );
}
