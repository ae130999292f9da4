// The dialog that asks people to prove who they are, before something that a stranger at their screen must not do.

import { get, post } from "./api.js";
import { confirmAtProvider } from "./company_account.js";
import { h, newId, replace } from "./dom.js";
import { actionButton, busy, field, problemTexts } from "./elements.js";
import { t } from "./i18n.js";
import { askPasskey, knowsPasskeys, wasCancelled } from "./passkeys.js";

const PATH = "/sessions/current/confirm";
let open = null;

/** Asks for proof, once for however many requests wait for it; resolves to whether it was given. */
export function proveWhoIsThere() {
  open ??= ask().finally(() => (open = null));
  return open;
}

async function ask() {
  const has = await get("/me/second-factor");
  return new Promise((resolve) => {
    const id = newId("reauthentication");
    const said = h("div", { role: "alert", class: "form-error" });
    const takesCode = !has.has_password;
    const proof = takesCode
      ? field(t("sign_in.code"), { name: "code", autocomplete: "one-time-code", required: true }, t("sign_in.code_hint"))
      : field(t("reauthentication.password"), { type: "password", name: "password", autocomplete: "current-password", required: true });
    const button = h("button", { type: "submit", class: "button" }, t("reauthentication.confirm"));
    const cancel = h("button", { type: "button", class: "button button-secondary" }, t("common.cancel"));
    const withPasskey = async () => {
      const { options } = await post(`${PATH}/passkey-options`);
      return { passkey: await askPasskey(options) };
    };
    const passkey = has.passkeys.length > 0 && knowsPasskeys() && actionButton(t("sign_in.use_passkey"), () => confirm(withPasskey), { class: "button button-secondary button-wide" });
    const gone = new AbortController();
    const atProvider = has.has_company_account && actionButton(t("reauthentication.company"), confirmThere, { class: "button button-secondary button-wide" });
    // Whoever has come by the company account alone has nothing to type.
    const isTyped = has.has_password || has.authenticator_since || has.recovery_codes_left > 0 || !has.has_company_account;
    const form = h("form", { class: "form", novalidate: true }, said, isTyped && proof.element, passkey, atProvider, h("div", { class: "buttons buttons-end" }, cancel, isTyped && button));
    const dialog = h("dialog", { class: "dialog dialog-small", "data-asks": true, "aria-labelledby": id }, h("h2", { id }, t("reauthentication.title")), h("div", { class: "dialog-body" }, h("p", {}, t("reauthentication.text"))), form);

    async function confirm(prove) {
      replace(said);
      try {
        await post(PATH, await prove());
        dialog.close("confirmed");
      } catch (problem) {
        if (problem.code === "not_signed_in") return dialog.close();
        const { title, detail } = wasCancelled(problem) ? { title: t("passkey.cancelled") } : problemTexts(problem);
        replace(said, h("p", { class: "notice-title" }, title), detail && h("p", {}, detail));
        proof.input.select();
        proof.input.focus();
      }
    }

    async function confirmThere() {
      replace(said);
      try {
        if (await confirmAtProvider(gone.signal)) dialog.close("confirmed");
      } catch (problem) {
        if (gone.signal.aborted) return;
        const { title, detail } = problemTexts(problem);
        replace(said, h("p", { class: "notice-title" }, title), detail && h("p", {}, detail));
      }
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = proof.input.value;
      proof.setError(typed ? null : t(takesCode ? "sign_in.code_missing" : "sign_in.password_missing"));
      if (!typed) return proof.input.focus();
      return busy(button, () => confirm(async () => (takesCode ? { code: typed.trim() } : { password: typed })));
    });
    cancel.addEventListener("click", () => dialog.close());
    const opener = document.activeElement;
    dialog.addEventListener("close", () => {
      gone.abort();
      dialog.remove();
      opener?.focus?.();
      resolve(dialog.returnValue === "confirmed");
    });
    document.body.append(dialog);
    dialog.showModal();
    (isTyped ? proof.input : atProvider).focus();
  });
}
