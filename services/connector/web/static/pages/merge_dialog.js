// With which other conversation one is merged, and what comes of it.

import { get } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { confirmDialog, notice, showProblem } from "../core/elements.js";
import { countryName, dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { latest } from "../core/latest.js";
import { answerClock } from "./answer_clock.js";
import { readConversations } from "./conversation_list.js";
import { conversationName, kindTag } from "./conversation_row.js";
import { withOrderIds } from "./texts_with_orders.js";

const SEARCH_AFTER_MS = 300;
const MOST_FOUND = 5;

/** The id of another conversation of the same store, or null. What comes of it is seen before it is confirmed. */
export async function chooseConversation(conversation, path, signal) {
  const found = h("div", { class: "choices", role: "radiogroup", "aria-label": t("conversation.merge.found") });
  const preview = h("div", { class: "merge-preview", role: "status" });
  const missing = h("p", { class: "field-error", role: "alert" });
  const id = newId("merge");
  const input = h("input", { type: "search", class: "input", id, maxlength: 200, autocomplete: "off", "aria-describedby": `${id}-hint` });
  const chosen = () => found.querySelector("input:checked")?.value;
  let soon = null;
  const searching = latest();
  let previewed = null;

  async function search() {
    const isLatest = searching();
    const asked = { integration_id: conversation.integration.id, limit: MOST_FOUND + 1, q: input.value.trim() };
    try {
      const page = await readConversations(asked, signal);
      if (!isLatest()) return;
      const others = page.items.filter((each) => each.id !== conversation.id).slice(0, MOST_FOUND);
      replace(found, others.length ? others.map((each) => choice(each)) : h("p", { class: "muted" }, t("conversation.merge.none")));
      replace(preview);
    } catch (problem) {
      if (isLatest()) showProblem(found, problem);
    }
  }

  async function show() {
    const other = chosen();
    previewed = null;
    missing.textContent = "";
    try {
      const content = await get(`${path}/merge-preview?into=${other}`, signal);
      if (other !== chosen()) return;
      previewed = other;
      replace(preview, mergePreview(content));
      preview.scrollIntoView({ block: "nearest" });
    } catch (problem) {
      if (other === chosen()) showProblem(preview, problem);
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(search, SEARCH_AFTER_MS);
  });
  found.addEventListener("change", show);
  const check = () => {
    const isSeen = Boolean(chosen()) && previewed === chosen();
    // Nobody merges what they have not seen.
    missing.textContent = isSeen ? "" : t(chosen() ? "conversation.merge.wait" : "conversation.merge.missing");
    return isSeen;
  };
  // What comes into an open dialog would move its buttons from under a pointer.
  await search();
  if (signal.aborted) return null;
  const isConfirmed = await confirmDialog({
    title: t("conversation.merge.title"),
    content: [
      h("p", {}, t("conversation.merge.text")),
      h("div", { class: "field" }, h("label", { for: id }, t("conversation.merge.search")), h("p", { class: "hint", id: `${id}-hint` }, t("inbox.search.hint")), input),
      found,
      preview,
      missing,
    ],
    confirm: t("conversation.merge.confirm"),
    isDangerous: false,
    check,
  });
  clearTimeout(soon);
  return isConfirmed ? chosen() : null;

  function choice(each) {
    const radio = h("input", { type: "radio", name: id, value: each.id, id: newId("choice") });
    return h(
      "div",
      { class: "choice" },
      radio,
      h("label", { for: radio.id }, h("strong", {}, h("bdi", {}, conversationName(each))), " ", kindTag(each.kind), h("span", { class: "muted" }, [each.order_id, each.country && countryName(each.country), dateTime(each.last_message_at)].filter(Boolean).join(" · ")), each.buyer_name && each.subject && h("bdi", {}, withOrderIds(each.subject)), each.snippet && h("span", { class: "choice-text", dir: "auto" }, withOrderIds(each.snippet))),
    );
  }
}

/** Both sides, what they have not in common, and what they become. */
function mergePreview({ source, target, merged, buyers_differ: areBuyersDifferent, orders_differ: areOrdersDifferent }) {
  const different = [areBuyersDifferent && t("conversation.merge.buyers_differ"), areOrdersDifferent && t("conversation.merge.orders_differ")].filter(Boolean);
  return [
    different.length > 0 && notice("warning", t("conversation.merge.differ"), different.map((words) => h("p", {}, words))),
    h("div", { class: "merge-sides" }, side("conversation.merge.this", source), side("conversation.merge.other", target)),
    h("p", { class: "merge-result" }, h("strong", {}, t("conversation.merge.becomes")), " ", nameOf(merged), merged.answer_due_at && [" · ", answerClock(merged.answer_due_at)]),
  ];
}

function side(title, conversation) {
  return h(
    "div",
    { class: "merge-side" },
    h("p", { class: "muted" }, t(title)),
    h("p", {}, h("strong", {}, nameOf(conversation))),
    conversation.snippet && h("p", { class: "choice-text", dir: "auto" }, withOrderIds(conversation.snippet)),
  );
}

function nameOf(conversation) {
  const { order_id: order } = conversation;
  const name = conversationName(conversation);
  return [h("bdi", {}, withOrderIds(name)), order && name !== order && [" · ", withOrderIds(t("conversation.order", { order }))]];
}
