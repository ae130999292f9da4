// The page for an answer of Amazon's that matches no attempt of this browser. It needs no sign-in.

import { h, replace } from "../core/dom.js";
import { notice, pageHeading } from "../core/elements.js";
import { helpfulQuestion } from "../core/helpful.js";
import { hasText, t } from "../core/i18n.js";
import { supportLine } from "../core/support.js";

// Where nothing is known of the attempt, it may as well have been to authorize a store again: the list offers both.
const LINKS = {
  attempt_unknown: "/integrations",
  attempt_expired: "/integrations/new?source=amazon",
  other_browser: "/integrations",
  sign_in_again: "/sign-in?next=%2Fintegrations",
  code_missing: "/integrations/new?source=amazon",
  permission_missing: "/",
  unknown: "/integrations",
};

export const width = "narrow";

export async function show({ main, params, query }) {
  const code = params.code in LINKS && hasText(`connect_problem.${params.code}.title`) ? params.code : "unknown";
  replace(
    main,
    pageHeading(t(`connect_problem.${code}.title`)),
    notice(
      "warning",
      null,
      h("p", {}, t(`connect_problem.${code}.text`)),
      h("p", {}, t(isByLink(code, query) ? "connect_problem.other_browser.cure_by_link" : `connect_problem.${code}.cure`)),
      code === "unknown" && h("p", { class: "code" }, ownCode(params.code)),
    ),
    h("p", {}, h("a", { href: wayOn(code, query), class: "button" }, t(isByLink(code, query) ? "connect_problem.other_browser.button_by_link" : `connect_problem.${code}.button`))),
    supportLine(),
    h("p", { class: "muted" }, t("connect_problem.nothing_lost")),
    helpfulQuestion(code),
  );
}

/** Who came by a link opens it here, too: what is begun without it, nobody hears of who has asked for it. */
const isByLink = (code, query) => code === "other_browser" && query.get("by") === "link";

/** In another browser it begins anew where it began: at the store that was to be authorized again, or at its country. */
function wayOn(code, query) {
  const [integration, country] = [query.get("integration") ?? "", query.get("country") ?? ""];
  if (code === "other_browser" && /^[0-9a-f-]{36}$/.test(integration)) return `/integrations/${integration}`;
  if (code === "other_browser" && /^[A-Z]{2}$/.test(country)) return `/integrations/new?source=amazon&country=${country}`;
  return LINKS[code];
}

/** Anybody can make up an address, so only what looks like a code of ours is shown. */
function ownCode(text) {
  return /^[a-z_]{1,40}$/.test(text) ? text : "unknown";
}
