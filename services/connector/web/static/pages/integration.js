// One integration, as a dialog: the lock and its reasons, what it is connected to, the guide, the address at the end.

import { get, patch, remove } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { onEvent, resync } from "../core/events.js";
import { date, dateTime, list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { may } from "../core/session.js";
import { guide } from "./guide.js";

/** Opens the dialog. `leave()` takes it away when the address changes; `onClosed` is called when the user closes it. */
export function openIntegration(integrationId, { signal, onClosed }) {
  const controller = new AbortController();
  signal.addEventListener("abort", () => controller.abort());
  const headingId = newId("integration");
  const body = h("div", { class: "dialog-body", "aria-busy": "true" }, h("p", { class: "muted" }, t("common.loading")));
  const heading = h("h2", { id: headingId, tabindex: "-1" }, t("integration.title"));
  const closeButton = h("button", { type: "button", class: "close-button", "aria-label": t("common.close"), onclick: () => dialog.close() }, "×");
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": headingId }, h("div", { class: "dialog-head" }, heading, closeButton), body);
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

  const content = integrationContent(integrationId, { signal: controller.signal, heading, close: () => dialog.close() });
  content
    .draw()
    .then((drawn) => {
      replace(body, drawn);
      // Who has just named the integration wants its address, not what he knows already.
      if (history.state?.showGuide) content.showGuide();
    })
    .catch((problem) => elements.showProblem(body, problem))
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

function integrationContent(integrationId, { signal, heading, close }) {
  const path = `/integrations/${integrationId}`;
  const summary = h("div", {});
  const manage = h("div", { class: "place" });
  const problemPlace = h("div", { class: "place" });
  const guidePlace = h("section", { class: "section" });
  const addressPlace = h("section", { class: "section address-section" });
  let drawnGuide = null;

  async function draw() {
    const integration = await get(path, signal);
    heading.textContent = integration.name ?? t("integrations.unnamed");
    elements.setTitle(heading.textContent);
    drawSummary(integration);
    drawManage(integration);
    if (integration.address) {
      replace(addressPlace, addressSection(integration));
      await drawGuide(integration);
    } else {
      replace(guidePlace, unnamedNotice(integration));
    }
    return [problemPlace, summary, manage, guidePlace, addressPlace];
  }

  async function drawGuide(integration) {
    const steps = await get(`${path}/setup-steps`, signal);
    drawnGuide = guide(integration, steps.items, signal, refresh);
    replace(guidePlace, drawnGuide.elements);
  }

  const refresh = elements.atMostEvery(500, signal, readAgain);

  async function readAgain() {
    try {
      const integration = await get(path, signal);
      drawSummary(integration);
      await drawnGuide?.refresh();
      // A name that is being typed is not taken away by news from elsewhere.
      if (!manage.querySelector("form")?.contains(document.activeElement)) drawManage(integration);
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
    }
  }

  function drawSummary(integration) {
    const facts = [
      [t("integration.source"), t(`source.${integration.source}`)],
      [t("integration.account"), integration.account.store_name || integration.account.seller_id_masked],
      [t("integration.seller_id"), integration.account.seller_id_masked],
      [t("integration.countries"), list(integration.countries.filter((each) => each.is_participating).map((each) => each.name)) || "–"],
      [t("integration.consented"), date(integration.consented_at)],
      [t("integration.consent_expires"), date(integration.consent_expires_at)],
      [t("integration.last_message"), dateTime(integration.last_message_at)],
      [t("integration.last_order"), dateTime(integration.last_order_at)],
    ];
    replace(
      summary,
      h("p", { class: "lock-line" }, elements.lock(integration.lock.state), h("span", { class: "muted" }, t("integration.since", { time: dateTime(integration.lock.since) }))),
      checks(integration, guidePlace),
      h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    );
  }

  function drawManage(integration) {
    if (!may("general.admin", "edit")) return;
    replace(
      manage,
      h(
        "details",
        { class: "manage" },
        h("summary", {}, t("integration.manage")),
        integration.name && renameForm(integration),
        h("p", { class: "hint" }, t("integration.reauthorize_hint")),
        h(
          "div",
          { class: "buttons" },
          h("a", { class: "button button-secondary", href: reauthorizeAddress(integration) }, t("integration.reauthorize")),
          elements.actionButton(t("integration.disconnect"), () => disconnect(integration), { class: "button button-danger" }),
        ),
      ),
    );
  }

  function renameForm(integration) {
    const name = elements.field(t("integration.name"), { value: integration.name, maxlength: 60, autocomplete: "off" });
    const button = h("button", { type: "submit", class: "button button-secondary" }, t("integration.rename"));
    const rename = async () => {
      try {
        const renamed = await patch(path, { name: name.input.value }, signal);
        name.setError(null);
        name.input.value = renamed.name;
        heading.textContent = renamed.name;
        elements.setTitle(renamed.name);
        elements.announce(t("integration.renamed"));
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

  async function disconnect(integration) {
    const confirmed = await elements.confirmDialog({
      title: t("disconnect.title", { name: integration.name ?? t("integrations.unnamed") }),
      content: h("ul", {}, ["tokens", "address", "conversations", "again"].map((key) => h("li", {}, t(`disconnect.${key}`)))),
      confirm: t("disconnect.confirm"),
    });
    if (!confirmed) return;
    try {
      await remove(path);
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
      problemPlace.scrollIntoView();
      return;
    }
    elements.announce(t("disconnect.done"));
    close();
    resync();
  }

  return { draw, refresh, showGuide: () => guidePlace.scrollIntoView() };
}

const LOUD = { red: "bad", amber: "warning", waiting: "info", notice: "info" };

const CURED_BY_CONSENT = ["grant_missing", "grant_revoked", "consent_expiring", "region_mismatch", "role_missing"];
const CURED_BY_GUIDE = ["setup_incomplete", "mail_first", "mail_country_missing", "report_columns_missing"];

/** The button that leads to the cure, where it is one of ours. */
function cureAction(check, integration, guidePlace, isFirstForGuide) {
  if (!may("general.admin", "edit")) return null;
  if (CURED_BY_CONSENT.includes(check.code)) {
    return h("a", { class: "button", href: reauthorizeAddress(integration) }, t("integration.reauthorize"));
  }
  if (isFirstForGuide && integration.address) {
    const toGuide = () => {
      guidePlace.scrollIntoView();
      guidePlace.querySelector("h3")?.focus({ preventScroll: true });
    };
    return h("button", { type: "button", class: "button button-secondary button-small", onclick: toGuide }, t("check.to_guide"));
  }
  return null;
}

function reauthorizeAddress(integration) {
  return `/integrations/new?source=amazon&country=${integration.home_country}`;
}

function checks(integration, guidePlace) {
  const open = integration.checks.filter((check) => check.state in LOUD);
  if (!open.length) return null;
  // One button to the guide is enough.
  const firstForGuide = open.find((check) => CURED_BY_GUIDE.includes(check.code));
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
        cureAction(check, integration, guidePlace, check === firstForGuide),
      ),
    ),
  );
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
