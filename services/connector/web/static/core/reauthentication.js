// The dialog that asks people to prove who they are, before something that a stranger at their screen must not do.

import { post, Problem } from "./api.js";
import { h, newId, replace } from "./dom.js";
import { busy, field, problemTexts } from "./elements.js";
import { t } from "./i18n.js";

let open = null;

/** Asks for proof, once for however many requests wait for it; resolves to whether it was given. */
export function proveWhoIsThere() {
  open ??= ask().finally(() => (open = null));
  return open;
}

function ask() {
  return new Promise((resolve) => {
    const id = newId("reauthentication");
    const said = h("div", { role: "alert", class: "form-error" });
    const password = field(t("reauthentication.password"), { type: "password", name: "password", autocomplete: "current-password", required: true });
    const button = h("button", { type: "submit", class: "button" }, t("reauthentication.confirm"));
    const cancel = h("button", { type: "button", class: "button button-secondary" }, t("common.cancel"));
    const form = h("form", { class: "form", novalidate: true }, said, password.element, h("div", { class: "buttons buttons-end" }, cancel, button));
    const dialog = h("dialog", { class: "dialog dialog-small", "aria-labelledby": id }, h("h2", { id }, t("reauthentication.title")), h("p", {}, t("reauthentication.text")), form);

    async function confirm() {
      replace(said);
      password.setError(password.input.value ? null : t("sign_in.password_missing"));
      if (!password.input.value) return password.input.focus();
      try {
        await post("/sessions/current/confirm", { password: password.input.value });
        dialog.close("confirmed");
      } catch (problem) {
        if (problem instanceof Problem && problem.code === "not_signed_in") return dialog.close();
        const { title, detail } = problemTexts(problem);
        replace(said, h("p", { class: "notice-title" }, title), h("p", {}, detail));
        password.input.select();
        password.input.focus();
      }
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      busy(button, confirm);
    });
    cancel.addEventListener("click", () => dialog.close());
    const opener = document.activeElement;
    dialog.addEventListener("close", () => {
      dialog.remove();
      opener?.focus?.();
      resolve(dialog.returnValue === "confirmed");
    });
    document.body.append(dialog);
    dialog.showModal();
    password.input.focus();
  });
}
