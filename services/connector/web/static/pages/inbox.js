// The inbox: conversations on one side, one of them on the other; on a phone one after the other.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, pageHeading, setTitle, showProblem, throttled } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { count, t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";
import { keepClocks } from "./answer_clock.js";
import { conversationPane } from "./conversation.js";
import { readConversations } from "./conversation_list.js";
import { conversationRow } from "./conversation_row.js";
import { addressQuery, areSame, askedFor, countSet, filterBox, filtersOf, searchForm, stateOf, viewTabs } from "./inbox_filters.js";

export const width = "full";

export async function show({ main, params, query, signal }) {
  let filters = filtersOf(query);
  let openId = null;
  let openIndex = 0;
  let pane = null;
  let listScroll = 0;
  const current = () => filters;
  const listPlace = h("div", { class: "conversation-list" });
  const problemPlace = h("div", { class: "place" });
  const panePlace = h("section", { class: "pane", "aria-label": t("inbox.conversation") });
  const layout = h("div", { class: "inbox" });
  const tabs = viewTabs();
  const search = searchForm(current);
  const box = await filterBox(current, signal);

  const rows = h("ul", { class: "conversations", "aria-label": t("inbox.conversations") });
  const pages = pagedList({
    load: (cursor) => readConversations(askedFor(filters, cursor), signal),
    render: (conversation) => h("li", {}, conversationRow(conversation, addressOf(conversation.id))),
    container: rows,
    label: t("common.load_more"),
  });
  const full = [rows, pages.more];

  const addressOf = (conversationId) => `/inbox/${conversationId}${addressQuery(filters)}`;
  const listAddress = () => `/inbox${addressQuery(filters)}`;
  const links = () => [...rows.querySelectorAll(".conversation")];

  /** Returns how many are shown, or null when it did not come to that: a problem, or a later reading that has overtaken this one. */
  async function drawList() {
    try {
      return await readList();
    } catch (problem) {
      showProblem(problemPlace, problem);
      return null;
    }
  }

  async function readList() {
    const [shown, counts] = await Promise.all([pages.refresh(), get("/conversations/counts", signal)]);
    tabs.count(counts);
    if (shown === null) return null;
    replace(problemPlace);
    if (shown === 0) replace(listPlace, emptyState(filters));
    else if (!listPlace.contains(rows)) replace(listPlace, full);
    layout.classList.toggle("inbox-empty", shown === 0);
    markOpen();
    return shown;
  }

  function drawFilters() {
    // Every link in here keeps the search.
    layout.dataset.state = JSON.stringify(stateOf(filters));
    for (const part of [tabs, search, box]) part.update(filters);
  }

  function markOpen() {
    links().forEach((link, index) => {
      link.search = addressQuery(filters);
      const isOpen = link.dataset.conversation === openId;
      if (isOpen) openIndex = index;
      if (isOpen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }

  async function openConversation(conversationId) {
    pane?.abort();
    pane = new AbortController();
    openId = conversationId ?? null;
    layout.classList.toggle("inbox-open", Boolean(openId));
    markOpen();
    if (!openId) {
      setTitle(t("inbox.title"));
      replace(panePlace, h("p", { class: "muted pane-empty" }, t("inbox.choose")));
      return;
    }
    const ends = AbortSignal.any([signal, pane.signal]);
    const reopen = async (otherId = openId) => {
      if (otherId === openId) await openConversation(openId);
      else await navigate(addressOf(otherId), { replace: true, state: stateOf(filters) });
      focusPane();
    };
    try {
      await conversationPane(panePlace, openId, ends, { listAddress, reopen });
    } catch (problem) {
      // Tried again as soon as the network is back.
      if (problem.status === 0) onEvent("resync", ends, () => openConversation(openId));
      showProblem(panePlace, problem, h("a", { href: listAddress() }, t("inbox.back")));
    }
  }

  function focusPane() {
    panePlace.querySelector("h2")?.focus({ preventScroll: true });
    panePlace.scrollTo(0, 0);
    scrollTo(0, 0);
  }

  /** To the row of the conversation that is or was open; where it has left the list, to the one in its place. */
  function focusRow(conversationId) {
    const own = listPlace.querySelector(`[data-conversation="${CSS.escape(conversationId)}"]`);
    const all = links();
    (own ?? all[Math.min(openIndex, all.length - 1)])?.focus();
  }

  async function change(newParams, newQuery) {
    const wanted = filtersOf(newQuery);
    if (!areSame(wanted, filters)) {
      filters = wanted;
      drawFilters();
      rows.replaceChildren();
      const shown = await drawList();
      if (shown !== null) announce(shown ? count("inbox.shown", shown) : t("inbox.shown.none"));
    }
    const wasOpen = openId;
    if ((newParams.conversation_id ?? null) === openId) return;
    if (!wasOpen) listScroll = scrollY;
    await openConversation(newParams.conversation_id);
    if (openId) {
      focusPane();
    } else {
      // On a phone the list comes back where it was left, at the conversation that was read.
      focusRow(wasOpen);
      scrollTo(0, listScroll);
    }
  }

  listPlace.addEventListener("keydown", (event) => {
    const all = links();
    const here = all.indexOf(document.activeElement);
    const target = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (here < 0 || target === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    all[target]?.focus();
  });
  panePlace.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && openId) focusRow(openId);
  });

  const soon = throttled(1000, signal, drawList);
  onEvent("message.received", signal, soon);
  onEvent("conversation.changed", signal, soon);
  keepClocks(layout, signal);
  const heading = pageHeading(t("inbox.title"));
  replace(layout, h("div", { class: "list-pane" }, h("div", { class: "list-head" }, heading, tabs.element, search.element, box.element), problemPlace, listPlace), panePlace);
  replace(main, layout);
  drawFilters();
  await drawList();
  await openConversation(params.conversation_id);
  return change;
}

/** Nothing to show, and what to do about it. */
function emptyState(filters) {
  if (filters.q) return emptyBox("inbox.empty.search", filters.view !== "all" && searchAll());
  if (countSet(filters)) return emptyBox("inbox.empty.filtered");
  if (filters.view !== "open" && filters.view !== "all") return emptyBox(`inbox.empty.${filters.view}`);
  if (may("general.admin", "edit")) return emptyBox("inbox.empty.connect", h("a", { href: "/integrations", class: "button" }, t("inbox.empty.button")));
  return emptyBox("inbox.empty.ask_admin");
}

const searchAll = () => h("a", { href: "/inbox?view=all", class: "button button-secondary" }, t("inbox.empty.search.button"));

function emptyBox(key, action) {
  return h("div", { class: "empty" }, h("h2", {}, t(`${key}.title`)), h("p", {}, t(`${key}.text`)), action);
}
