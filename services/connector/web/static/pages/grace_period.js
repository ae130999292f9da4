// Stores that were disconnected and can still be restored, with the day until which that is so.

import { eachPage, post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { resync } from "../core/events.js";
import { date } from "../core/format.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";

/** A function that draws the section, or nothing when no store is in its grace period. A name that is typed for one stays. */
export function gracePeriod(place, signal) {
  const list = h("ul", { class: "grace-period" });
  const pages = pagedList({ load, render: (integration) => item(integration, signal), container: list, label: t("common.load_more") });

  async function load() {
    const items = [];
    await eachPage("/integrations?state=resting&limit=100", signal, (stores) => items.push(...stores));
    return { items, next_cursor: null };
  }

  return async function draw() {
    const shown = await pages.refresh();
    if (shown === 0) replace(place);
    else if (shown !== null && !place.contains(list)) replace(place, h("h2", {}, t("grace_period.title")), h("p", { class: "muted" }, t("grace_period.text")), list);
  };
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
