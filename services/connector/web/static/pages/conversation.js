// One conversation with what was said in it, newest first, and what an agent can do with it.

import { getVersion, patch, Problem } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, setTitle, showProblem, throttled } from "../core/elements.js";
import { onEvent, REPLY_KINDS } from "../core/events.js";
import { t } from "../core/i18n.js";
import { may, userId } from "../core/session.js";
import { answerClock } from "./answer_clock.js";
import { commandPalette, commandsOf } from "./command_palette.js";
import { compose } from "./compose.js";
import { actions } from "./conversation_actions.js";
import { kindTag, whereFrom } from "./conversation_row.js";
import { orderCard } from "./order_card.js";
import { replyWishes } from "./reply_wishes.js";
import { shortcuts } from "./shortcuts.js";
import { thread } from "./thread.js";

// As long as the API names somebody who has typed.
const TYPING_ENDS_MS = 31000;
const MARGIN = 12;

/** `reopen(id)` shows this conversation anew, or another one in its place. */
export async function conversationPane(place, conversationId, signal, { listAddress, reopen }) {
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
  const head = h("div", { class: "conversation-head" });
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
  const orders = orderCard({ conversationId, integrationId: conversation.integration.id, signal });
  const box = mayAnswer && compose({ conversationId, signal, readAgain, onSent: sent, onNote: () => refresh(), onInsert: () => palette.open(), onOpen: showNewest });
  const palette = mayAnswer && commandPalette({ signal, commands: () => commandsOf(box, head), onTemplate: insertTemplate });

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
    announce(said);
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

  async function sent(reply) {
    await refresh();
    shown.focusReply(reply.id);
  }

  /** What is answered is in sight above the box; whoever has scrolled down already stays there. */
  function showNewest() {
    const top = shown.element.offsetTop - MARGIN;
    if (place.scrollTop < top) place.scrollTo(0, top);
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

  const toolbar = { path, act, problemPlace, signal, reopen, leaveUnread: () => (isLeftUnread = true) };

  function drawHead() {
    const said = JSON.stringify({ ...conversation, unread: null, being_answered_by: null });
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

  async function markRead() {
    if (!conversation.unread || isLeftUnread || document.hidden || !may("inbox.messages", "edit")) return;
    await patch(path, { unread: false }, signal);
    conversation.unread = false;
  }

  async function readAgain() {
    try {
      const before = shown.newestMessage();
      await refresh();
      replace(problemPlace);
      if (shown.newestMessage() === before) return;
      if (isShown) announce(t("conversation.new_message"));
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
  drawHead();
  states.tell(items);
  replace(place, h("a", { href: listAddress(), class: "back" }, t("inbox.back")), heading, head, orders.element, problemPlace, hintPlace, shown.element, shown.more, box && box.element);
  // Keys count from the moment on at which there is something to see.
  if (box) {
    box.update(conversation, version, items);
    shortcuts({ signal, palette, box });
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
