// Profile: another password.

import { put } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { busy, field, problemTexts, showProblem, tellDone } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { signedIn } from "../core/session.js";

export function passwordSection(signal, onChange) {
  const current = field(t("password.current"), { type: "password", name: "current-password", autocomplete: "current-password", required: true });
  const fresh = field(t("password.new"), { type: "password", name: "new-password", autocomplete: "new-password", required: true }, t("password.hint"));
  // Password managers want to know whose it is.
  const owner = h("input", { type: "text", name: "username", autocomplete: "username", value: signedIn().user.email, hidden: true });
  const said = h("div", { class: "place", role: "status" });
  const button = h("button", { type: "submit", class: "button" }, t("password.change"));

  async function change() {
    try {
      await put("/me/password", { current: current.input.value, new: fresh.input.value }, signal);
    } catch (problem) {
      const { title, detail } = problemTexts(problem);
      const wrong = problem.code === "invalid_credentials" ? current : problem.code.startsWith("password_") ? fresh : null;
      if (!wrong) return showProblem(said, problem);
      wrong.setError(wrong === current ? t("password.wrong") : `${title}. ${detail}`);
      return wrong.input.focus();
    }
    current.input.value = fresh.input.value = "";
    tellDone(t("password.changed"));
    await onChange();
  }

  function submit(event) {
    event.preventDefault();
    replace(said);
    for (const each of [current, fresh]) each.setError(each.input.value ? null : t("sign_in.password_missing"));
    const missing = [current, fresh].find((each) => !each.input.value);
    if (missing) return missing.input.focus();
    return busy(button, change);
  }

  return h("section", { class: "card section" }, h("h2", {}, t("password.title")), h("form", { class: "form", novalidate: true, onsubmit: submit }, owner, current.element, fresh.element, said, button));
}
