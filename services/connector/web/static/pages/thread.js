// What was said in a conversation: the buyer's messages, replies and internal notes in the order of time, the newest first.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { t } from "../core/i18n.js";
import { mergedPages } from "../core/merged_pages.js";
import { pagedList } from "../core/paged_list.js";
import { isToBeSeen, messageArticle } from "./message.js";
import { noteArticle } from "./note_article.js";
import { replyArticle } from "./reply_article.js";

// Taken back before it was sent, it is a draft again.
const HIDDEN = ["canceled"];

/** `onRead(items)` gets the newest items whenever they were read: messages, replies and notes, each with its `type`. */
export function thread({ path, signal, conversation, reopen, wishes, onDelete, onRead }) {
  const container = h("div", { class: "messages" });
  // What somebody has folded or unfolded stays so.
  const chosen = new Map();
  let unfolded = new Set();
  let newestAtFirst = "";
  let isFirst = true;
  const merged = mergedPages([
    source("messages", "message", ({ received_at: at }) => at),
    source("replies", "reply", ({ created_at: at }) => at, (reply) => !HIDDEN.includes(reply.state)),
    source("notes", "note", ({ created_at: at }) => at),
  ]);

  function source(name, type, timeOf, isShown = () => true) {
    return {
      load: async (cursor) => {
        const page = await get(`${path}/${name}${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`, signal);
        return { ...page, items: page.items.filter(isShown) };
      },
      timeOf,
      wrap: (item) => ({ ...item, type }),
    };
  }

  async function load(cursor) {
    const page = await merged(cursor);
    if (isFirst) {
      unfolded = unreadOf(page.items, conversation());
      newestAtFirst = page.items.find(({ type }) => type === "message")?.received_at ?? "";
      isFirst = false;
    }
    if (!cursor) onRead(page.items);
    return page;
  }

  function render({ type, ...item }) {
    if (type === "reply") return replyArticle(item, { wishes, signal });
    if (type === "note") return noteArticle(item, { onDelete });
    // What comes while the conversation is open has been read by nobody yet.
    const isNew = item.received_at > newestAtFirst;
    const fold = { isOpen: chosen.get(item.id) ?? (isNew || unfolded.has(item.id) || isToBeSeen(item)), onToggle: (isOpen) => chosen.set(item.id, isOpen) };
    return messageArticle(item, conversation(), { signal, reopen, fold });
  }

  const pages = pagedList({ load, render, container, label: t("conversation.older") });
  return {
    element: container,
    more: pages.more,
    refresh: pages.refresh,
    newestMessage: () => container.querySelector("[data-message]")?.dataset.message,
    focusReply: (replyId) => container.querySelector(`[data-reply="${CSS.escape(replyId)}"]`)?.focus(),
  };
}

/** The newest message; in an unread conversation, all since the last reply. `items` are the newest ones, the newest first. */
function unreadOf(items, { unread }) {
  const replied = items.findIndex(({ type }) => type === "reply");
  const since = replied < 0 ? items : items.slice(0, replied);
  const newest = items.find(({ type }) => type === "message");
  const read = unread ? since.filter(({ type }) => type === "message") : [];
  return new Set([newest, ...read].filter(Boolean).map(({ id }) => id));
}
