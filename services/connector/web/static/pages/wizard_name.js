// Step 3: the name. With it the integration gets its address, and step 4 begins.

import { get, getVersion, patchVersion, post } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { busy, field, fieldError, notice } from "../core/elements.js";
import { list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { integrationGone, toTheList } from "./integration_gone.js";
import { smtpSection } from "./smtp.js";

const LONGEST_NAME = 60;

export async function nameStep(place, integrationId, signal, { isReauthorized }) {
  const { content: integration, version } = await getVersion(`/integrations/${integrationId}`, signal);
  const countries = integration.countries.filter((each) => each.is_participating).map((each) => each.name);
  const store = integration.account.store_name || integration.account.seller_id_masked;

  async function save(name) {
    try {
      await patchVersion(`/integrations/${integration.id}`, { name }, version, signal);
    } catch (problem) {
      if (problem.status === 404) return replace(place, integrationGone(toTheList()));
      if (problem.code !== "precondition_failed") throw problem;
      const now = await get(`/integrations/${integration.id}`, signal);
      return replace(place, namedMeanwhile(now));
    }
    return configure(integration.id);
  }

  replace(
    place,
    h("h2", { tabindex: "-1" }, t("wizard.name.title")),
    notice(
      "good",
      t(isReauthorized ? "wizard.name.reauthorized" : "wizard.name.connected", { store }),
      countries.length > 0 && h("p", {}, t("wizard.name.countries", { countries: list(countries) })),
      homeNote(integration),
    ),
    nameForm({ value: integration.account.store_name?.slice(0, LONGEST_NAME) ?? "", label: t("wizard.name.button"), save, advanced: smtpSection(integration, signal, { isPart: true }) }),
  );
}

/** Step 3 of a store without Amazon's API: its seller says in which countries they sell. */
export async function nameStepWithoutApi(place, country, signal) {
  const { items } = await get("/marketplaces", signal);
  const home = items.find((each) => each.country === country) ?? items[0];
  const boxes = home.covers.map((each) => {
    const id = newId("sells");
    const box = h("input", { type: "checkbox", id, value: each.country, checked: each.country === home.country });
    return h("div", { class: "tick" }, box, h("label", { for: id }, each.name));
  });
  const countries = h("fieldset", { class: "choices sells-in" }, h("legend", {}, t("wizard.without_api.countries")), boxes);

  async function save(name) {
    const sellsIn = [...countries.querySelectorAll("input:checked")].map((box) => box.value);
    const made = await post("/integrations", { name, country: home.country, countries: sellsIn }, signal);
    return configure(made.id);
  }

  replace(
    place,
    h("h2", { tabindex: "-1" }, t("wizard.without_api.name")),
    notice("info", null, h("p", {}, t("wizard.without_api.text"))),
    nameForm({ value: "", label: t("wizard.without_api.save"), save, more: countries }),
  );
}

const configure = (integrationId) => navigate(`/integrations/new?integration=${integrationId}`, { replace: true });

/** `more` belongs to the form, `advanced` has a form of its own between the name and the button. */
function nameForm({ value, label, save, more = null, advanced = null }) {
  const id = newId("name-form");
  const name = field(t("wizard.name.label"), { name: "integration-name", autocomplete: "off", "data-autofocus": true, value }, t("wizard.name.hint"));
  const button = h("button", { type: "submit", form: id, class: "button" }, label);

  function submit(event) {
    event.preventDefault();
    const error = nameError(name.input.value.trim());
    name.setError(error);
    if (error) name.input.focus();
    else busy(button, send);
  }

  async function send() {
    // What was typed there would be lost with this page.
    if (advanced && !(await advanced.saveTyped())) return;
    try {
      await save(name.input.value.trim());
    } catch (problem) {
      name.setError(fieldError(problem, "name"));
      name.input.focus();
    }
  }

  return [h("form", { id, class: "form", novalidate: true, onsubmit: submit }, name.element, more), advanced?.element, button];
}

function namedMeanwhile(integration) {
  return [
    h("h2", { tabindex: "-1" }, t("wizard.named_meanwhile", { name: integration.name })),
    notice("info", null, h("p", { role: "alert" }, t("wizard.named_meanwhile.text"))),
    h("a", { href: `/integrations/new?integration=${integration.id}`, class: "button" }, t("wizard.named_meanwhile.go_on")),
  ];
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
