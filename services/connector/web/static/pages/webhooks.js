// Settings → webhooks: the account's programs that are told events, and a form for another one.

import { get, post } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { may } from "../core/session.js";
import { settingsTabs } from "./settings.js";
import { webhookItem } from "./webhook_item.js";

// Each kind with what one must be allowed to view to have it told.
const KINDS = {
  "message.received": "inbox.messages",
  "conversation.changed": "inbox.messages",
  "integration.changed": "general.admin",
  "authorization.changed": "general.admin",
  "webhook.disabled": "general.admin",
};

export async function show({ main, signal }) {
  const place = h("div", { class: "webhooks-place" });
  const secretPlace = h("div", { class: "place" });
  const problemPlace = h("div", { class: "place" });
  const list = h("ul", { class: "webhooks", "aria-label": t("webhooks.title") });
  const openDeliveries = new Set();
  const pages = pagedList({
    load: (cursor) => get(`/webhooks${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
    render: (webhook) => webhookItem(webhook, { signal, openDeliveries, refresh, showSecret }),
    container: list,
    label: t("common.load_more"),
  });
  const full = [list, pages.more];

  async function refresh() {
    const shown = await pages.refresh();
    replace(problemPlace);
    if (shown === 0) replace(place, h("p", { class: "muted" }, t("webhooks.none")));
    else if (!place.contains(list)) replace(place, full);
  }

  /** Once: it is in this notice and nowhere else, and goes away with it. */
  function showSecret(answer) {
    const secret = h("code", { class: "address address-small", "data-testid": "webhook-secret" }, answer.secret);
    const heading = h("h2", { tabindex: "-1" }, t("webhooks.secret.title"));
    const hide = elements.actionButton(t("webhooks.secret.stored"), () => {
      replace(secretPlace);
      main.querySelector("h1").focus();
    });
    const box = elements.notice(
      "warning",
      null,
      heading,
      h("p", {}, t("webhooks.secret.text", { url: answer.url })),
      h("div", { class: "address-line" }, secret, elements.copyButton(t("webhooks.secret.copy"), secret)),
      hide,
    );
    replace(secretPlace, box);
    heading.focus();
    secretPlace.scrollIntoView({ block: "nearest" });
  }

  const read = () => refresh().catch((problem) => elements.showProblem(problemPlace, problem));
  onEvent("webhook.disabled", signal, elements.atMostEvery(1000, signal, read));
  await refresh();
  replace(main, settingsTabs(), elements.pageHeading(t("webhooks.title")), h("p", { class: "lead" }, t("webhooks.lead")), secretPlace, problemPlace, place, addForm());

  function addForm() {
    const url = elements.field(t("webhooks.url"), { type: "url", maxlength: 2000, autocomplete: "off", spellcheck: "false", placeholder: "https://" }, t("webhooks.url_hint"));
    const description = elements.field(t("webhooks.description"), { maxlength: 200, autocomplete: "off" }, t("webhooks.description_hint"));
    const kinds = kindChoices();
    const said = h("div", { class: "place" });
    const button = h("button", { type: "submit", class: "button" }, t("webhooks.add.button"));

    async function create() {
      [url, description].forEach((each) => each.setError(null));
      replace(said);
      const chosen = kinds.chosen();
      kinds.setError(chosen.length ? null : t("webhooks.kinds_missing"));
      if (!chosen.length) return kinds.focus();
      let answer;
      try {
        answer = await post("/webhooks", { url: url.input.value.trim(), kinds: chosen, description: description.input.value.trim() }, signal);
      } catch (problem) {
        showProblem(problem);
        return;
      }
      form.reset();
      details.open = false;
      showSecret(answer);
      await read();
    }

    function showProblem(problem) {
      const isOfUrl = ["url_invalid", "host_invalid"].includes(problem.code) || problem.errors?.some((error) => error.field === "url");
      const wrong = isOfUrl ? url : problem.errors?.some((error) => error.field === "description") ? description : null;
      if (!wrong) return elements.showProblem(said, problem);
      wrong.setError(elements.fieldError(problem, wrong === url ? "url" : "description"));
      wrong.input.focus();
    }

    const submit = (event) => {
      event.preventDefault();
      elements.busy(button, create);
    };
    const form = h("form", { class: "form", novalidate: true, onsubmit: submit }, url.element, kinds.element, description.element, said, button);
    const details = h("details", { class: "manage webhook-add" }, h("summary", {}, t("webhooks.add")), form);
    return details;
  }
}

function kindChoices() {
  const error = h("p", { class: "field-error", id: newId("kinds-error") });
  const boxes = Object.keys(KINDS)
    .filter((kind) => may(KINDS[kind], "view"))
    .map((kind) => h("input", { type: "checkbox", id: newId("kind"), value: kind, checked: kind === "message.received" }));
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
