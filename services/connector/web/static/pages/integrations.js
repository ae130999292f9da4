// The list of integrations, and one of them as a dialog over it with an address of its own.

import { eachPage, get } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { lock, outsideLink, pageHeading, setTitle, showProblem, throttled } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { clockTime, countryName, dateTime, shortTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";
import { reauthorizeButton } from "./authorize.js";
import { openIntegration } from "./integration.js";
import { gracePeriod } from "./grace_period.js";
import { ordersLate } from "./order_sync.js";

const SORTS = {
  added: () => 0,
  name: (a, b) => title(a).localeCompare(title(b)),
  state: (a, b) => STATES.indexOf(a.lock.state) - STATES.indexOf(b.lock.state),
  message: (a, b) => (b.last_message_at ?? "").localeCompare(a.last_message_at ?? ""),
};
const STATES = ["red", "pending", "green"];

export async function show({ main, params, signal }) {
  const place = h("div", {});
  const waitingPlace = h("div", { class: "place" });
  const gracePeriodPlace = h("section", { class: "section" });
  const problemPlace = h("div", { class: "place" });
  let dialog = null;
  let integrations = [];
  let wantedState = null;

  const rows = h("tbody", { role: "rowgroup" });
  const filters = h("div", { class: "lock-filters", role: "group", "aria-label": t("integrations.filter") });
  const search = h("input", { type: "search", class: "input", "aria-label": t("integrations.search"), placeholder: t("integrations.search_hint"), oninput: drawRows });
  const sortId = newId("sort");
  const sort = h("select", { class: "input", id: sortId, onchange: drawRows }, Object.keys(SORTS).map((each) => h("option", { value: each }, t(`integrations.sort.${each}`))));
  const noneFound = h("p", { class: "muted", role: "status" });
  const full = [h("div", { class: "integration-tools" }, filters, search, h("span", { class: "sort" }, h("label", { for: sortId }, t("integrations.sort")), sort)), table(rows), noneFound];
  const rowPlaces = { problem: problemPlace, signal };
  const drawn = new Map();
  const drawGracePeriod = gracePeriod(gracePeriodPlace, signal);

  async function drawList() {
    const read = [];
    await Promise.all([
      eachPage("/integrations?limit=100", signal, (items) => read.push(...items)),
      drawWaiting(waitingPlace, signal),
      drawGracePeriod(),
    ]);
    integrations = read;
    replace(problemPlace);
    if (!integrations.length) return replace(place, emptyState());
    if (!place.contains(rows)) replace(place, full);
    drawFilters();
    drawRows();
  }

  function drawFilters() {
    const hadFocus = filters.contains(document.activeElement) ? document.activeElement.dataset.state : null;
    const filter = (state, label) => {
      const number = integrations.filter((each) => !state || each.lock.state === state).length;
      const choose = () => {
        wantedState = state;
        drawFilters();
        drawRows();
      };
      return h("button", { type: "button", class: "filter", "data-state": state ?? "all", "aria-pressed": String(wantedState === state), onclick: choose }, label, " ", h("b", {}, String(number)));
    };
    replace(filters, filter(null, t("integrations.filter.all")), STATES.map((state) => filter(state, t(`lock.${state}`))));
    if (hadFocus) filters.querySelector(`[data-state="${hadFocus}"]`)?.focus();
  }

  /** A row that says the same stays: a button in it may be at work. */
  function rowOf(integration) {
    const said = JSON.stringify(integration);
    if (drawn.get(integration.id)?.said !== said) drawn.set(integration.id, { said, element: row(integration, rowPlaces) });
    return drawn.get(integration.id).element;
  }

  function drawRows() {
    const words = search.value.trim().toLowerCase();
    const matching = integrations
      .filter((each) => !wantedState || each.lock.state === wantedState)
      .filter((each) => [title(each), each.account.store_name, each.address, each.home_country, countryName(each.home_country)].some((text) => text?.toLowerCase().includes(words)))
      .sort(SORTS[sort.value]);
    // What a person has the focus on stays where it is.
    const focused = rows.contains(document.activeElement) ? document.activeElement : null;
    const focusedRow = focused?.closest("tr")?.dataset.integration;
    const at = focusedRow && [...focused.closest("tr").querySelectorAll("a, button")].indexOf(focused);
    const wanted = matching.map(rowOf);
    if (wanted.length !== rows.children.length || wanted.some((each, index) => each !== rows.children[index])) replace(rows, wanted);
    if (focusedRow) rows.querySelector(`[data-integration="${focusedRow}"]`)?.querySelectorAll("a, button")[at]?.focus();
    noneFound.textContent = matching.length ? "" : t("integrations.none_found");
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
  onEvent("authorization.changed", signal, refresh);
  await drawList();
  signal.addEventListener("abort", () => dialog?.leave());

  replace(
    main,
    h("div", { class: "page-head" }, h("div", {}, h("p", { class: "page-path" }, t("integrations.path")), pageHeading(t("integrations.title")))),
    problemPlace,
    waitingPlace,
    place,
    gracePeriodPlace,
  );
  change(params);
  return change;
}

const title = (integration) => integration.name ?? t("integrations.unnamed");

/** One's own attempts that wait for Amazon: they are taken up again where they were left. */
async function drawWaiting(place, signal) {
  const { items } = await get("/authorizations", signal);
  const waiting = items.filter((each) => each.status === "waiting");
  replace(
    place,
    waiting.map((attempt) =>
      h(
        "p",
        { class: "notice notice-info waiting-attempt", "data-testid": "waiting-attempt" },
        h("span", {}, t("integrations.waiting", { country: attempt.covers.find((each) => each.country === attempt.country)?.name ?? attempt.country, time: clockTime(attempt.expires_at) })),
        h("a", { href: `/integrations/new?attempt=${attempt.id}`, class: "button button-small" }, t("integrations.waiting.go_on")),
      ),
    ),
  );
}

const SHORT = ["last_message", "last_order"];
// The first six are one line, the state is the other: in a sentence, with what helps.
const COLUMNS = ["source", "sync", "account", "name", "last_message", "last_order", "state"];

function table(rows) {
  const heads = COLUMNS.map((column) =>
    h("th", { scope: "col", role: "columnheader", class: `cell-${column}` }, column === "state" ? h("span", { class: "visually-hidden" }, t("integrations.column.state")) : t(`integrations.column.${column}`)),
  );
  // The roles stay true where the style sheet turns rows into cards.
  return h(
    "table",
    { class: "integrations card", role: "table", "aria-label": t("integrations.title") },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
    rows,
  );
}

function row(integration, places) {
  const cells = {
    source: t(`source.${integration.source}`),
    sync: [lock(integration), below(syncText(integration))],
    account: account(integration),
    name: h("a", { href: `/integrations/${integration.id}`, "data-state": '{"overlay":true}', class: "row-link" }, title(integration)),
    last_message: dateTime(integration.last_message_at),
    last_order: integration.uses_api ? dateTime(integration.last_order_at) : t("integrations.without_api"),
    state: [h("span", { class: "state-text" }, h("span", { "data-testid": "summary" }, integration.summary.text), ordersState(integration.sync.orders)), cure(integration, places)],
  };
  return h(
    "tr",
    { role: "row", "data-testid": "integration-row", "data-integration": integration.id, onclick: openRow },
    COLUMNS.map((column) =>
      h("td", { role: "cell", class: `cell-${column}`, "data-short": SHORT.includes(column) ? t(`integrations.short.${column}`) : null }, h("div", {}, cells[column])),
    ),
  );
}

/** A click anywhere in a row opens it, unless it was meant for something in it, or selects text. */
function openRow(event) {
  if (event.target.closest("a, button") || !getSelection().isCollapsed) return;
  event.currentTarget.querySelector(".row-link").click();
}

const below = (...content) => h("span", { class: "below" }, content);

/** What was synchronized, and when: of a pause, since when it lasts. */
function syncText({ sync, paused_since: pausedSince, uses_api: usesApi }) {
  if (pausedSince) return t("sync.paused.at", { time: dateTime(pausedSince) });
  if (!usesApi) return t("integrations.messages_only");
  return sync.at ? t(`sync.${sync.status}.at`, { time: shortTime(sync.at) }) : t(`sync.${sync.status}`);
}

/** What the newest order does not tell: since when others may be missing. */
function ordersState(orders) {
  const text = orders && ordersLate(orders);
  return text && h("span", { "data-testid": "orders-state" }, " ", text);
}

function account(integration) {
  const { store_name: storeName, seller_id_masked: sellerId } = integration.account;
  if (!sellerId) return "–";
  return h("span", { title: t("integrations.seller_id", { id: sellerId }) }, storeName || sellerId);
}

/** One click to what helps: with the reason for a red or amber lock, and with what is left of the setup. */
function cure(integration, places) {
  const { reason } = integration;
  const small = { class: "button button-secondary button-small" };
  if (reason?.action === "open_seller_central") return outsideLink(reason.link, t("check.to_seller_central"), small);
  if (reason?.action === "approve_sender") return outsideLink(reason.link, t("check.approve_sender"), small);
  if (!may("general.admin", "edit")) return null;
  if (!integration.name) return h("a", { href: `/integrations/new?integration=${integration.id}`, ...small }, t("integrations.continue"));
  if (reason?.action === "reauthorize") return reauthorizeButton(integration, places.problem, places.signal, { className: small.class });
  const target = { open_guide: "showGuide", open_smtp_settings: "showSmtp" }[reason?.action ?? (integration.lock.state === "pending" && !integration.paused_since ? "open_guide" : "")];
  if (!target) return null;
  return h("a", { href: `/integrations/${integration.id}`, "data-state": JSON.stringify({ overlay: true, [target]: true }), ...small }, t(target === "showSmtp" ? "check.to_smtp_settings" : "check.to_guide"));
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
