// What an admin changes of an integration: its name, the consent, a pause, the SMTP server, the end of the connection.

import { patch, remove } from "../core/api.js";
import { h, newId } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { resync } from "../core/events.js";
import { date } from "../core/format.js";
import { t } from "../core/i18n.js";
import { reauthorizeButton } from "./authorize.js";
import { forwardingSection } from "./forwarding.js";
import { smtpSection } from "./smtp.js";

/**
 * The panel's element, and `update(integration)` for a pause elsewhere: what is open and typed in it stays. `onRenamed(name)` and
 * `onChanged()` are called after a change, `close()` when the store is disconnected.
 */
export function managePanel(integration, { problemPlace, signal, onRenamed, onChanged, close }) {
  const path = `/integrations/${integration.id}`;

  async function attempt(work) {
    try {
      await work();
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
      problemPlace.scrollIntoView();
      return false;
    }
    return true;
  }

  function renameForm() {
    const name = elements.field(t("integration.name"), { value: integration.name, maxlength: 60, autocomplete: "off" });
    const button = h("button", { type: "submit", class: "button button-secondary" }, t("integration.rename"));
    const rename = async () => {
      try {
        const renamed = await patch(path, { name: name.input.value }, signal);
        name.setError(null);
        name.input.value = renamed.name;
        onRenamed(renamed.name);
        elements.tellDone(t("integration.renamed"));
        resync();
      } catch (problem) {
        name.setError(elements.fieldError(problem, "name"));
        name.input.focus();
      }
    };
    const submit = (event) => {
      event.preventDefault();
      elements.busy(button, rename);
    };
    return h("form", { class: "inline-form", novalidate: true, onsubmit: submit }, name.element, button);
  }

  async function pause() {
    const paused = !isPaused;
    const isDone = await attempt(async () => {
      update(await patch(path, { paused }, signal));
      elements.tellDone(t(paused ? "integration.paused" : "integration.resumed"));
    });
    // The button says what it does next, so it does not wait until the rest has been read again.
    if (isDone) onChanged();
  }

  function update({ paused_since: since }) {
    isPaused = since !== null;
    pauseButton.textContent = t(isPaused ? "integration.resume" : "integration.pause");
  }

  async function disconnect() {
    const data = dataChoice();
    const confirmed = await elements.confirmDialog({
      title: t("disconnect.title", { name: integration.name ?? t("integrations.unnamed") }),
      content: [h("ul", {}, [integration.uses_api && "tokens", "address", "again"].filter(Boolean).map((key) => h("li", {}, t(`disconnect.${key}`)))), data.element],
      confirm: t("disconnect.confirm"),
    });
    if (!confirmed) return;
    let rest;
    if (!(await attempt(async () => (rest = await remove(`${path}?data=${data.chosen()}`))))) return;
    close();
    resync();
    await elements.showMessage({
      title: t("disconnect.done"),
      content: [
        h("p", {}, t("disconnect.rests_until", { date: date(rest.rests_until) })),
        h("p", {}, rest.text),
        rest.link && h("p", {}, elements.outsideLink(rest.link, t("disconnect.at_amazon"))),
      ],
    });
  }

  let isPaused = false;
  const pauseButton = elements.actionButton("", pause, { class: "button button-secondary" });
  update(integration);
  const element = h(
    "details",
    { class: "manage" },
    h("summary", {}, t("integration.manage")),
    integration.name && renameForm(),
    h("p", { class: "hint" }, t(integration.uses_api ? "integration.reauthorize_hint" : "integration.authorize_hint")),
    h(
      "div",
      { class: "buttons" },
      reauthorizeButton(integration, problemPlace, signal, { isFirst: false }),
      pauseButton,
      elements.actionButton(t("integration.disconnect"), disconnect, { class: "button button-danger" }),
    ),
    integration.name && forwardingSection(integration, signal),
    integration.name && smtpSection(integration, signal).element,
  );
  return { element, update };
}

function dataChoice() {
  const name = newId("data");
  const choices = ["keep", "delete"].map((choice) => {
    const id = newId("choice");
    return h("div", {}, h("input", { type: "radio", name, id, value: choice, checked: choice === "keep" }), " ", h("label", { for: id }, t(`disconnect.${choice}`)));
  });
  const element = h("fieldset", { class: "choices" }, h("legend", {}, t("disconnect.data")), choices);
  return { element, chosen: () => element.querySelector("input:checked").value };
}
