// Settings → webhooks: the account's programs that receive events, and a form for another one.

import { get, post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { focusUnlessTyping } from "../core/focus.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { emptying } from "../core/typed_input.js";
import { settingsTabs } from "./settings.js";
import { webhookForm } from "./webhook_form.js";
import { webhookItem } from "./webhook_item.js";

export async function show({ main, signal }) {
  const place = h("div", { class: "webhooks-place" });
  const secretPlace = h("div", { class: "place" });
  const problemPlace = h("div", { class: "place" });
  const list = h("ul", { class: "webhooks", "aria-label": t("webhooks.title") });
  const openDeliveries = new Set();
  const openForms = new Map();
  const pages = pagedList({
    load: (cursor) => get(`/webhooks${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
    render: (webhook) => webhookItem(webhook, { signal, openDeliveries, openForms, refresh, showSecret }),
    container: list,
    label: t("common.load_more"),
  });
  const full = [list, pages.more];

  async function refresh() {
    const shown = await pages.refresh();
    if (shown === null) return;
    replace(problemPlace);
    if (shown === 0) replace(place, h("p", { class: "muted" }, t("webhooks.none")));
    else if (!place.contains(list)) replace(place, full);
  }

  /** The secret is shown once, in this notice, and goes away with it. */
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
    focusUnlessTyping(heading);
    secretPlace.scrollIntoView({ block: "nearest" });
  }

  const read = () => refresh().catch((problem) => elements.showProblem(problemPlace, problem));
  onEvent("webhook.disabled", signal, elements.throttled(1000, signal, read));
  await refresh();
  replace(main, settingsTabs(), elements.pageHeading(t("webhooks.title")), h("p", { class: "lead" }, t("webhooks.lead")), secretPlace, problemPlace, place, addForm());

  function addForm() {
    const form = webhookForm({
      label: t("webhooks.add.button"),
      send: async (values) => {
        const empty = emptying(form.element);
        const answer = await post("/webhooks", values, signal);
        if (empty()) details.open = false;
        showSecret(answer);
        await read();
      },
    });
    const details = h("details", { class: "manage webhook-add" }, h("summary", {}, t("webhooks.add")), form.element);
    return details;
  }
}
