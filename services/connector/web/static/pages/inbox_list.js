// The list of the inbox: loads on as one scrolls, keeps itself true, and moves nothing that somebody reads.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, showProblem, throttled } from "../core/elements.js";
import { onEvent, REPLY_KINDS } from "../core/events.js";
import { count, t } from "../core/i18n.js";
import { longList } from "../core/long_list.js";
import { released } from "../core/pressed.js";
import { readConversations } from "./conversation_list.js";
import { conversationPages } from "./conversation_pages.js";
import { conversationRow } from "./conversation_row.js";
import { askedFor, stateOf } from "./inbox_filters.js";

const READ_AGAIN_MS = 1000;
// A conversation is not looked for deeper than this, or than where it was opened and a little more.
const MOST_ROWS_SEARCHED = 1000;
const ROWS_BEYOND = 200;

/**
 * `filters()` are those of this moment, `openId()` the conversation that is shown beside the list, `names()` those of people and tags.
 * `emptyState()` says what there is to see while there is nothing, `selection` marks rows. `onRead()` is called after each reading of the list, `onProblem(problem)` if it fails.
 */
export function inboxList({ filters, openId, names, addressOf, emptyState, selection, signal, onRead, onProblem }) {
  const scroller = h("div", { class: "conversation-list" });
  const end = h("div", { class: "list-end" });
  const bar = h("button", { type: "button", class: "button button-small new-mail", hidden: true, onclick: showNew });
  const element = h("div", { class: "list-body" }, bar, scroller);
  const pages = conversationPages({ load: (cursor, limit) => readConversations({ ...askedFor(filters()), q: filters().q, cursor, limit }, signal), sort: () => filters().sort });
  const list = longList({ label: t("inbox.conversations"), scroller, signal, render, mark, onEnd: readMore });
  const newIds = new Set();
  // What belonged to the list when it was last read.
  let belonging = new Set();
  let changedIds = new Set();
  let current = null;

  function render(conversation, row) {
    replace(row, conversationRow(conversation, addressOf(conversation.id), names()), selection.box(conversation));
  }

  function mark(conversation, row) {
    const { id } = conversation;
    const link = row.firstElementChild;
    const isTabStop = id === (current ?? openId() ?? list.items()[0]?.id);
    link.href = addressOf(id);
    // Where to look for it after a reload.
    link.dataset.state = JSON.stringify({ ...stateOf(filters()), row: list.indexOf(id) });
    if (id === openId()) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    link.tabIndex = isTabStop ? 0 : -1;
    selection.mark(row, id, isTabStop);
  }

  /** Who scrolls, walks or points in the list reads it. */
  const isRead = () => list.isScrolled() || scroller.contains(document.activeElement) || scroller.matches(":hover") || selection.count() > 0;

  function show(items) {
    const isEmpty = items.length === 0;
    element.classList.toggle("list-empty", isEmpty);
    if (isEmpty) {
      list.show([]);
      replace(scroller, emptyState());
    } else {
      if (!scroller.contains(list.element)) replace(scroller, list.element, end);
      list.show(items, { more: pages.hasMore() });
    }
  }

  /** Shows what was read: in the order of the server or, while somebody reads the list, with nothing at another place than it was. */
  function settle({ keepsOrder }) {
    const read = pages.items();
    forgetGone(read);
    if (keepsOrder && list.items().length > 0) {
      show(inShownOrder(read));
    } else {
      newIds.clear();
      show(read);
    }
    drawBar();
  }

  /** What somebody else has taken out of the list is not changed with what is selected in it. */
  function forgetGone(read) {
    const ids = new Set(read.map(({ id }) => id));
    selection.drop([...belonging].filter((id) => !ids.has(id)));
    belonging = ids;
  }

  /** What is shown and still belongs to the list, and what comes after it. */
  function inShownOrder(read) {
    const fresh = new Map(read.map((item) => [item.id, item]));
    const focused = list.itemOf(document.activeElement);
    const kept = list.items().filter((item) => fresh.has(item.id) || item.id === openId() || item === focused).map((item) => fresh.get(item.id) ?? item);
    const shownIds = new Set(kept.map(({ id }) => id));
    return [...kept, ...read.slice(lastShown(read) + 1).filter(({ id }) => !shownIds.has(id))];
  }

  /** Where in what was read the last one is that is shown. */
  function lastShown(read) {
    const places = new Map(read.map(({ id }, index) => [id, index]));
    return places.get(list.items().findLast(({ id }) => places.has(id))?.id) ?? -1;
  }

  function isBehind() {
    const shown = list.items();
    return pages.items().some(({ id }, index) => shown[index]?.id !== id);
  }

  /** Notes what has come since the list was last in order; how many these are. */
  function noteNew() {
    const read = pages.items();
    const before = new Map(list.items().map((item) => [item.id, item]));
    if (!before.size) return 0;
    const isNew = (item) => item.unread && item.id !== openId() && !(before.get(item.id)?.last_message_at >= item.last_message_at);
    const found = read.slice(0, lastShown(read) + 1).filter(isNew);
    for (const { id } of found) newIds.add(id);
    return found.length;
  }

  function drawBar() {
    bar.hidden = newIds.size === 0;
    replace(bar, newIds.size > 0 && `↑ ${count("inbox.new", newIds.size)}`);
  }

  /** Shows what has come at its place, and leads there. */
  function showNew() {
    settle({ keepsOrder: false });
    list.toTop();
    const first = list.items()[0];
    if (first) list.focus(first.id);
  }

  /** Nobody reads the list any more. */
  function settleIfUnread() {
    // Scrolling comes here with each step, and then the list is read: the cheap question is the first.
    if (!isRead() && isBehind()) settle({ keepsOrder: false });
  }

  /** What takes the focus out of the list may be the bar, which goes when it is settled. */
  async function settleSoon() {
    await released();
    requestAnimationFrame(settleIfUnread);
  }

  for (const kind of ["pointerleave", "focusout", "scroll"]) scroller.addEventListener(kind, settleSoon);

  /** Reads the list from its beginning. Resolves to how many are shown, or to null if a later reading has overtaken this one. */
  async function start() {
    changedIds = new Set();
    belonging = new Set();
    current = null;
    newIds.clear();
    drawBar();
    list.show([]);
    if (!(await pages.start())) return null;
    list.toTop();
    settle({ keepsOrder: false });
    onRead();
    return list.items().length;
  }

  async function readMore() {
    if (end.firstChild && !end.querySelector(".loading")) return;
    replace(end, h("p", { class: "muted loading" }, t("inbox.loading")));
    try {
      const isRead = await pages.readMore();
      replace(end);
      if (isRead) settle({ keepsOrder: isBehind() });
    } catch (problem) {
      const again = h("button", { type: "button", class: "button button-secondary button-small" }, t("common.try_again"));
      again.addEventListener("click", () => {
        replace(end);
        readMore();
      });
      showProblem(end, problem, again);
    }
  }

  const readAgain = throttled(READ_AGAIN_MS, signal, async () => {
    const ids = changedIds;
    changedIds = new Set();
    try {
      if (!(await pages.refresh(ids))) return;
      const found = noteNew();
      settle({ keepsOrder: isRead() });
      if (found) announce(count("inbox.new", found));
      onRead();
    } catch (problem) {
      onProblem(problem);
    }
  });

  function onChange({ conversation_id: id }) {
    // After a gap nobody knows what has changed: all that is in sight may have.
    for (const each of id ? [id] : list.shownIds()) changedIds.add(each);
    readAgain();
  }

  for (const kind of ["message.received", "conversation.changed", ...REPLY_KINDS]) onEvent(kind, signal, onChange);

  scroller.addEventListener("focusin", ({ target }) => {
    const item = list.itemOf(target);
    if (!item || item.id === current) return;
    current = item.id;
    list.redraw();
  });
  scroller.addEventListener("keydown", (event) => {
    const here = list.indexOf(list.itemOf(document.activeElement)?.id);
    const target = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: list.items().length - 1 }[event.key];
    if (here < 0 || target === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    focusIndex(target);
  });

  function focusIndex(index) {
    const item = list.items()[index];
    if (item) list.focus(item.id);
    return Boolean(item);
  }

  return {
    element,
    start,
    /** After something of one's own: what has left is gone, what is back is back. */
    async readChanged(ids) {
      if (!(await pages.refresh(new Set(ids)))) return;
      settle({ keepsOrder: false });
      onRead();
    },
    /** Brings the open conversation into sight, also after a reload, which knows at which `row` it was, or by a link, which does not. */
    async revealOpen(row = 0) {
      const id = openId();
      const most = Math.max(row + ROWS_BEYOND, MOST_ROWS_SEARCHED);
      const isMissing = () => list.indexOf(id) < 0 && pages.hasMore() && pages.items().length < most;
      if (id && isMissing()) {
        const conversation = await get(`/conversations/${id}`, signal);
        while (openId() === id && isMissing() && !pages.reach(conversation)) {
          if (!(await pages.readMore())) return;
          settle({ keepsOrder: false });
        }
      }
      if (openId()) list.reveal(openId());
    },
    redraw: list.redraw,
    items: list.items,
    indexOf: list.indexOf,
    /** The conversation whose row has the focus, or null. */
    focused: () => list.itemOf(document.activeElement),
    focus: list.focus,
    reveal: list.reveal,
    focusIndex,
    isShown: () => scroller.offsetParent !== null,
    /** Rows are drawn anew: names have come, or have changed. */
    renderAll: list.renderAll,
  };
}
