// The inbox: conversations on one side, one of them on the other; on a phone one after the other.

import { get } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { atMostEvery, pageHeading, setTitle, showProblem } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { dateTime, shortTime } from "../core/format.js";
import { count, t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";
import { conversationPane } from "./conversation.js";

export const width = "full";

export async function show({ main, params, query, signal }) {
  let openId = null;
  let integrationId = query.get("integration") ?? "";
  let pane = null;
  let listScroll = 0;
  const listPlace = h("div", { class: "conversation-list" });
  const problemPlace = h("div", { class: "place" });
  const panePlace = h("section", { class: "pane", "aria-label": t("inbox.conversation") });
  const filterPlace = h("div", { class: "filter" });
  const layout = h("div", { class: "inbox" });

  const rows = h("ul", { class: "conversations" });
  const pages = pagedList({ load: loadPage, render: row, container: rows, label: t("common.load_more") });
  const full = [rows, pages.more];

  function loadPage(cursor) {
    const asked = new URLSearchParams();
    if (integrationId) asked.set("integration_id", integrationId);
    if (cursor) asked.set("cursor", cursor);
    return get(`/conversations${asked.size ? `?${asked}` : ""}`, signal);
  }

  async function drawList() {
    const shown = await pages.refresh();
    replace(problemPlace);
    if (shown === 0) replace(listPlace, emptyState(integrationId));
    else if (!listPlace.contains(rows)) replace(listPlace, full);
    layout.classList.toggle("inbox-empty", shown === 0);
    markOpen();
  }

  function filterQuery() {
    return integrationId ? `?integration=${integrationId}` : "";
  }

  function row(conversation) {
    return h(
      "li",
      {},
      h(
        "a",
        { href: `/inbox/${conversation.id}${filterQuery()}`, class: "conversation", "data-testid": "conversation", "data-conversation": conversation.id },
        h(
          "span",
          { class: "conversation-top" },
          h("span", { class: "conversation-order" }, conversation.order_id ?? t("inbox.no_order")),
          h("time", { datetime: conversation.last_message_at, title: dateTime(conversation.last_message_at) }, shortTime(conversation.last_message_at)),
        ),
        h(
          "span",
          { class: "conversation-below" },
          [conversation.integration.name ?? t("integrations.unnamed"), conversation.country].filter(Boolean).join(" · "),
          h("span", {}, count("inbox.messages", conversation.message_count)),
        ),
      ),
    );
  }

  function markOpen() {
    for (const link of listPlace.querySelectorAll(".conversation")) {
      link.search = filterQuery();
      if (link.dataset.conversation === openId) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
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
    try {
      await conversationPane(panePlace, openId, AbortSignal.any([signal, pane.signal]), { listAddress: () => `/inbox${filterQuery()}` });
    } catch (problem) {
      // Tried again as soon as the network is back.
      if (problem.status === 0) onEvent("resync", AbortSignal.any([signal, pane.signal]), () => openConversation(openId));
      showProblem(panePlace, problem, h("a", { href: "/inbox" }, t("inbox.back")));
    }
  }

  async function change(newParams, newQuery) {
    const wantedFilter = newQuery.get("integration") ?? "";
    if (wantedFilter !== integrationId) {
      integrationId = wantedFilter;
      rows.replaceChildren();
      await drawList();
    }
    const wasOpen = openId;
    if ((newParams.conversation_id ?? null) === openId) return;
    if (!wasOpen) listScroll = scrollY;
    await openConversation(newParams.conversation_id);
    if (openId) {
      panePlace.querySelector("h2")?.focus({ preventScroll: true });
      panePlace.scrollTo(0, 0);
      scrollTo(0, 0);
    } else {
      // On a phone the list comes back where it was left, at the conversation that was read.
      listPlace.querySelector(`[data-conversation="${CSS.escape(wasOpen)}"]`)?.focus({ preventScroll: true });
      scrollTo(0, listScroll);
    }
  }

  async function drawFilter() {
    if (!may("general.admin", "view")) return;
    const integrations = (await get("/integrations?limit=100", signal)).items;
    if (integrations.length < 2) return;
    const id = newId("filter");
    const options = integrations.map((each) => h("option", { value: each.id, selected: each.id === integrationId }, each.name ?? t("integrations.unnamed")));
    const select = h("select", { id, class: "input" }, h("option", { value: "" }, t("inbox.all_integrations")), options);
    select.addEventListener("change", () => navigate(`/inbox${select.value ? `?integration=${select.value}` : ""}`));
    replace(filterPlace, h("label", { for: id, class: "visually-hidden" }, t("inbox.filter")), select);
  }

  const heading = pageHeading(t("inbox.title"));
  replace(layout, h("div", { class: "list-pane" }, h("div", { class: "list-head" }, heading, filterPlace), problemPlace, listPlace), panePlace);
  replace(main, layout);
  onEvent("message.received", signal, atMostEvery(1000, signal, () => drawList().catch((problem) => showProblem(problemPlace, problem))));
  await Promise.all([drawList(), drawFilter()]);
  await openConversation(params.conversation_id);
  return change;
}

function emptyState(integrationId) {
  const isFiltered = Boolean(integrationId);
  const mayConnect = may("general.admin", "edit");
  return h(
    "div",
    { class: "empty" },
    h("h2", {}, t(isFiltered ? "inbox.empty.filtered" : "inbox.empty.title")),
    h("p", {}, t(mayConnect ? "inbox.empty.text" : "inbox.empty.ask_admin")),
    mayConnect && h("a", { href: "/integrations", class: "button" }, t("inbox.empty.button")),
  );
}
