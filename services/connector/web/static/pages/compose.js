// Under a conversation: the box for a reply and the one for an internal note, of which at most one is open.

import { h, newId, replace } from "../core/dom.js";
import { notice, outsideLink } from "../core/elements.js";
import { list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { noteBox } from "./note_box.js";
import { replyBox } from "./reply_box.js";

/** `reply` are the reply box's callbacks; `onNote(note)` is called when a note is stored, `onOpen()` before a box takes its place under the thread. */
export function compose({ conversationId, signal, onNote, onOpen, ...reply }) {
  const replying = replyBox({ conversationId, signal, ...reply });
  const noting = noteBox({ conversationId, onSaved: onNote });
  const boxes = { reply: replying, note: noting };
  const answering = h("p", { class: "answering", role: "status" });
  const whyNot = h("div", { class: "place" });
  const ids = { reply: newId("compose"), note: newId("compose") };
  const places = Object.fromEntries(Object.entries(boxes).map(([kind, box]) => [kind, h("div", { id: ids[kind], hidden: true }, box.element)]));
  const openers = {
    reply: h("button", { type: "button", class: "button button-small", "aria-keyshortcuts": "r", "aria-controls": ids.reply, onclick: () => toggle("reply") }, t("compose.reply"), h("kbd", { "aria-hidden": "true" }, "R")),
    note: h("button", { type: "button", class: "button button-small button-note", "aria-keyshortcuts": "n", "aria-controls": ids.note, onclick: () => toggle("note") }, t("compose.note"), h("kbd", { "aria-hidden": "true" }, "N")),
  };
  let isAnswerable = true;
  let latest = {};

  function drawWhyNot() {
    const hasDraft = replying.isWriting();
    const drawn = JSON.stringify([latest.not_answerable, hasDraft]);
    // What is the same stays: somebody may be on its link.
    if (whyNot.dataset.drawn === drawn) return;
    whyNot.dataset.drawn = drawn;
    replace(whyNot, latest.not_answerable && notAnswerable(latest, hasDraft));
  }

  const isOpen = (kind) => !places[kind].hidden;

  function show(kind) {
    for (const each of Object.keys(places)) {
      places[each].hidden = each !== kind || (each === "reply" && !isAnswerable);
      openers[each].setAttribute("aria-expanded", String(!places[each].hidden));
    }
    element.classList.toggle("compose-open", isOpen("reply") || isOpen("note"));
  }

  function open(kind) {
    onOpen();
    show(kind);
    if (isOpen(kind)) boxes[kind].focus();
    else whyNot.querySelector("a, button")?.focus();
  }

  const toggle = (kind) => (isOpen(kind) ? show(null) : open(kind));

  const element = h(
    "section",
    { class: "compose", "aria-label": t("compose.label") },
    answering,
    whyNot,
    places.reply,
    places.note,
    h("div", { class: "buttons compose-bar" }, openers.reply, openers.note),
  );
  // Leaving never discards anything: what was written stays in its box, and the box stays open for it.
  element.addEventListener("keydown", (event) => {
    const kind = Object.keys(places).find((each) => places[each].contains(event.target));
    if (event.key !== "Escape" || !kind) return;
    event.stopPropagation();
    if (!boxes[kind].isWriting()) show(null);
    openers[kind].focus();
  });
  show(null);

  return {
    element,
    reply: replying,
    open,
    /** Reads the draft; if there is one, its box is open. */
    async load() {
      await replying.load();
      if (replying.isWriting()) show("reply");
      drawWhyNot();
    },
    update(conversation, version, items) {
      replying.update(version, items);
      const others = conversation.being_answered_by ?? [];
      const said = others.length ? t(others.length > 1 ? "compose.answering.many" : "compose.answering.one", { names: list(others.map(({ name }) => name)) }) : "";
      if (answering.textContent !== said) answering.textContent = said;
      const reason = conversation.not_answerable;
      isAnswerable = !reason;
      openers.reply.hidden = !isAnswerable;
      if (!isAnswerable && isOpen("reply")) show(null);
      latest = conversation;
      drawWhyNot();
    },
  };
}

/** Why nobody can be answered here, and what helps. What was written is still there. */
function notAnswerable({ not_answerable: reason, seller_central_url: address }, hasDraft) {
  return notice(
    "warning",
    reason.title,
    h("p", {}, h("strong", {}, t("check.cure")), " ", reason.cure),
    hasDraft && h("p", {}, t("compose.draft_kept")),
    outsideLink(address, t("check.to_seller_central"), { class: "button button-secondary button-small" }),
  );
}
