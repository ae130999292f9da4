// Add an integration: source → country → Amazon → name. Where one is stands in the address and in the API, so that a
// closed window, a reload or another tab loses nothing.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { notice, pageHeading } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";
import { countryStep } from "./wizard_country.js";
import { followStep } from "./wizard_follow.js";
import { nameStep } from "./wizard_name.js";

const STEPS = ["add", "authorize", "name", "configure"];

export async function show({ main, query, signal }) {
  const stepper = h("ol", { class: "stepper", "aria-label": t("wizard.steps") });
  const place = h("section", { class: "card wizard-card" });
  const goTo = (step) => drawStepper(stepper, step);
  const heading = h("div", { class: "page-head" }, pageHeading(t("wizard.title")), h("a", { href: "/integrations", class: "button button-secondary" }, t("wizard.to_list")));

  async function draw(currentQuery) {
    if (!may("general.admin", "edit")) {
      replace(place, notice("info", t("wizard.not_allowed.title"), h("p", {}, t("wizard.not_allowed.text"))));
    } else if (currentQuery.has("attempt")) {
      goTo("authorize");
      await followStep(place, currentQuery.get("attempt"), signal, { onIntegration: drawName });
    } else if (currentQuery.has("integration")) {
      await drawName(currentQuery.get("integration"));
    } else if (currentQuery.has("source")) {
      goTo("authorize");
      await countryStep(place, signal, { country: currentQuery.get("country"), region: currentQuery.get("region") });
    } else {
      goTo("add");
      replace(place, sources());
    }
  }

  async function drawName(integrationId, { isReauthorized = false } = {}) {
    const integration = await get(`/integrations/${integrationId}`, signal);
    if (integration.name) {
      if (!isReauthorized) return navigate(`/integrations/${integrationId}`, { replace: true });
      replace(stepper);
      replace(place, reauthorized(integration));
      return focusStep(place);
    }
    goTo("name");
    nameStep(place, integration, signal, { isReauthorized });
    return focusStep(place);
  }

  replace(main, heading, stepper, place);
  await draw(query);
  return async (params, newQuery) => {
    await draw(newQuery);
    focusStep(place);
  };
}

function focusStep(place) {
  (place.querySelector("[data-autofocus]") ?? place.querySelector("h2"))?.focus();
}

function drawStepper(stepper, current) {
  const position = STEPS.indexOf(current);
  replace(
    stepper,
    STEPS.map((step, index) =>
      h(
        "li",
        { "aria-current": index === position ? "step" : null, class: index < position ? "done" : index === position ? "current" : "open" },
        h("span", { class: "step-number", "aria-hidden": "true" }, index < position ? "✓" : String(index + 1)),
        h("span", { class: "step-name" }, t(`wizard.step.${step}`), h("span", { class: "step-side" }, t(`wizard.side.${step}`))),
        index < position && h("span", { class: "visually-hidden" }, ` (${t("wizard.done")})`),
      ),
    ),
  );
}

function sources() {
  return [
    h("h2", { tabindex: "-1" }, t("wizard.source.title")),
    h("p", {}, t("wizard.source.text")),
    h(
      "ul",
      { class: "sources" },
      h(
        "li",
        {},
        h("a", { href: "/integrations/new?source=amazon", class: "source" }, h("span", { class: "source-name" }, t("source.amazon")), h("span", { class: "muted" }, t("wizard.source.amazon"))),
      ),
    ),
  ];
}

function reauthorized(integration) {
  return [
    h("h2", { tabindex: "-1" }, t("wizard.reauthorized.title", { name: integration.name })),
    notice("good", null, h("p", {}, t("wizard.reauthorized.text"))),
    h("p", {}, t("wizard.reauthorized.another")),
    h(
      "div",
      { class: "buttons" },
      h("a", { href: `/integrations/${integration.id}`, class: "button" }, t("wizard.reauthorized.open")),
      h("a", { href: "/integrations/new?source=amazon", class: "button button-secondary" }, t("wizard.reauthorized.connect_another")),
    ),
  ];
}
