// One integration, as a dialog: the lock and its reasons, what it is connected to, the guide, the address at the end.

import { get, patch, serverNow } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { focusUnlessTyping } from "../core/focus.js";
import { date, dateTime, list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { latest } from "../core/latest.js";
import { may } from "../core/session.js";
import { reauthorizeButton } from "./authorize.js";
import { guide } from "./guide.js";
import { integrationGone, integrationUnknown } from "./integration_gone.js";
import { managePanel } from "./manage.js";
import { ordersHistory, ordersLate } from "./order_sync.js";

/** Opens the dialog. `leave()` takes it away when the address changes; `onClosed` is called when the user closes it. */
export function openIntegration(integrationId, { signal, onClosed }) {
  const controller = new AbortController();
  signal.addEventListener("abort", () => controller.abort());
  const headingId = newId("integration");
  const body = h("div", { class: "dialog-body", "aria-busy": "true" }, h("p", { class: "muted" }, t("common.loading")));
  const heading = h("h2", { id: headingId, tabindex: "-1" }, t("integration.title"));
  const closeButton = h("button", { type: "button", class: "close-button", "aria-label": t("common.close"), onclick: () => dialog.close() }, "×");
  const dialog = h("dialog", { class: "dialog dialog-steady", "aria-labelledby": headingId }, h("div", { class: "dialog-head" }, heading, closeButton), body);
  let isLeaving = false;

  dialog.addEventListener("close", () => {
    controller.abort();
    dialog.remove();
    if (!isLeaving) onClosed();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  heading.focus();

  const content = integrationContent(integrationId, { signal: controller.signal, heading, body, close: () => dialog.close() });
  content
    .draw()
    .then((drawn) => {
      replace(body, drawn);
      // People who have just named the integration want its address, not what they know already.
      if (history.state?.showGuide) content.showGuide();
      if (history.state?.showSmtp) content.showSmtp();
    })
    .catch((problem) => content.showGone(problem) || elements.showProblem(body, problem))
    .finally(() => body.removeAttribute("aria-busy"));
  onEvent("integration.changed", controller.signal, (ids) => {
    if (!ids.integration_id || ids.integration_id === integrationId) content.refresh();
  });
  onEvent("message.received", controller.signal, (ids) => {
    if (ids.integration_id === integrationId) content.refresh();
  });

  return {
    leave() {
      isLeaving = true;
      if (dialog.open) dialog.close();
    },
  };
}

function integrationContent(integrationId, { signal, heading, body, close }) {
  const path = `/integrations/${integrationId}`;
  const summary = h("div", {});
  const manage = h("div", { class: "place" });
  const problemPlace = h("div", { class: "place" });
  const readPlace = h("div", { class: "place" });
  const guidePlace = h("section", { class: "section" });
  const addressPlace = h("section", { class: "section address-section" });
  let drawnGuide = null;
  let panel = null;
  let wasSeen = false;
  const asking = latest();
  let drawn = "";

  /** The store as it is, and whether no later reading has begun. */
  async function read() {
    const isLatest = asking();
    const integration = await get(path, signal);
    return { integration, isLatest: isLatest() };
  }

  async function draw() {
    const { integration, isLatest } = await read();
    wasSeen = true;
    heading.textContent = integration.name ?? t("integrations.unnamed");
    elements.setTitle(heading.textContent);
    if (isLatest || !drawn) {
      drawSummary(integration);
      drawManage(integration);
    }
    if (integration.address) {
      replace(addressPlace, addressSection(integration));
      await drawGuide(integration);
    } else {
      replace(guidePlace, unnamedNotice(integration));
    }
    return [problemPlace, readPlace, summary, manage, guidePlace, addressPlace];
  }

  async function drawGuide(integration) {
    const steps = await get(`${path}/setup-steps`, signal);
    drawnGuide = guide(integration, steps.items, signal, refresh);
    // All of it is shown at once, so that nothing moves under a reader's eyes.
    await drawnGuide.ready;
    replace(guidePlace, drawnGuide.heading, drawnGuide.elements);
  }

  const refresh = elements.throttled(500, signal, readAgain);

  async function readAgain() {
    try {
      await redraw();
      await drawnGuide?.refresh();
      replace(readPlace);
    } catch (problem) {
      if (!showGone(problem)) elements.showProblem(readPlace, problem);
    }
  }

  /** The store is not here: what is shown of it is no longer true. Only of one that was here is it known that somebody has disconnected it. */
  function showGone(problem) {
    if (problem.status !== 404) return false;
    replace(body, (wasSeen ? integrationGone : integrationUnknown)(h("button", { type: "button", class: "button", onclick: close }, t("integration.gone.close"))));
    body.querySelector("button").focus();
    return true;
  }

  /** While nothing has changed nothing is drawn anew, so that what somebody has opened stays open. */
  function drawSummary(integration) {
    const said = JSON.stringify(integration);
    if (said === drawn) return;
    drawn = said;
    const isOpen = Boolean(summary.querySelector("details")?.open);
    const facts = [
      [t("integration.source"), t(`source.${integration.source}`)],
      ...(integration.uses_api ? ofAmazon(integration) : [[t("integration.orders"), t("integrations.without_api")]]),
      [t("integration.countries"), list(integration.countries.filter((each) => each.is_participating).map((each) => each.name)) || "–"],
      [t("integration.last_message"), dateTime(integration.last_message_at)],
    ];
    replace(
      summary,
      h("p", { class: "lock-line" }, elements.lock(integration), h("span", { class: "muted" }, t("integration.since", { time: dateTime(integration.lock.since) }))),
      h("p", { class: "summary", "data-testid": "summary" }, integration.summary.text),
      checks(integration, { problem: problemPlace, guide: guidePlace, showSmtp, resume, signal }),
      h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      notChecked(integration, isOpen),
    );
  }

  async function resume() {
    try {
      await patch(path, { paused: false }, signal);
      elements.tellDone(t("integration.resumed"));
      await redraw();
    } catch (problem) {
      return elements.showProblem(problemPlace, problem);
    }
    // The button is gone with the note that it was in.
    return focusUnlessTyping(heading);
  }

  function drawManage(integration) {
    if (!may("general.admin", "edit")) return null;
    const onRenamed = (name) => {
      heading.textContent = name;
      elements.setTitle(name);
    };
    // What is open, and what is being typed, is not taken away.
    if (panel?.element.open) return panel.update(integration);
    const said = JSON.stringify(integration);
    if (panel?.said === said) return null;
    panel = { said, ...managePanel(integration, { problemPlace, signal, onRenamed, onChanged: readAgain, close }) };
    return replace(manage, panel.element);
  }

  async function redraw() {
    const { integration, isLatest } = await read();
    if (!isLatest) return;
    drawSummary(integration);
    drawManage(integration);
  }

  function showSmtp() {
    manage.querySelector("details").open = true;
    const settings = manage.querySelector("[data-part=smtp]");
    settings.open = true;
    settings.scrollIntoView();
    settings.querySelector("summary").focus({ preventScroll: true });
  }

  return { draw, refresh, showGone, showSmtp, showGuide: () => guidePlace.scrollIntoView() };
}

/** What is known by Amazon's API. A consent that was withdrawn is not said to be good until some day. */
function ofAmazon(integration) {
  const consent = integration.consent_withdrawn_at
    ? [t("integration.consent_withdrawn"), date(integration.consent_withdrawn_at)]
    : [t(new Date(integration.consent_expires_at) < new Date(serverNow()) ? "integration.consent_expired" : "integration.consent_expires"), date(integration.consent_expires_at)];
  return [
    [t("integration.account"), integration.account.store_name || integration.account.seller_id_masked],
    [t("integration.seller_id"), integration.account.seller_id_masked],
    [t("integration.consented"), date(integration.consented_at)],
    consent,
    [t("integration.last_order"), dateTime(integration.last_order_at)],
    [t("integration.orders"), orders(integration)],
  ];
}

/** How far back the store's orders are here, and how far they are up to date. */
function orders({ sync: { orders: sync }, consented_at: consentedAt }) {
  if (!sync) return t(consentedAt ? "integration.orders_not_yet" : "orders.sync.never");
  const state = ordersLate(sync) ?? (sync.completed_at ? t("orders.sync.complete", { time: dateTime(sync.completed_at) }) : t("orders.sync.running"));
  return h("span", { "data-testid": "orders-sync" }, ordersHistory(sync.history), h("br"), h("span", { class: "muted" }, state));
}

const LOUD = { red: "bad", amber: "warning", waiting: "info", notice: "info" };

/** The button that leads to the cure. */
function cureAction(check, integration, places, isFirstForGuide) {
  if (check.action === "open_seller_central") return elements.outsideLink(check.link, t("check.to_seller_central"), { class: "button button-secondary button-small" });
  if (check.action === "approve_sender") return elements.outsideLink(check.link, t("check.approve_sender"), { class: "button button-secondary button-small" });
  if (!may("general.admin", "edit")) return null;
  if (check.action === "resume") return elements.actionButton(t("integration.resume"), places.resume, { class: "button button-secondary button-small" });
  if (check.action === "open_smtp_settings") {
    return h("button", { type: "button", class: "button button-secondary button-small", onclick: places.showSmtp }, t("check.to_smtp_settings"));
  }
  if (check.action === "reauthorize") return reauthorizeButton(integration, places.problem, places.signal);
  if (isFirstForGuide && integration.address) {
    const toGuide = () => {
      places.guide.scrollIntoView();
      places.guide.querySelector("h3")?.focus({ preventScroll: true });
    };
    return h("button", { type: "button", class: "button button-secondary button-small", onclick: toGuide }, t("check.to_guide"));
  }
  return null;
}

function checks(integration, places) {
  const open = integration.checks.filter((check) => check.state in LOUD);
  if (!open.length) return null;
  // One button to the guide is enough.
  const firstForGuide = open.find((check) => check.action === "open_guide");
  return h(
    "ul",
    { class: "checks", "aria-label": t("integration.checks") },
    open.map((check) =>
      h(
        "li",
        { class: `notice notice-${LOUD[check.state]}`, "data-testid": "check", "data-check": check.code },
        h("p", { class: "notice-title" }, h("span", { class: "tag" }, t(`check.${check.state}`)), " ", check.title),
        check.text && h("p", {}, check.text),
        check.cure && h("p", {}, h("strong", {}, t("check.cure")), " ", check.cure),
        check.since && h("p", { class: "muted" }, t("integration.since", { time: dateTime(check.since) })),
        cureAction(check, integration, places, check === firstForGuide),
      ),
    ),
  );
}

/** The checks without a result, inconspicuous at the end. */
function notChecked(integration, isOpen) {
  if (!integration.not_checked.length) return null;
  return h("details", { class: "not-checked", open: isOpen }, h("summary", {}, t("check.not_checked")), h("ul", {}, integration.not_checked.map((check) => h("li", {}, check.title))));
}

function unnamedNotice(integration) {
  return elements.notice(
    "info",
    t("integration.unnamed.title"),
    h("p", {}, t("integration.unnamed.text")),
    may("general.admin", "edit") && h("a", { class: "button", href: `/integrations/new?integration=${integration.id}` }, t("integrations.continue")),
  );
}

function addressSection(integration) {
  const id = newId("address");
  const address = h("code", { class: "address", id: "relay-address", tabindex: "0", "aria-labelledby": id }, integration.address);
  return [
    h("h3", { id }, t("integration.address")),
    h("p", {}, t("integration.address_text")),
    h("div", { class: "address-line" }, address, elements.copyButton(t("copy.address"), address)),
  ];
}
