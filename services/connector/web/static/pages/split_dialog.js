// Which messages of a conversation get one of their own.

import { get } from "../core/api.js";
import { h, newId } from "../core/dom.js";
import { confirmDialog, showProblem } from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";

const SHOWN_CHARACTERS = 90;
// As far as the API takes them one by one.
const MOST_SINGLE = 100;

/** How the API is told which messages get a conversation of their own, or null. */
export async function chooseMessages(path, signal) {
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
  // What comes into an open dialog would move its buttons from under a pointer.
  await pages.refresh().catch((problem) => showProblem(problemPlace, problem));
  if (signal.aborted) return null;
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
