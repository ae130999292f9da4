// The page of a link by which a colleague asks somebody to consent at Amazon.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { notice, pageHeading } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { authorizeAtAmazon } from "./authorize.js";

export const width = "narrow";

export async function show({ main, params, signal }) {
  const asked = await get(`/authorization-links/${params.link}`, signal);
  const problemPlace = h("div", { class: "place" });
  const body = asked.integration_id ? { integration_id: asked.integration_id } : { country: asked.country };
  const button = h("button", { type: "button", class: "button", onclick: () => authorizeAtAmazon(body, { button, problemPlace, signal }) }, t("wizard.authorize"));
  const what = asked.integration_id ? t("consent_link.integration", { name: asked.integration_name ?? t("integrations.unnamed") }) : t("consent_link.country", { country: asked.country_name });
  replace(
    main,
    pageHeading(t("consent_link.page")),
    notice("info", null, h("p", {}, t(asked.asked_by ? "consent_link.asked" : "consent_link.asked_by_nobody", { name: asked.asked_by ?? "" }), " ", h("strong", {}, what))),
    h("p", {}, t("consent_link.primary")),
    problemPlace,
    button,
  );
}
