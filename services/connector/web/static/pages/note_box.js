// The box for an internal note: another form, another colour, another button. Nothing in here can send anything to a buyer.

import { postOnce } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { announce, busy, showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { keepLocalDraft, localDraft, removeLocalDraft, typedSince } from "../core/local_drafts.js";
import { userId } from "../core/session.js";

/** `onSaved(note)` is called when the server has it. */
export function noteBox({ conversationId, onSaved }) {
  const owner = userId();
  // Beside the reply's copy, never in its place.
  const place = `note-${conversationId}`;
  const id = newId("note");
  const input = h("textarea", { id, class: "input reply-text", rows: 3, dir: "auto", "aria-describedby": `${id}-hint` });
  const problemPlace = h("div", { class: "place" });
  const button = h("button", { type: "submit", class: "button button-small button-note", "aria-keyshortcuts": "Control+Enter" }, t("note.save"));
  let key = null;
  input.value = localDraft(owner, place)?.text ?? "";
  input.addEventListener("input", () => {
    key = null;
    keep();
  });

  function keep() {
    if (input.value) keepLocalDraft(owner, place, { text: input.value, isSaved: false });
    else removeLocalDraft(owner, place);
  }

  async function save() {
    replace(problemPlace);
    if (!input.value.trim()) return input.focus();
    key ??= crypto.randomUUID();
    const text = input.value;
    try {
      const { content } = await postOnce(`/conversations/${conversationId}/notes`, { text }, { key });
      key = null;
      input.value = typedSince(input.value, text);
      keep();
      announce(t("note.saved"));
      await onSaved(content);
    } catch (problem) {
      if (problem.status > 0) key = null;
      showProblem(problemPlace, problem);
    }
  }

  const element = h(
    "form",
    {
      class: "note-form",
      novalidate: true,
      "aria-label": t("note.label"),
      onsubmit: (event) => {
        event.preventDefault();
        busy(button, save);
      },
    },
    h("div", { class: "reply-head" }, h("label", { for: id }, t("note.label")), h("span", { class: "muted", id: `${id}-hint` }, t("note.hint"))),
    input,
    problemPlace,
    h("div", { class: "buttons" }, button),
  );
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    event.preventDefault();
    busy(button, save);
  });
  return { element, isWriting: () => input.value !== "", focus: () => input.focus({ preventScroll: true }) };
}
