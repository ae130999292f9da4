// What an agent can do with a conversation: close it by a button, and by a menu stop the answer clock, leave unread, merge, split.

import { get, patch, post } from "../core/api.js";
import { h, newId } from "../core/dom.js";
import { actionButton, announce, confirmDialog, notice, outsideLink, showProblem } from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { menuButton } from "../core/menu_button.js";
import { pagedList } from "../core/paged_list.js";
import { chooseConversation, mergeInto, takeMergeBack } from "./conversation_merge.js";

const SHOWN_CHARACTERS = 90;
// Amazon's notices that may arrive closed and read.
const MUTABLE_KINDS = ["order_notice", "claim_notice", "return_notice", "auto_reply"];
// As far as the API takes them one by one.
const MOST_SINGLE = 100;

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

  /** Both lead to another conversation than the one that is shown. */
  async function goOn(send, said) {
    try {
      const other = await send();
      await reopen(other.id);
      announce(said);
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  async function merge() {
    const target = await chooseConversation(conversation, path, signal);
    if (target) await goOn(() => mergeInto(path, target, signal), t("conversation.merge.done"));
  }

  const undoMerge = () => goOn(() => takeMergeBack(conversation, signal), t("conversation.merge_undo.done"));

  async function split() {
    const chosen = await chooseMessages(path, signal);
    if (chosen) await goOn(() => post(`${path}/split`, chosen, signal), t("conversation.split.done"));
  }

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

/** How the API is told which messages get a conversation of their own, or null. */
async function chooseMessages(path, signal) {
  const rows = h("div", { class: "choices", role: "group", "aria-label": t("conversation.split.messages") });
  const problemPlace = h("div", { class: "place" });
  const wrong = h("p", { class: "field-error", role: "alert" });
  const pages = pagedList({
    load: (cursor) => get(`${path}/messages?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
    render: choice,
    container: rows,
    label: t("conversation.older"),
  });
  const boxes = () => [...rows.querySelectorAll("input")];
  const newer = h("input", { type: "checkbox", id: newId("newer") });
  const chosen = () => boxes().filter((box) => box.checked).map((box) => box.value);
  // Newest first: with all newer ones, everything above the lowest that is chosen goes, too.
  const isAll = () => (newer.checked ? boxes().at(-1)?.checked : chosen().length === boxes().length) && !pages.hasMore();
  const mistake = () => {
    if (chosen().length === 0) return t("conversation.split.missing");
    if (isAll()) return t("conversation.split.all");
    return !newer.checked && chosen().length > MOST_SINGLE ? t("conversation.split.too_many", { count: MOST_SINGLE }) : "";
  };
  const check = () => {
    wrong.textContent = mistake();
    return !wrong.textContent;
  };
  pages.refresh().catch((problem) => showProblem(problemPlace, problem));
  const isConfirmed = await confirmDialog({
    title: t("conversation.split.title"),
    content: [h("p", {}, t("conversation.split.text")), problemPlace, rows, pages.more, h("div", { class: "choice" }, newer, h("label", { for: newer.id }, t("conversation.split.newer"))), wrong],
    confirm: t("conversation.split.confirm"),
    isDangerous: false,
    check,
  });
  if (!isConfirmed) return null;
  return newer.checked ? { from_message_id: chosen().at(-1) } : { message_ids: chosen() };

  function choice(message) {
    const box = h("input", { type: "checkbox", value: message.id, id: newId("choice") });
    const words = (message.text ?? message.subject ?? "").slice(0, SHOWN_CHARACTERS);
    return h(
      "div",
      { class: "choice" },
      box,
      h("label", { for: box.id }, h("strong", {}, h("bdi", {}, message.sender_name || message.sender_address || t("conversation.unknown_sender"))), h("span", { class: "muted" }, dateTime(message.received_at)), h("bdi", {}, words)),
    );
  }
}
