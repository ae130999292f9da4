// What an agent can do with a conversation: close it by a button, and by a menu stop the answer clock, leave unread, merge, split.

import { patch, post } from "../core/api.js";
import { h } from "../core/dom.js";
import { actionButton, announce, notice, outsideLink, showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { menuButton } from "../core/menu_button.js";
import { loadLater } from "../core/router.js";
import { mergeInto, takeMergeBack } from "./conversation_merge.js";

// Amazon's notices that may arrive closed and read.
const MUTABLE_KINDS = ["order_notice", "claim_notice", "return_notice", "auto_reply"];

/** The button and the menu. A quarantined mail has one of its own, beside the reason. */
export function actions(conversation, { path, act, problemPlace, signal, reopen, organize, leaveUnread }) {
  if (conversation.status === "quarantine") return null;
  const isClosed = conversation.status === "closed";
  const button = (name, work) => actionButton(t(`conversation.${name}`), work, { class: "button button-secondary button-small", "data-action": "status" });
  const command = (name, work) => ({ name, label: t(`conversation.${name}`), work });

  const settle = () => act(() => post(`${path}/no-answer-needed`, undefined, signal), t("conversation.no_answer_needed.done"), amazonsClock(conversation));
  // Another conversation may be shown then: what was done is told beside the list.
  const close = () => act(() => organize.close([conversation.id]), "");
  const open = () => act(() => patch(path, { status: "open" }, signal), t("conversation.reopen.done"));
  const unread = () => {
    leaveUnread();
    return act(() => patch(path, { unread: true }, signal), t("conversation.mark_unread.done"));
  };

  /** They lead to another conversation than the one that is shown; `send()` resolves to it, or to null if somebody has cancelled. */
  async function goOn(send, said) {
    try {
      const other = await send();
      if (!other) return;
      await reopen(other.id);
      announce(said);
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  async function sendMerge() {
    const { chooseConversation } = await loadLater(() => import("./merge_dialog.js"));
    const target = await chooseConversation(conversation, path, signal);
    return target && mergeInto(path, target, signal);
  }

  async function sendSplit() {
    const { chooseMessages } = await loadLater(() => import("./split_dialog.js"));
    const chosen = await chooseMessages(path, signal);
    return chosen && post(`${path}/split`, chosen, signal);
  }

  const merge = () => goOn(sendMerge, t("conversation.merge.done"));

  const undoMerge = () => goOn(() => takeMergeBack(conversation, signal), t("conversation.merge_undo.done"));

  const split = () => goOn(sendSplit, t("conversation.split.done"));

  /** Asked for in a dialog, which may be cancelled. */
  const ask = (work) => act(work, "");

  const commands = [
    conversation.answer_due_at && command("no_answer_needed", settle),
    command("mark_unread", unread),
    command("assign", () => ask(() => organize.assign([conversation.id]))),
    command("tag", () => ask(() => organize.tag([conversation]))),
    conversation.status !== "closed" && command("snooze", () => ask(() => organize.snooze([conversation.id]))),
    MUTABLE_KINDS.includes(conversation.kind) && command("mute", () => ask(() => organize.mute(conversation.kind))),
    command("merge", merge),
    conversation.undoable_merge_id && command("merge_undo", undoMerge),
    conversation.message_count > 1 && command("split", split),
  ].filter(Boolean);
  return h(
    "div",
    { class: "conversation-actions", role: "group", "aria-label": t("conversation.actions") },
    isClosed ? button("reopen", open) : button("close", close),
    menuButton(t("conversation.more"), commands, { "data-action": "more" }),
  );
}

/** Only we know that no answer is needed; where Amazon is told. */
function amazonsClock(conversation) {
  return notice(
    "info",
    t("conversation.no_answer_needed.here.title"),
    h("p", {}, t("conversation.no_answer_needed.here.text")),
    outsideLink(conversation.seller_central_url, t("check.to_seller_central"), { class: "button button-secondary button-small" }),
  );
}
