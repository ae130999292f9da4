// One conversation with its messages, newest first, and what an agent can do with it.

import { get, patch } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, setTitle, showProblem, throttled } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { may } from "../core/session.js";
import { answerClock } from "./answer_clock.js";
import { actions } from "./conversation_actions.js";
import { kindTag, whereFrom } from "./conversation_row.js";
import { messageArticle } from "./message.js";

/** `reopen(id)` shows this conversation anew, or another one in its place. */
export async function conversationPane(place, conversationId, signal, { listAddress, reopen }) {
  const path = `/conversations/${conversationId}`;
  let conversation = await get(path, signal);
  // It was merged, and that one has its messages now.
  if (conversation.id !== conversationId) return reopen(conversation.id);
  let drawn = "";
  // Whoever marks it unread while it is open wants it to stay so.
  let isLeftUnread = false;
  let isShown = false;
  const heading = h("h2", { tabindex: "-1" });
  const head = h("div", { class: "conversation-head" });
  const messages = h("div", { class: "messages" });
  const problemPlace = h("div", { class: "place" });
  const pages = pagedList({
    load: (cursor) => get(`${path}/messages${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
    render: (message) => messageArticle(message, conversation, { signal, reopen }),
    container: messages,
    label: t("conversation.older"),
  });

  /** Sends a change, shows the conversation that the API answers, and announces what was done. */
  async function act(send, said) {
    try {
      conversation = await send();
      replace(problemPlace);
      drawHead();
      await pages.refresh();
      announce(said);
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  const toolbar = { path, act, problemPlace, signal, reopen, leaveUnread: () => (isLeftUnread = true) };

  function drawHead() {
    const said = JSON.stringify({ ...conversation, unread: null });
    if (said === drawn) return;
    drawn = said;
    const focused = head.contains(document.activeElement) ? document.activeElement.dataset.action : null;
    const title = conversation.order_id ? t("conversation.order", { order: conversation.order_id }) : conversation.subject || t("inbox.no_order");
    setTitle(title);
    replace(heading, h("bdi", {}, title));
    replace(
      head,
      h("p", { class: "muted" }, conversation.buyer_name && [h("bdi", {}, conversation.buyer_name), " · "], whereFrom(conversation)),
      conversation.order_id && conversation.subject && h("p", { class: "subject", dir: "auto" }, conversation.subject),
      h(
        "p",
        { class: "conversation-tags" },
        kindTag(conversation.kind),
        conversation.status !== "open" && h("span", { class: `tag tag-${conversation.status}` }, t(`status.${conversation.status}`)),
        conversation.asin && h("span", { class: "muted" }, t("inbox.product", { asin: conversation.asin })),
        conversation.answer_due_at && answerClock(conversation.answer_due_at),
      ),
      may("inbox.messages", "edit") && actions(conversation, toolbar),
    );
    // The button that was pressed may have become another one, or be gone.
    if (focused) (head.querySelector(`[data-action="${focused}"]`) ?? heading).focus();
  }

  const newest = () => messages.firstElementChild?.dataset.message;

  async function markRead() {
    if (!conversation.unread || isLeftUnread || document.hidden || !may("inbox.messages", "edit")) return;
    await patch(path, { unread: false }, signal);
    conversation.unread = false;
  }

  async function readAgain() {
    try {
      const wasQuarantined = conversation.status === "quarantine";
      const before = newest();
      conversation = await get(path, signal);
      if (conversation.id !== conversationId || wasQuarantined !== (conversation.status === "quarantine")) return await reopen(conversation.id);
      drawHead();
      await pages.refresh();
      replace(problemPlace);
      if (newest() === before) return;
      if (isShown) announce(t("conversation.new_message"));
      isLeftUnread = false;
      await markRead();
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  const soon = throttled(1000, signal, readAgain);
  const isOurs = (ids) => !ids.conversation_id || ids.conversation_id === conversationId;
  onEvent("message.received", signal, (ids) => isOurs(ids) && soon());
  onEvent("conversation.changed", signal, (ids) => isOurs(ids) && soon());
  await pages.refresh();
  isShown = true;
  drawHead();
  replace(place, h("a", { href: listAddress(), class: "back" }, t("inbox.back")), heading, head, problemPlace, messages, pages.more);
  await markRead().catch((problem) => showProblem(problemPlace, problem));
}
