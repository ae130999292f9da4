// What was said in a conversation: the buyer's messages, replies and internal notes in the order of time, the newest first.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { t } from "../core/i18n.js";
import { mergedPages } from "../core/merged_pages.js";
import { pagedList } from "../core/paged_list.js";
import { messageArticle } from "./message.js";
import { noteArticle } from "./note_article.js";
import { replyArticle } from "./reply_article.js";

// Taken back before it was sent, it is a draft again.
const HIDDEN = ["canceled"];

/** `onRead(items)` gets the newest items whenever they were read: messages, replies and notes, each with its `type`. */
export function thread({ path, signal, conversation, reopen, wishes, onDelete, onRead }) {
  const container = h("div", { class: "messages" });
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
    if (!cursor) onRead(page.items);
    return page;
  }

  function render({ type, ...item }) {
    if (type === "reply") return replyArticle(item, { wishes, signal });
    if (type === "note") return noteArticle(item, { onDelete });
    return messageArticle(item, conversation(), { signal, reopen });
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
