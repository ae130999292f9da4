// Add an integration: source → country → Amazon → name. Where one is stands in the address and in the API, so that a
// closed window, a reload or another tab loses nothing.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { notice, pageHeading, setTitle } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { may } from "../core/session.js";
import { configureStep } from "./wizard_configure.js";
import { countryStep } from "./wizard_country.js";
import { followStep } from "./wizard_follow.js";
import { nameStep, nameStepWithoutApi } from "./wizard_name.js";

const STEPS = ["add", "authorize", "name", "configure"];

export async function show({ main, query, signal }) {
  const stepper = h("ol", { class: "stepper", "aria-label": t("wizard.steps") });
  const place = h("section", { class: "card wizard-card" });
  const title = pageHeading(t("wizard.title"));
  const heading = h("div", { class: "page-head" }, title, may("general.admin", "view") && h("a", { href: "/integrations", class: "button button-secondary" }, t("wizard.to_list")));
  let left = new AbortController();
  let isFirstConsent = false;

  function goTo(step) {
    setHeading(t("wizard.title"));
    drawStepper(stepper, step);
  }

  function setHeading(text) {
    title.textContent = text;
    setTitle(text);
  }

  /** To authorize again is a walk of its own: it has neither name nor guide. */
  async function announceAgain(attempt, ends) {
    if (!attempt.reconnects) return;
    const { name, uses_api: usesApi } = await get(`/integrations/${attempt.reconnects}`, ends);
    isFirstConsent ||= !usesApi;
    replace(stepper);
    if (name) setHeading(again(name));
  }

  /** A store that was added without the API is authorized for the first time. */
  const again = (name) => t(isFirstConsent ? "wizard.first_consent.heading" : "wizard.again.title", { name });

  /** Returns the signal that ends the step. What a step that was left has still asked draws nothing and leads nowhere. */
  async function draw(currentQuery) {
    left.abort();
    left = new AbortController();
    const ends = AbortSignal.any([signal, left.signal]);
    if (!may("general.admin", "edit")) {
      setHeading(t("wizard.not_allowed.title"));
      replace(place, h("p", {}, t("wizard.not_allowed.text")));
    } else if (currentQuery.has("attempt")) {
      goTo("authorize");
      await followStep(place, currentQuery.get("attempt"), ends, { onIntegration: (id, how) => drawConnected(id, ends, how), onAttempt: (attempt) => announceAgain(attempt, ends) });
    } else if (currentQuery.has("integration")) {
      await drawConnected(currentQuery.get("integration"), ends);
    } else if (currentQuery.get("api") === "none") {
      goTo("name");
      await nameStepWithoutApi(place, currentQuery.get("country"), ends);
    } else if (currentQuery.has("source")) {
      goTo("authorize");
      await countryStep(place, ends, { country: currentQuery.get("country"), region: currentQuery.get("region") });
    } else {
      goTo("add");
      replace(place, sources());
    }
    return ends;
  }

  /** What is left to do of a store that is connected: its name, then the seller account. */
  async function drawConnected(integrationId, ends, { isReauthorized = false, reconnects = null } = {}) {
    const integration = await get(`/integrations/${integrationId}`, ends);
    if (integration.name && isReauthorized) {
      replace(stepper);
      setHeading(again(integration.name));
      replace(place, reauthorized(integration, { wasMeant: reconnects === integration.id, isFirstConsent }));
    } else if (integration.name) {
      goTo("configure");
      await configureStep(place, integration, ends);
    } else {
      goTo("name");
      await nameStep(place, integrationId, ends, { isReauthorized });
    }
    return focusStep(place);
  }

  replace(main, heading, stepper, place);
  await draw(query);
  return async (params, newQuery) => {
    const ends = await draw(newQuery);
    if (!ends.aborted) focusStep(place);
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

function reauthorized(integration, { wasMeant, isFirstConsent }) {
  const key = !wasMeant ? "wizard.reauthorized" : isFirstConsent ? "wizard.first_consent" : "wizard.renewed";
  return [
    h("h2", { tabindex: "-1" }, t(`${key}.title`, { name: integration.name })),
    notice("good", null, h("p", {}, t(`${key}.text`))),
    !wasMeant && h("p", {}, t("wizard.reauthorized.another")),
    h(
      "div",
      { class: "buttons" },
      h("a", { href: `/integrations/${integration.id}`, class: "button" }, t("wizard.reauthorized.open")),
      !wasMeant && h("a", { href: "/integrations/new?source=amazon", class: "button button-secondary" }, t("wizard.reauthorized.connect_another")),
    ),
  ];
}
