// Stores that were disconnected and can still be restored, with the day until which that is so.

import { eachPage, post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { resync } from "../core/events.js";
import { date } from "../core/format.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";

/** Draws the section, or nothing when no store is in its grace period. */
export async function drawGracePeriod(place, signal) {
  const stores = [];
  await eachPage("/integrations?state=resting&limit=100", signal, (items) => stores.push(...items));
  replace(
    place,
    stores.length > 0 && [
      h("h2", {}, t("grace_period.title")),
      h("p", { class: "muted" }, t("grace_period.text")),
      h("ul", { class: "grace-period" }, stores.map((integration) => item(integration, signal))),
    ],
  );
}

function item(integration, signal) {
  const name = integration.name ?? integration.account.store_name ?? integration.account.seller_id_masked;
  const problemPlace = h("div", { class: "place" });

  async function restore(body) {
    try {
      await post(`/integrations/${integration.id}/restoration`, body, signal);
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
      if (problem.code === "name_taken") problemPlace.append(otherName());
      return;
    }
    resync();
    // What is left to do there is to authorize again: the store's own page says so.
    await navigate(`/integrations/${integration.id}`);
  }

  function otherName() {
    const field = elements.field(t("grace_period.other_name"), { maxlength: 60, autocomplete: "off" });
    const button = h("button", { type: "submit", class: "button" }, t("grace_period.restore"));
    const submit = (event) => {
      event.preventDefault();
      elements.busy(button, () => restore({ name: field.input.value }));
    };
    return h("form", { class: "inline-form", novalidate: true, onsubmit: submit }, field.element, button);
  }

  return h(
    "li",
    { class: "card", "data-testid": "grace-period", "data-integration": integration.id },
    h("p", {}, h("strong", {}, name), " ", h("span", { class: "muted" }, t(`grace_period.until.${integration.data_after_rest ?? "keep"}`, { date: date(integration.rests_until) }))),
    may("general.admin", "edit") && elements.actionButton(t("grace_period.restore"), () => restore({}), { class: "button button-secondary", "aria-label": t("grace_period.restore_named", { name }) }),
    problemPlace,
  );
}
