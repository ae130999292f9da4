// The list of integrations, and one of them as a dialog over it with an address of its own.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { lock, pageHeading, setTitle, showProblem, throttled } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";
import { openIntegration } from "./integration.js";
import { drawGracePeriod } from "./grace_period.js";
import { ordersHistory, ordersLate } from "./order_sync.js";

export async function show({ main, params, signal }) {
  const place = h("div", {});
  const gracePeriodPlace = h("section", { class: "section" });
  const problemPlace = h("div", { class: "place" });
  let dialog = null;

  const rows = h("tbody", { role: "rowgroup" });
  const pages = pagedList({
    load: (cursor) => get(`/integrations${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
    render: row,
    container: rows,
    label: t("common.load_more"),
  });
  const full = [table(rows), pages.more];

  async function drawList() {
    const [shown] = await Promise.all([pages.refresh(), drawGracePeriod(gracePeriodPlace, signal)]);
    if (shown === null) return;
    replace(problemPlace);
    if (shown === 0) replace(place, emptyState());
    else if (!place.contains(rows)) replace(place, full);
  }

  function change(newParams) {
    dialog?.leave();
    dialog = null;
    if (newParams.integration_id) {
      dialog = openIntegration(newParams.integration_id, { signal, onClosed: closed });
    } else {
      setTitle(t("integrations.title"));
    }
  }

  function closed() {
    dialog = null;
    // Back to the list: one step back where the list was before, else the list takes this place.
    if (history.state?.overlay) history.back();
    else navigate("/integrations", { replace: true });
  }

  const refresh = throttled(1000, signal, () => drawList().catch((problem) => showProblem(problemPlace, problem)));
  onEvent("integration.changed", signal, refresh);
  onEvent("message.received", signal, refresh);
  await drawList();
  signal.addEventListener("abort", () => dialog?.leave());

  const add = may("general.admin", "edit") && h("a", { href: "/integrations/new", class: "button" }, t("integrations.add"));
  replace(main, h("div", { class: "page-head" }, pageHeading(t("integrations.title")), add), problemPlace, place, gracePeriodPlace);
  change(params);
  return change;
}

const COLUMNS = ["source", "sync", "account", "name", "last_message", "last_order"];

function table(rows) {
  const heads = COLUMNS.map((column) => h("th", { scope: "col", role: "columnheader" }, t(`integrations.column.${column}`)));
  // The roles stay true where the style sheet turns rows into cards.
  return h(
    "table",
    { class: "integrations card", role: "table", "aria-label": t("integrations.title") },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
    rows,
  );
}

function row(integration) {
  const cells = {
    source: t(`source.${integration.source}`),
    sync: [lock(integration), h("span", { class: "below", "data-testid": "summary" }, integration.summary.text), h("span", { class: "below" }, syncText(integration.sync))],
    account: account(integration),
    name: nameCell(integration),
    last_message: dateTime(integration.last_message_at),
    last_order: [dateTime(integration.last_order_at), ordersBelow(integration.sync.orders)],
  };
  return h(
    "tr",
    { role: "row", "data-testid": "integration-row", "data-integration": integration.id },
    COLUMNS.map((column) =>
      h("td", { role: "cell", class: `cell-${column}`, "data-label": t(`integrations.column.${column}`) }, h("div", {}, cells[column])),
    ),
  );
}

function syncText(sync) {
  return sync.at ? t(`sync.${sync.status}.at`, { time: dateTime(sync.at) }) : t(`sync.${sync.status}`);
}

/** What the newest order does not tell: since when others may be missing, or that older ones are still being fetched. */
function ordersBelow(orders) {
  const text = orders && (ordersLate(orders) ?? (orders.history.done ? null : ordersHistory(orders.history)));
  return text && h("span", { class: "below", "data-testid": "orders-state" }, text);
}

function account(integration) {
  const { store_name: storeName, seller_id_masked: sellerId } = integration.account;
  return h("span", { title: t("integrations.seller_id", { id: sellerId }) }, storeName || sellerId);
}

function nameCell(integration) {
  const details = h("a", { href: `/integrations/${integration.id}`, "data-state": '{"overlay":true}', class: "row-link" }, integration.name ?? t("integrations.unnamed"));
  if (integration.name || !may("general.admin", "edit")) return details;
  return [details, h("a", { href: `/integrations/new?integration=${integration.id}`, class: "button button-small below" }, t("integrations.continue"))];
}

function emptyState() {
  return h(
    "div",
    { class: "empty card" },
    h("h2", {}, t("integrations.empty.title")),
    h("p", {}, t(may("general.admin", "edit") ? "integrations.empty.text" : "integrations.empty.view_only")),
    may("general.admin", "edit") && h("a", { href: "/integrations/new", class: "button" }, t("integrations.empty.button")),
  );
}
