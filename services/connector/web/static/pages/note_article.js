// An internal note in its conversation, in a colour of its own: buyers never see it.

import { remove } from "../core/api.js";
import { h } from "../core/dom.js";
import { actionButton, confirmDialog } from "../core/elements.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { may, userId } from "../core/session.js";

/** `onDelete(send)` sends the deletion and shows the thread without the note. */
export function noteArticle(note, { onDelete }) {
  const isOwn = note.written_by?.id === userId();
  const mayDelete = may("inbox.messages", "edit") && (isOwn || may("general.admin", "edit"));
  const who = isOwn ? t("reply.you") : (note.written_by?.name ?? t("reply.your_team"));

  async function forget() {
    const isConfirmed = await confirmDialog({ title: t("note.delete.title"), content: h("p", {}, t("note.delete.text")), confirm: t("note.delete") });
    if (isConfirmed) await onDelete(() => remove(`/notes/${note.id}`));
  }

  return h(
    "article",
    { class: "message card note", "data-testid": "note", "data-note": note.id },
    h("header", { class: "message-head" }, h("h3", {}, h("bdi", {}, who), h("span", { class: "muted" }, ` · ${t("note.kind")}`)), h("time", { datetime: note.created_at }, dateTime(note.created_at))),
    note.text === null ? h("p", { class: "muted" }, t("note.unreadable")) : h("div", { class: "message-text", dir: "auto" }, note.text),
    mayDelete && h("div", { class: "buttons" }, actionButton(t("note.delete"), forget, { class: "button button-secondary button-small", "aria-label": t("note.delete.named", { time: dateTime(note.created_at) }) })),
  );
}
