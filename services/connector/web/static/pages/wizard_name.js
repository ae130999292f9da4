// Step 3: the name. With it the integration gets its address, and the page of the integration goes on with step 4.

import { patch } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { busy, field, fieldError, notice } from "../core/elements.js";
import { list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";

const LONGEST_NAME = 60;

export function nameStep(place, integration, signal, { isReauthorized }) {
  const countries = integration.countries.filter((each) => each.is_participating).map((each) => each.name);
  const name = field(
    t("wizard.name.label"),
    { name: "integration-name", autocomplete: "off", "data-autofocus": true, value: integration.account.store_name?.slice(0, LONGEST_NAME) ?? "" },
    t("wizard.name.hint"),
  );
  const button = h("button", { type: "submit", class: "button" }, t("wizard.name.button"));

  function submit(event) {
    event.preventDefault();
    const error = nameError(name.input.value.trim());
    name.setError(error);
    if (error) name.input.focus();
    else busy(button, save);
  }

  async function save() {
    try {
      await patch(`/integrations/${integration.id}`, { name: name.input.value.trim() }, signal);
    } catch (problem) {
      name.setError(fieldError(problem, "name"));
      name.input.focus();
      return;
    }
    await navigate(`/integrations/${integration.id}`, { replace: true, state: { showGuide: true } });
  }

  replace(
    place,
    h("h2", { tabindex: "-1" }, t("wizard.name.title")),
    notice(
      "good",
      t(isReauthorized ? "wizard.name.reauthorized" : "wizard.name.connected", { store: integration.account.store_name || integration.account.seller_id_masked }),
      countries.length > 0 && h("p", {}, t("wizard.name.countries", { countries: list(countries) })),
      homeNote(integration),
    ),
    h("form", { class: "form", novalidate: true, onsubmit: submit }, name.element, button),
  );
}

/** A store may be connected through a country in which it does not sell: that works, and is said. */
function homeNote(integration) {
  const home = integration.countries.find((each) => each.country === integration.home_country);
  if (!home || home.is_participating) return null;
  return h("p", {}, t("wizard.name.not_selling_at_home", { country: home.name }));
}

function nameError(name) {
  if (!name) return t("wizard.name.empty");
  if ([...name].length > LONGEST_NAME) return t("wizard.name.too_long", { longest: LONGEST_NAME });
  return null;
}
