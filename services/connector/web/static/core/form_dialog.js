// A dialog with a form: what is wrong is said in it, and what was typed stays.

import { h, newId, replace } from "./dom.js";
import { busy, problemTexts } from "./elements.js";
import { t } from "./i18n.js";

/** A dialog with a form; resolves to what `save` returns, or to null if it was cancelled. What fails is said in it, and what was typed stays. */
export function formDialog({ title, content, confirm, isDangerous = false, save }) {
  return new Promise((resolve) => {
    const id = newId("dialog");
    let result = null;
    const said = h("div", { role: "alert", class: "form-error" });
    const button = h("button", { type: "submit", class: isDangerous ? "button button-danger" : "button" }, confirm);
    const cancel = h("button", { type: "button", class: "button button-secondary" }, t("common.cancel"));
    const form = h("form", { class: "form", novalidate: true }, content, said, h("div", { class: "buttons buttons-end" }, cancel, button));
    const dialog = h("dialog", { class: "dialog dialog-small", "data-asks": true, "aria-labelledby": id }, h("h2", { id }, title), form);

    async function submit() {
      replace(said);
      try {
        const saved = await save();
        if (saved === undefined) return;
        result = saved;
        dialog.close();
      } catch (problem) {
        const { title: what, detail } = problemTexts(problem);
        replace(said, h("p", { class: "notice-title" }, what), detail && h("p", {}, detail));
      }
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      return busy(button, submit);
    });
    cancel.addEventListener("click", () => dialog.close());
    const opener = document.activeElement;
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener?.isConnected) opener.focus();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
    form.querySelector("input, select")?.focus();
  });
}
