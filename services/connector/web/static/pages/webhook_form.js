// What can be entered about a webhook: for a new one, and for one that is there.

import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { t } from "../core/i18n.js";
import { may } from "../core/session.js";

// Each kind of event with the permission that receiving it needs.
const KINDS = {
  "message.received": "inbox.messages",
  "conversation.changed": "inbox.messages",
  "order.changed": "inbox.orders",
  "reply.handed_over": "inbox.messages",
  "reply.confirmed": "inbox.messages",
  "reply.failed": "inbox.messages",
  "reply.perhaps_sent": "inbox.messages",
  "integration.changed": "general.admin",
  "authorization.changed": "general.admin",
  "webhook.disabled": "general.programs",
};
const NEW = { url: "", description: "", kinds: ["message.received"] };

/** `send({url, kinds, description})` may throw a problem, which is then said where it belongs. `more`: buttons beside the first. */
export function webhookForm({ webhook = NEW, label, send, more }) {
  const url = elements.field(t("webhooks.url"), { type: "url", maxlength: 2000, autocomplete: "off", spellcheck: "false", placeholder: "https://", value: webhook.url }, t("webhooks.url_hint"));
  const description = elements.field(t("webhooks.description"), { maxlength: 200, autocomplete: "off", value: webhook.description }, t("webhooks.description_hint"));
  const kinds = kindChoices(webhook.kinds);
  const said = h("div", { class: "place" });
  const button = h("button", { type: "submit", class: "button" }, label);

  async function work() {
    [url, description].forEach((each) => each.setError(null));
    replace(said);
    const chosen = kinds.chosen();
    kinds.setError(chosen.length ? null : t("webhooks.kinds_missing"));
    if (!chosen.length) return kinds.focus();
    try {
      await send({ url: url.input.value.trim(), kinds: chosen, description: description.input.value.trim() });
    } catch (problem) {
      showProblem(problem);
    }
  }

  function showProblem(problem) {
    const isOfUrl = ["url_invalid", "host_invalid", "url_port_not_allowed"].includes(problem.code) || problem.errors?.some((error) => error.field === "url");
    const wrong = isOfUrl ? url : problem.errors?.some((error) => error.field === "description") ? description : null;
    if (!wrong) return elements.showProblem(said, problem);
    wrong.setError(elements.fieldError(problem, wrong === url ? "url" : "description"));
    wrong.input.focus();
  }

  const submit = (event) => {
    event.preventDefault();
    elements.busy(button, work);
  };
  const element = h("form", { class: "form webhook-form", novalidate: true, onsubmit: submit }, url.element, kinds.element, description.element, said, h("div", { class: "buttons" }, button, more));
  return { element, focus: () => url.input.focus() };
}

/** A kind that one may not view oneself stays as somebody else has chosen it. */
function kindChoices(before) {
  const error = h("p", { class: "field-error", id: newId("kinds-error") });
  const boxes = Object.keys(KINDS)
    .filter((kind) => may(KINDS[kind], "view") || before.includes(kind))
    .map((kind) => h("input", { type: "checkbox", id: newId("kind"), value: kind, checked: before.includes(kind), disabled: !may(KINDS[kind], "view") }));
  const rows = boxes.map((box) =>
    h("div", { class: "tick" }, box, h("label", { for: box.id }, t(`webhook.kind.${box.value}`), h("code", { class: "code" }, box.value))),
  );
  const element = h("fieldset", { class: "choices", "aria-describedby": error.id }, h("legend", {}, t("webhooks.kinds")), rows, error);
  return {
    element,
    chosen: () => boxes.filter((box) => box.checked).map((box) => box.value),
    setError: (text) => (error.textContent = text ?? ""),
    focus: () => boxes[0].focus(),
  };
}
