// Step 4: the address and the guide to Seller Central. It follows by itself what comes from Amazon, and can be left and taken up again.

import { get } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { copyButton, lock, showProblem, throttled } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { t } from "../core/i18n.js";
import { guide } from "./guide.js";
import { integrationGone, toTheList } from "./integration_gone.js";
import { smtpSection } from "./smtp.js";

export async function configureStep(place, integration, signal) {
  const path = `/integrations/${integration.id}`;
  const state = h("p", { class: "lock-line", role: "status" });
  const problemPlace = h("div", { class: "place" });
  const steps = await get(`${path}/setup-steps`, signal);

  function drawState(current) {
    replace(state, lock(current), h("span", { "data-testid": "summary" }, current.summary.text));
  }

  async function readAgain() {
    try {
      drawState(await get(path, signal));
      await drawn.refresh();
      replace(problemPlace);
    } catch (problem) {
      if (problem.status === 404) replace(place, integrationGone(toTheList()));
      else showProblem(problemPlace, problem);
    }
  }

  const refresh = throttled(500, signal, readAgain);
  const drawn = guide(integration, steps.items, signal, refresh);
  await drawn.ready;
  signal.throwIfAborted();
  const id = newId("address");
  const address = h("code", { class: "address", id: "relay-address", tabindex: "0", "aria-labelledby": id }, integration.address);
  drawState(integration);
  replace(
    place,
    h("h2", { tabindex: "-1" }, t("wizard.configure.title")),
    h("div", { class: "section address-section" }, h("h3", { id }, t("wizard.configure.address", { name: integration.name })), h("p", {}, t("integration.address_text")), h("div", { class: "address-line" }, address, copyButton(t("copy.address"), address))),
    state,
    problemPlace,
    h("section", { class: "section wizard-guide" }, drawn.elements),
    // Nothing but SMTP is left to whoever does without the API.
    !integration.uses_api && smtpSection(integration, signal).element,
    h("a", { href: path, class: "button" }, t("wizard.configure.open")),
  );
  const isOurs = (ids) => !ids.integration_id || ids.integration_id === integration.id;
  onEvent("integration.changed", signal, (ids) => isOurs(ids) && refresh());
  onEvent("message.received", signal, (ids) => isOurs(ids) && refresh());
}
