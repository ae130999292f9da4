// One conversation with what was said in it, newest first, and what an agent can do with it.

import { getVersion, patch, Problem } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, copyButton, setTitle, showProblem, throttled } from "../core/elements.js";
import { onEvent, REPLY_KINDS } from "../core/events.js";
import { t } from "../core/i18n.js";
import { whenMenuIsClosed } from "../core/menu_button.js";
import { hits } from "../core/marks.js";
import { may, userId } from "../core/session.js";
import { answerClock } from "./answer_clock.js";
import { commandsOf } from "./command_palette.js";
import { compose } from "./compose.js";
import { actions } from "./conversation_actions.js";
import { mergedBar, takeMergeBack } from "./conversation_merge.js";
import { kindTag, statusTag, tagsOf, whereFrom } from "./conversation_row.js";
import { orderCard } from "./order_card.js";
import { replyWishes } from "./reply_wishes.js";
import { withOrderIds } from "./texts_with_orders.js";
import { thread } from "./thread.js";

// As long as the API names somebody who has typed.
const TYPING_ENDS_MS = 31000;
const MARGIN = 12;

/**
 * `reopen(id)` shows this conversation anew, or another one in its place. `keys`, `palette` and `organize` are the inbox's; `onSentAndClosed()` is called
 * when a reply was taken that closes the conversation; `names()` are those of people and tags.
 */
export async function conversationPane(place, conversationId, signal, { listAddress, reopen, keys, palette, organize, names, onSentAndClosed }) {
  const path = `/conversations/${conversationId}`;
  let { content: conversation, version } = await getVersion(path, signal);
  // It was merged, and that one has its messages now.
  if (conversation.id !== conversationId) return reopen(conversation.id);
  const isQuarantined = conversation.status === "quarantine";
  const mayAnswer = may("inbox.messages", "edit") && !isQuarantined;
  let drawn = "";
  let items = [];
  // Whoever marks it unread while it is open wants it to stay so.
  let isLeftUnread = false;
  let isShown = false;
  const heading = h("h2", { tabindex: "-1" });
  const tools = h("div", { class: "conversation-tools" });
  const aboutPlace = h("div");
  const head = h("header", { class: "conversation-head" }, h("div", { class: "conversation-line" }, heading, tools), aboutPlace, hits(place, signal));
  const problemPlace = h("div", { class: "place" });
  const hintPlace = h("div", { class: "place" });
  const states = replyStates();
  const shown = thread({
    path,
    signal,
    conversation: () => conversation,
    reopen,
    wishes: replyWishes({ act: actOnReply, onCanceled: takenBack, edit: mayAnswer && takeOver }),
    onDelete: actOnReply,
    onRead: (read) => (items = read),
  });
  const orders = orderCard({ conversationId, integrationId: conversation.integration.id, signal, onLoaded: () => isShown && drawHead() });
  const scroll = h("div", { class: "conversation-scroll" }, problemPlace, hintPlace, shown.element, shown.more);
  const box = mayAnswer && compose({ conversationId, signal, readAgain, onSent: sent, onNote: () => refresh(), onInsert: () => palette.open(), onOpen: showNewest });

  /** Reads version, thread and state anew. The version first: what it does not know yet, the thread may show, but not the other way round. */
  async function refresh() {
    const answer = await getVersion(path, signal);
    if (answer.content.id !== conversationId || isQuarantined !== (answer.content.status === "quarantine")) return reopen(answer.content.id);
    await shown.refresh();
    ({ content: conversation, version } = answer);
    drawHead();
    box && box.update(conversation, version, items);
    states.tell(items);
    return null;
  }

  /** Sends a change, shows what came of it, and announces what was done; `hint` is what there is to know besides. */
  async function act(send, said, hint = null) {
    if (!(await actOnReply(send))) return;
    replace(hintPlace, hint);
    if (said) announce(said);
  }

  async function actOnReply(send) {
    try {
      await send();
      replace(problemPlace);
      await refresh();
      return true;
    } catch (problem) {
      showProblem(problemPlace, problem);
      // A reply that has gone on meanwhile is shown as it is now.
      if (problem.status === 409) await refresh().catch((another) => showProblem(problemPlace, another));
      return false;
    }
  }

  async function sent(reply, { close }) {
    if (close && (await onSentAndClosed())) return;
    await refresh();
    // Whoever writes on already keeps the focus.
    if (!box.reply.isWriting()) shown.focusReply(reply.id);
  }

  /** What is answered is in sight above the box; whoever has scrolled down already stays there. */
  function showNewest() {
    const top = shown.element.offsetTop - MARGIN;
    if (scroll.scrollTop < top) scroll.scrollTo(0, top);
  }

  /** A reply that was taken back is a draft again. */
  async function takenBack() {
    await box.load();
    box.open("reply");
  }

  /** A failed reply's text, to be changed and sent as another one. */
  function takeOver(reply) {
    box.open("reply");
    box.reply.insert(reply.text ?? "");
  }

  function insertTemplate(template) {
    box.open("reply");
    return box.reply.insertTemplate(template);
  }

  async function undoMerge() {
    try {
      const undone = await takeMergeBack(conversation, signal);
      await reopen(undone.id);
      announce(t("conversation.merge_undo.done"));
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  const toolbar = { path, act, problemPlace, signal, reopen, organize, leaveUnread: () => (isLeftUnread = true) };

  const drawHead = () => whenMenuIsClosed(head, signal, redrawHead);

  function redrawHead() {
    const order = conversation.order_id;
    const orderAddress = order && orders.addressOf(order);
    const said = JSON.stringify([{ ...conversation, unread: null, being_answered_by: null }, orderAddress, [...names()]]);
    if (said === drawn) return;
    drawn = said;
    const focused = head.contains(document.activeElement) ? document.activeElement.dataset.action : null;
    const orderName = order ? withOrderIds(t("conversation.order", { order })) : [];
    const number = orderName.find((part) => part instanceof Node);
    const who = conversation.buyer_name || (!order && (conversation.subject || t("inbox.no_order")));
    setTitle([who, order && t("conversation.order", { order })].filter(Boolean).join(" · "));
    replace(heading, who && h("bdi", {}, who), who && order && " · ", order && (orderAddress ? h("a", { href: orderAddress, "data-action": "order" }, orderName) : h("span", {}, orderName)));
    replace(
      tools,
      number && copyButton("", number, { class: "button button-secondary copy copy-small", "aria-label": t("order.copy_number"), title: t("order.copy_number"), "data-action": "copy" }),
      conversation.status !== "open" && statusTag(conversation),
      conversation.answer_due_at && answerClock(conversation.answer_due_at),
      may("inbox.messages", "edit") && actions(conversation, toolbar),
    );
    replace(aboutPlace, about());
    // The button that was pressed may have become another one, or be gone.
    if (focused) (head.querySelector(`[data-action="${focused}"]`) ?? heading).focus();
  }

  /** Below the line, small: what it is about, and where it came from. */
  function about() {
    const isSubjectSaid = !conversation.buyer_name && !conversation.order_id;
    return h(
      "p",
      { class: "conversation-about muted" },
      conversation.kind !== "buyer_message" && kindTag(conversation.kind),
      conversation.subject && !isSubjectSaid && h("bdi", { class: "conversation-topic" }, withOrderIds(conversation.subject)),
      h("bdi", {}, whereFrom(conversation)),
      conversation.asin && h("span", {}, t("inbox.product", { asin: conversation.asin })),
      names().has(conversation.assignee_id) && h("span", {}, `${t("inbox.assigned_to")} `, h("bdi", {}, names().get(conversation.assignee_id))),
      tagsOf(conversation, names()).map((name) => h("bdi", { class: "label" }, name)),
    );
  }

  async function markRead() {
    if (!conversation.unread || isLeftUnread || document.hidden || !may("inbox.messages", "edit")) return;
    await patch(path, { unread: false }, signal);
    conversation.unread = false;
  }

  async function readAgain() {
    try {
      const before = shown.newestMessage();
      const wasShown = isShown;
      await refresh();
      replace(problemPlace);
      if (shown.newestMessage() === before) return;
      // While nothing was shown yet, nothing that is shown now is new.
      if (wasShown) announce(t("conversation.new_message"));
      isLeftUnread = false;
      await markRead();
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  const soon = throttled(1000, signal, readAgain);
  const isOurs = (ids) => !ids.conversation_id || ids.conversation_id === conversationId;
  for (const kind of ["message.received", "conversation.changed", ...REPLY_KINDS]) onEvent(kind, signal, (ids) => isOurs(ids) && soon());
  // Both before anything is drawn, so that nothing moves when the orders come.
  await Promise.all([shown.refresh(), orders.load()]);
  isShown = true;
  replace(hintPlace, mergedBar(conversation, undoMerge));
  drawHead();
  states.tell(items);
  replace(place, h("a", { href: listAddress(), class: "back" }, t("inbox.back")), head, orders.element, scroll, box && box.element);
  printsWhole(shown.element, signal);
  // Keys count from the moment on at which there is something to see.
  if (box) {
    box.update(conversation, version, items);
    keys.bind({ r: () => box.open("reply"), n: () => box.open("note") }, signal);
    palette.extend({ commands: () => commandsOf(box, head), onTemplate: insertTemplate }, signal);
    watchTyping();
  }
  // Nobody waits for these: whoever writes already keeps the focus.
  Promise.all([markRead(), box && box.load()]).catch((problem) => showProblem(problemPlace, problem));
  return null;

  /** Colleagues who type are named until they have not typed for a while. */
  function watchTyping() {
    let timer = null;
    const read = throttled(2000, signal, async () => {
      try {
        const { content } = await getVersion(path, signal);
        box.update({ ...conversation, being_answered_by: content.being_answered_by }, version, items);
        clearTimeout(timer);
        if (content.being_answered_by?.length) timer = setTimeout(read, TYPING_ENDS_MS);
      } catch (problem) {
        if (!(problem instanceof Problem) && problem.name !== "AbortError") throw problem;
      }
    });
    onEvent("reply.typed", signal, (ids) => ids.conversation_id === conversationId && ids.user_id !== userId() && read());
    signal.addEventListener("abort", () => clearTimeout(timer));
  }
}

/** On paper nothing can be unfolded: what is folded is unfolded while it is printed. */
function printsWhole(element, signal) {
  let unfolded = [];
  addEventListener(
    "beforeprint",
    () => {
      unfolded = [...element.querySelectorAll("details.message-fold:not([open]), details.quoted:not([open])")];
      for (const part of unfolded) part.open = true;
    },
    { signal },
  );
  addEventListener("afterprint", () => unfolded.forEach((part) => (part.open = false)), { signal });
}

/** Tells people who do not see it that a reply's state has changed. */
function replyStates() {
  const known = new Map();
  let isFirst = true;
  return {
    tell(items) {
      for (const { type, id, state, failure } of items) {
        if (type !== "reply" || known.get(id) === state) continue;
        const isNew = !known.has(id);
        known.set(id, state);
        if (!isFirst && !isNew) announce([t(`reply.state.${state}`), failure?.title].filter(Boolean).join(". "));
      }
      isFirst = false;
    },
  };
}
