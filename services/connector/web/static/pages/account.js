// Settings → the account: its name, how German pages address its people, and its end.

import { get, patch, post } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { formDialog } from "../core/form_dialog.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { forgetSession, loadSession, may, signedIn } from "../core/session.js";
import { rememberClosing } from "./account_closed.js";
import { settingsTabs } from "./settings.js";

const FORMS = [["du", "Du"], ["sie", "Sie"]];
const CONSEQUENCES = ["people", "stores", "mail", "data", "undo"];

export async function show({ main, signal }) {
  const account = await get("/account", signal);
  const mayEdit = may("general.admin", "edit");
  replace(main, settingsTabs(), elements.pageHeading(t("account.title")), addressSection(account, mayEdit, signal), mayEdit && closingSection(account, signal));
  return null;
}

function addressSection(account, mayEdit, signal) {
  const id = newId("form-of-address");
  const select = h("select", { id, class: "input", disabled: !mayEdit, "aria-describedby": `${id}-hint` }, FORMS.map(([value, text]) => h("option", { value, selected: value === account.form_of_address, lang: "de" }, text)));
  const said = h("div", { class: "place", role: "status" });
  const button = h("button", { type: "submit", class: "button" }, t("account.save"));

  async function save() {
    replace(said);
    const before = signedIn().account.form_of_address;
    const chosen = select.value;
    try {
      await patch("/account", { form_of_address: chosen }, signal);
      await loadSession();
    } catch (problem) {
      return elements.showProblem(said, problem);
    }
    // All texts are drawn anew, unless somebody is on another page by now.
    if (!signal.aborted && chosen !== before && signedIn().user.form_of_address === null) await navigate("/settings/account", { replace: true });
    elements.tellDone(t("account.saved"));
  }

  function submit(event) {
    event.preventDefault();
    return elements.busy(button, save);
  }

  const choice = h("div", { class: "field" }, h("label", { for: id }, t("account.form_of_address")), h("p", { class: "hint", id: `${id}-hint` }, t("account.form_of_address_hint")), select);
  const name = h("p", {}, h("strong", {}, t("account.name")), " ", h("bdi", {}, account.name));
  return h("section", { class: "card section account-details" }, h("h2", {}, t("account.details")), name, h("form", { class: "form", novalidate: true, onsubmit: submit }, choice, said, mayEdit && button));
}

function closingSection(account, signal) {
  const button = h("button", { type: "button", class: "button button-danger", onclick: () => close(account, signal) }, t("account.close"));
  return h("section", { class: "card section" }, h("h2", {}, t("account.close_title")), consequences(), h("div", { class: "buttons" }, button));
}

const consequences = () => h("ul", { class: "closing" }, CONSEQUENCES.map((each) => h("li", {}, t(`account.closing.${each}`))));

/** Asks for the account's name; whoever closes it leaves with it. */
async function close(account, signal) {
  const name = elements.field(t("account.type_name", { name: account.name }), { name: "account", autocomplete: "off", required: true });

  async function save() {
    const isTyped = name.input.value.trim() !== "";
    name.setError(isTyped ? null : t("account.name_missing"));
    if (isTyped) {
      try {
        return await post("/account/closure", { account_name: name.input.value }, signal);
      } catch (problem) {
        if (problem.code !== "account_name_differs") throw problem;
        name.setError(t("account.name_differs"));
      }
    }
    name.input.focus();
    return undefined;
  }

  const content = [h("p", {}, t("account.close_text")), name.element];
  const closed = await formDialog({ title: t("account.close_question", { name: account.name }), content, confirm: t("account.close_confirm"), isDangerous: true, save });
  if (!closed) return;
  rememberClosing({ name: account.name, until: closed.erase_after });
  forgetSession();
  await navigate("/account-closed", { replace: true });
}
