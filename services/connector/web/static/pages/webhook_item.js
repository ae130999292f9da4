// One webhook: its state, what can be done with it, and what became of its last deliveries.

import { get, getVersion, patch, patchVersion, post, remove } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { dateTime, list } from "../core/format.js";
import { hasText, t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { webhookForm } from "./webhook_form.js";
import { followResent, resendDialog } from "./webhook_resend.js";

const READ_AGAIN_MS = 1500;
const READ_AGAIN_TIMES = 6;

/** `refresh()` reads the list again, `showSecret(answer)` shows a new secret; `openDeliveries` are the ids whose deliveries are unfolded, `openForms` the open forms by id. */
export function webhookItem(webhook, { signal, openDeliveries, openForms, refresh, showSecret }) {
  const path = `/webhooks/${webhook.id}`;
  const name = webhook.description || webhook.url;
  const problemPlace = h("div", { class: "place" });
  const editPlace = h("div", { class: "place" });
  const deliveries = deliveriesSection(webhook, { path, name, signal, openDeliveries });

  async function attempt(work) {
    replace(problemPlace);
    try {
      await work();
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
    }
  }

  /** The form is for the version that is read now: if somebody else changes it meanwhile, their change is not overwritten. */
  const edit = () =>
    attempt(async () => {
      const { content, version } = await getVersion(path, signal);
      const close = () => {
        openForms.delete(webhook.id);
        form.element.remove();
        focusOn("edit");
      };
      const form = webhookForm({
        webhook: content,
        label: t("webhooks.save"),
        send: async (values) => {
          const changes = Object.fromEntries(Object.entries(values).filter(([field, value]) => String(value) !== String(content[field])));
          if (Object.keys(changes).length) await patchVersion(path, changes, version, signal);
          openForms.delete(webhook.id);
          form.element.remove();
          await refresh();
          elements.tellDone(t("webhooks.saved"));
          focusOn("edit");
        },
        more: elements.actionButton(t("common.cancel"), close, { class: "button button-secondary" }),
      });
      openForms.set(webhook.id, form.element);
      replace(editPlace, form.element);
      form.focus();
    });

  /** An item that is drawn anew because the webhook has changed keeps what is typed in its form, and the keyboard there. */
  function takeOver(form) {
    const typing = form.contains(document.activeElement) && document.activeElement;
    editPlace.append(form);
    if (typing) queueMicrotask(() => typing.focus());
  }

  // The item may have been drawn anew.
  const focusOn = (what) => document.querySelector(`[data-webhook="${webhook.id}"] [data-action="${what}"]`)?.focus();

  const enable = (enabled) =>
    attempt(async () => {
      await patch(path, { enabled }, signal);
      await refresh();
      elements.tellDone(t(enabled ? "webhooks.resumed" : "webhooks.paused"));
      focusOn("enable");
    });

  const ping = () =>
    attempt(async () => {
      await post(`${path}/ping`, undefined, signal);
      elements.tellDone(t("webhooks.pinged"));
      deliveries.follow();
    });

  async function rotate() {
    const confirmed = await elements.confirmDialog({
      title: t("webhooks.rotate.title"),
      content: h("p", {}, t("webhooks.rotate.text")),
      confirm: t("webhooks.rotate"),
    });
    if (!confirmed) return;
    await attempt(async () => {
      const answer = await post(`${path}/secret`, { overlap_hours: 24 }, signal);
      // First: it is shown only now, also if the list cannot be read.
      showSecret(answer);
      await refresh();
    });
  }

  async function erase() {
    const confirmed = await elements.confirmDialog({
      title: t("webhooks.delete.title", { name }),
      content: h("p", {}, t("webhooks.delete.text")),
      confirm: t("webhooks.delete"),
    });
    if (!confirmed) return;
    await attempt(async () => {
      await remove(path, signal);
      await refresh();
      elements.tellDone(t("webhooks.deleted"));
      document.querySelector("h1").focus();
    });
  }

  if (openForms.has(webhook.id)) takeOver(openForms.get(webhook.id));
  const secondary = { class: "button button-secondary button-small" };
  const action = (key, work, attributes = secondary) => elements.actionButton(t(key), work, { ...attributes, "aria-label": t("webhooks.action_named", { action: t(key), name }) });
  return h(
    "li",
    { class: "card webhook", "data-testid": "webhook", "data-webhook": webhook.id },
    h("h2", {}, name),
    webhook.description && h("p", { class: "webhook-url" }, h("code", {}, webhook.url)),
    h("p", { class: `webhook-state ${toneOf(webhook)}`, "data-testid": "webhook-state" }, stateText(webhook)),
    webhook.waits_until && new Date(webhook.waits_until) > new Date() && h("p", { class: "muted" }, t("webhooks.waits_until", { time: dateTime(webhook.waits_until) })),
    h("p", {}, t("webhooks.tells", { kinds: list(webhook.kinds.map(kindText)) })),
    webhook.previous_secret_until && new Date(webhook.previous_secret_until) > new Date() && h("p", { class: "muted" }, t("webhooks.two_secrets", { time: dateTime(webhook.previous_secret_until) })),
    h(
      "div",
      { class: "buttons" },
      action(webhook.enabled ? "webhooks.pause" : "webhooks.resume", () => enable(!webhook.enabled), { ...secondary, "data-action": "enable" }),
      webhook.enabled && action("webhooks.ping", ping),
      action("webhooks.edit", edit, { ...secondary, "data-action": "edit" }),
      action("webhooks.rotate", rotate),
      action("webhooks.delete", erase, { class: "button button-danger button-small" }),
    ),
    problemPlace,
    editPlace,
    deliveries.element,
  );
}

function deliveriesSection(webhook, { path, name, signal, openDeliveries }) {
  const problemPlace = h("div", { class: "place" });
  const rows = h("ul", { class: "deliveries", "aria-label": t("webhooks.deliveries_named", { name }) });
  const progressPlace = h("div", { class: "place" });
  const none = h("p", { class: "muted" });
  const pages = pagedList({
    load: (cursor) => get(`${path}/deliveries?limit=10${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
    render: (delivery) => row(delivery, webhook, resend),
    container: rows,
    label: t("common.load_more"),
  });
  let isFollowing = false;

  async function read() {
    try {
      const focused = rows.contains(document.activeElement) && document.activeElement.closest("[data-delivery]")?.dataset.delivery;
      const shown = await pages.refresh();
      if (shown === null) return;
      if (focused) rows.querySelector(`[data-delivery="${focused}"] button`)?.focus();
      none.textContent = shown === 0 ? t("webhooks.deliveries.none") : "";
      replace(problemPlace);
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
    }
  }

  /** Shows the deliveries, and for some seconds what becomes of them. */
  async function follow() {
    element.open = true;
    await read();
    if (isFollowing) return;
    isFollowing = true;
    for (let times = 0; times < READ_AGAIN_TIMES && !signal.aborted && element.open; times += 1) {
      await new Promise((resolve) => setTimeout(resolve, READ_AGAIN_MS));
      if (!signal.aborted) await read();
      if (!rows.querySelector('[data-state="waiting"]')) break;
    }
    isFollowing = false;
  }

  async function resend(delivery) {
    try {
      await post(`${path}/deliveries/${delivery.id}/resend`, undefined, signal);
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
      return;
    }
    elements.tellDone(t("webhooks.resent"));
    follow();
  }

  async function resendMany() {
    const time = await resendDialog(path, signal);
    if (time === null) return;
    elements.tellDone(t("webhooks.resend_many.done"));
    follow();
    await followResent(path, time, progressPlace, signal).catch((problem) => elements.showProblem(problemPlace, problem));
    await read();
  }

  const toggled = () => {
    if (!element.open) return openDeliveries.delete(webhook.id);
    openDeliveries.add(webhook.id);
    return read();
  };
  const again = elements.actionButton(t("common.refresh"), read, { class: "link-button" });
  const many = webhook.enabled && elements.actionButton(t("webhooks.resend_many"), resendMany, { class: "button button-secondary button-small", "aria-label": t("webhooks.action_named", { action: t("webhooks.resend_many"), name }) });
  const element = h(
    "details",
    { class: "webhook-deliveries", open: openDeliveries.has(webhook.id), ontoggle: toggled },
    h("summary", {}, t("webhooks.deliveries")),
    problemPlace,
    many,
    progressPlace,
    none,
    rows,
    pages.more,
    again,
  );
  return { element, follow };
}

function row(delivery, webhook, resend) {
  const when = dateTime(delivery.event_at);
  const kind = kindText(delivery.kind);
  return h(
    "li",
    { class: "delivery", tabindex: "-1", "data-testid": "delivery", "data-delivery": delivery.id, "data-state": delivery.state },
    h("div", {}, h("p", {}, h("strong", {}, kind), " · ", h("time", { datetime: delivery.event_at }, when)), h("p", { class: toneOfDelivery(delivery) }, deliveryText(delivery, webhook))),
    webhook.enabled &&
      elements.actionButton(t("webhooks.resend"), () => resend(delivery), {
        class: "button button-secondary button-small",
        "aria-label": t("webhooks.resend_named", { kind, time: when }),
      }),
  );
}

const kindText = (kind) => (hasText(`webhook.kind.${kind}`) ? t(`webhook.kind.${kind}`) : kind);

function stateText(webhook) {
  const time = dateTime(webhook.disabled_at ?? webhook.failing_since);
  if (webhook.enabled) return t(webhook.failing_since ? "webhooks.state.troubled" : "webhooks.state.running", { time });
  const key = `webhooks.disabled.${webhook.disabled_reason}`;
  return hasText(key) ? t(key, { time }) : t("webhooks.state.disabled", { time });
}

function toneOf(webhook) {
  if (webhook.enabled) return webhook.failing_since ? "tone-warning" : "tone-good";
  return webhook.disabled_reason === "by_user" ? "tone-quiet" : "tone-bad";
}

function deliveryText(delivery, webhook) {
  if (delivery.state === "waiting" && !webhook.enabled) return t("webhooks.delivery.paused");
  if (delivery.state === "delivered") return t("webhooks.delivery.delivered", { time: dateTime(delivery.delivered_at) });
  const key = `webhooks.error.${delivery.last_error}`;
  const reason = hasText(key) ? t(key, { status: delivery.last_status }) : delivery.last_error;
  const state = delivery.state === "dead" ? t("webhooks.delivery.dead") : t(delivery.attempts ? "webhooks.delivery.waiting" : "webhooks.delivery.new", { time: dateTime(delivery.next_attempt_at) });
  return [state, reason].filter(Boolean).join(" ");
}

function toneOfDelivery(delivery) {
  if (delivery.state === "delivered") return "tone-good";
  return delivery.state === "dead" ? "tone-bad" : delivery.attempts ? "tone-warning" : "muted";
}
