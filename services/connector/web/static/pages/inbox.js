// The inbox: views and conversations on one side, one of them on the other; on a phone one after the other.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, pageHeading, setTitle, showProblem } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { fieldEntered } from "../core/focus.js";
import { count, t } from "../core/i18n.js";
import { latest } from "../core/latest.js";
import { keepMarked } from "../core/marks.js";
import { navigate } from "../core/router.js";
import { may } from "../core/session.js";
import { keepClocks } from "./answer_clock.js";
import { commandPalette } from "./command_palette.js";
import { conversationPane } from "./conversation.js";
import { readNames } from "./inbox_choices.js";
import { emptyInbox } from "./inbox_empty.js";
import { addressQuery, areSame, askedFor, filterBox, filtersOf, searchForm, stateOf } from "./inbox_filters.js";
import { inboxList } from "./inbox_list.js";
import { inboxMenu } from "./inbox_menu.js";
import { inboxSelection } from "./inbox_selection.js";
import { inboxViews } from "./inbox_views.js";
import { newMail } from "./new_mail.js";
import { organizer } from "./organize.js";
import { keyboard, showShortcuts } from "./shortcuts.js";

export const width = "full";

export async function show({ main, params, query, signal }) {
  const mayChange = may("inbox.messages", "edit");
  let filters = filtersOf(query);
  let openId = null;
  // Where the open conversation is, or was before it left the list.
  let openIndex = 0;
  let pane = null;
  let listScroll = 0;
  let names = new Map();
  // What has left the view, of which the list is not read again yet.
  const leaving = new Set();
  const going = latest();
  const counting = latest();
  const current = () => filters;
  const problemPlace = h("div", { class: "place" });
  const panePlace = h("section", { class: "pane", "aria-label": t("inbox.conversation") });
  const layout = h("div", { class: "inbox" });
  const search = searchForm(current);
  const box = filterBox(current, signal);
  const views = inboxViews({ current, signal });
  const news = newMail(signal);
  const addressOf = (conversationId) => `/inbox/${conversationId}${addressQuery(filters)}`;
  const listAddress = () => `/inbox${addressQuery(filters)}`;
  const organize = organizer({ signal, onChanged, onUndone });
  const selection = inboxSelection({ items: () => list.items(), actions: mayChange ? actionsOfMany() : [], onChange: () => list.redraw() });
  const list = inboxList({
    filters: current,
    openId: () => openId,
    names: () => names,
    addressOf,
    emptyState: () => emptyInbox(filters, signal),
    selection,
    signal,
    onRead,
    onProblem: (problem) => showProblem(problemPlace, problem),
  });
  const palette = commandPalette({ signal, commands });
  const keys = keyboard({ signal, palette });
  const menu = inboxMenu({ views, askedFor: () => askedFor(filters), signal, problemPlace });

  /** What is open may be in the list no more, or not yet. */
  function noteIndex() {
    if (list.indexOf(openId) >= 0) openIndex = list.indexOf(openId);
  }

  function onRead() {
    replace(problemPlace);
    noteIndex();
    layout.classList.toggle("inbox-empty", list.items().length === 0);
    drawCounts();
  }

  async function drawCounts() {
    const isLatest = counting();
    try {
      const counts = await get("/conversations/counts", signal);
      if (!isLatest()) return;
      views.count(counts);
      news.count(counts.unread);
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  /** Returns how many are shown, or null when it did not come to that: a problem, or a later reading that has overtaken this one. */
  async function drawList() {
    try {
      return await list.start();
    } catch (problem) {
      showProblem(problemPlace, problem);
      return null;
    }
  }

  function drawFilters() {
    // Every link in here keeps the search.
    layout.dataset.state = JSON.stringify(stateOf(filters));
    for (const part of [views, search, box]) part.update(filters);
  }

  async function openConversation(conversationId) {
    pane?.abort();
    pane = new AbortController();
    openId = conversationId ?? null;
    layout.classList.toggle("inbox-open", Boolean(openId));
    noteIndex();
    list.redraw();
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
    const onSentAndClosed = () => goOn([conversationId]);
    try {
      await conversationPane(panePlace, openId, ends, { listAddress, reopen, keys, palette, organize, names: () => names, onSentAndClosed });
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
    if (list.indexOf(conversationId) >= 0) list.focus(conversationId);
    else list.focusIndex(Math.min(openIndex, list.items().length - 1));
  }

  const open = (id) => navigate(addressOf(id), { replace: openId !== null, state: { ...stateOf(filters), row: list.indexOf(id) } });

  /** The conversation after the open one that is none of these, else the one before them. */
  function neighbour(ids) {
    const items = list.items();
    const others = [...items.slice(openIndex), ...items.slice(0, openIndex).reverse()];
    return others.find(({ id }) => id !== openId && !ids.includes(id) && !leaving.has(id))?.id ?? null;
  }

  /** From what is done to what is next; whether there is any. */
  async function goOn(ids) {
    const next = ids.includes(openId) && leavesView() ? neighbour(ids) : null;
    if (next) await open(next);
    await list.readChanged(ids);
    return next !== null;
  }

  async function leave(ids) {
    const gone = leavesView() ? ids : [];
    for (const id of gone) leaving.add(id);
    try {
      await goOn(ids);
    } finally {
      for (const id of gone) leaving.delete(id);
    }
  }

  /** What is closed or put off is no longer among what there is to do. */
  const leavesView = () => !["all", "closed", "snoozed", "quarantine"].includes(filters.view);

  const hasLeft = (change) => change.status === "closed" || Boolean(change.snoozed_until);

  async function onChanged(ids, change) {
    selection.drop(ids);
    if (hasLeft(change)) await leave(ids);
    else await list.readChanged(ids);
    if (change.add_tag_ids || "assignee_id" in change) await drawNames();
  }

  /** What has left is open again; anything else is undone where one is: a message that is unread again would be read by being opened. */
  async function onUndone(ids, change) {
    for (const id of ids) leaving.delete(id);
    if (ids.length === 1 && ids[0] !== openId && hasLeft(change)) await open(ids[0]);
    await list.readChanged(ids);
  }

  async function drawNames() {
    try {
      names = await readNames(signal);
      list.renderAll();
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  function actionsOfMany() {
    const action = (name, work) => ({ name, label: t(`selection.${name}`), work: (ids) => attempt(() => work(ids)) });
    return [
      action("close", organize.close),
      action("assign", organize.assign),
      action("tag", (ids) => organize.tag(chosen(ids))),
      action("snooze", organize.snooze),
      action("mark_read", organize.markRead),
      action("mark_unread", organize.markUnread),
      action("reopen", organize.reopen),
    ];
  }

  const chosen = (ids) => list.items().filter(({ id }) => ids.includes(id));

  async function attempt(work) {
    try {
      await work();
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  /** What a key is for: all that is selected, else the row with the focus, else what is open. */
  function targets() {
    if (selection.count()) return selection.ids();
    return [list.focused()?.id ?? openId].filter(Boolean);
  }

  const forTargets = (work) => () => targets().length && attempt(() => work(targets()));

  async function tagTargets(ids) {
    const items = chosen(ids);
    return organize.tag(items.length ? items : [await get(`/conversations/${ids[0]}`, signal)]);
  }

  /** The open one is not marked read again while it is open. */
  function markUnread(ids) {
    const command = ids.includes(openId) && panePlace.querySelector("[data-command=mark_unread]");
    return ids.length === 1 && command ? command.click() : organize.markUnread(ids);
  }

  function step(by) {
    if (openId && !list.focused()) {
      const items = list.items().filter(({ id }) => !leaving.has(id));
      const here = items.findIndex(({ id }) => id === openId);
      // One that has left the list, for example because it is read now, has the next one at its place.
      const next = items[here < 0 && by > 0 ? openIndex : (here < 0 ? openIndex : here) + by];
      return next && open(next.id);
    }
    return list.focusIndex(list.focused() ? list.indexOf(list.focused().id) + by : 0);
  }

  async function toSearch() {
    // On a phone the list is another page.
    if (!list.isShown()) await navigate(listAddress(), { state: stateOf(filters) });
    search.focus();
  }

  function commands() {
    return [
      ...views.commands(),
      [t("inbox.search"), toSearch],
      organize.canUndo() && [t("organize.undo"), organize.undo],
      ...menu.commands(),
      [t("shortcuts.title"), showShortcuts],
    ].filter(Boolean).map(([label, work]) => ({ label, work }));
  }

  async function change(newParams, newQuery) {
    const isLatest = going();
    const wanted = filtersOf(newQuery);
    if (!areSame(wanted, filters)) {
      filters = wanted;
      selection.clear();
      drawFilters();
      const shown = await drawList();
      if (shown !== null) announce(shown ? count("inbox.shown", shown) : t("inbox.shown.none"));
      // Somebody has gone on while the list was read, and what is open by now is another address's.
      if (!isLatest()) return;
    }
    const wasOpen = openId;
    if ((newParams.conversation_id ?? null) === openId) return;
    if (!wasOpen) listScroll = scrollY;
    const isFieldEntered = fieldEntered();
    await openConversation(newParams.conversation_id);
    if (openId) {
      if (!isFieldEntered()) focusPane();
      list.reveal(openId);
    } else {
      // On a phone the list comes back where it was left, at the conversation that was read.
      scrollTo(0, listScroll);
      focusRow(wasOpen);
    }
  }

  panePlace.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && openId) focusRow(openId);
  });
  const bound = {
    j: () => step(1),
    k: () => step(-1),
    o: () => (list.focused() ? open(list.focused().id) : list.focusIndex(0)),
    "/": toSearch,
  };
  const changing = {
    x: () => list.focused() && selection.toggle(list.focused().id),
    e: forTargets(organize.close),
    u: forTargets(markUnread),
    a: forTargets(organize.assign),
    t: forTargets(tagTargets),
    s: forTargets(organize.snooze),
    z: organize.undo,
  };
  keepClocks(layout, signal);
  const head = h("div", { class: "list-head" }, h("div", { class: "list-title" }, pageHeading(t("inbox.title")), menu.element), search.element, box.element);
  replace(layout, views.element, h("div", { class: "list-pane" }, head, problemPlace, list.element, selection.element, organize.element), panePlace);
  keepMarked(layout.querySelector(".list-pane"), signal);
  replace(main, layout);
  drawFilters();
  openId = params.conversation_id ?? null;
  const reading = Promise.all([drawList(), drawNames(), views.readSaved()]);
  // Read at the same time, and drawn when its row can be marked.
  await reading;
  keys.bind(bound, signal);
  if (mayChange) keys.bind(changing, signal);
  await openConversation(params.conversation_id);
  list.revealOpen(history.state?.row).then(noteIndex, (problem) => showProblem(problemPlace, problem));
  return change;
}
