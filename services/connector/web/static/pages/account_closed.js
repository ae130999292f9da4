// What whoever has closed their account is told last.

import { h, replace } from "../core/dom.js";
import { pageHeading } from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { supportLine } from "../core/support.js";

export const width = "narrow";

let closing = null;

export function rememberClosing(told) {
  closing = told;
}

export async function show({ main }) {
  // Whoever comes here by its address is told nothing that nobody has asked the server.
  if (!closing) {
    await navigate("/sign-in", { replace: true });
    return null;
  }
  const { name, until } = closing;
  replace(
    main,
    pageHeading(t("account_closed.title", { name })),
    h("p", {}, t("account_closed.until", { until: dateTime(until) })),
    h("p", {}, t("account_closed.seller_central")),
    supportLine(),
  );
  return null;
}
