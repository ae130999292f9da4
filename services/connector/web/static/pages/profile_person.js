// Profile: one's name, language, form of address and time zone.

import { h, newId, replace } from "../core/dom.js";
import { busy, field, fieldError, showProblem, tellDone } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { changeMe, signedIn } from "../core/session.js";

const LANGUAGES = { de: "Deutsch", en: "English" };

const FORMS = { du: "Du", sie: "Sie" };

export function personSection(signal) {
  const { user, account } = signedIn();
  const name = field(t("profile.name"), { name: "name", autocomplete: "name", maxlength: 100, value: user.name });
  const language = choice(t("profile.language"), Object.entries(LANGUAGES), user.language);
  const form = choice(t("profile.form_of_address"), [["", t("profile.as_account", { form: FORMS[account.form_of_address] })], ...Object.entries(FORMS)], user.form_of_address ?? "");
  const zone = choice(t("profile.time_zone"), zones(user.time_zone).map((each) => [each, each.replaceAll("_", " ")]), user.time_zone);
  const said = h("div", { class: "place", role: "status" });
  const button = h("button", { type: "submit", class: "button" }, t("profile.save"));

  async function save() {
    replace(said);
    name.setError(name.input.value.trim() ? null : t("profile.name_missing"));
    if (!name.input.value.trim()) return name.input.focus();
    const before = signedIn().user;
    try {
      await changeMe({ name: name.input.value.trim(), language: language.select.value, form_of_address: form.select.value || null, time_zone: zone.select.value });
    } catch (problem) {
      if (!problem.errors?.some((each) => each.field === "name")) return showProblem(said, problem);
      name.setError(fieldError(problem, "name"));
      return name.input.focus();
    }
    tellDone(t("profile.saved"));
    const { user: after } = signedIn();
    // The header and all texts are drawn anew, unless somebody is on another page by now.
    if (!signal.aborted && (after.language !== before.language || after.form_of_address !== before.form_of_address || after.name !== before.name)) return navigate("/profile", { replace: true });
  }

  function submit(event) {
    event.preventDefault();
    return busy(button, save);
  }

  const address = h("p", {}, h("strong", {}, t("profile.email")), " ", h("bdi", {}, user.email));
  return h("section", { class: "card section" }, h("h2", {}, t("profile.person")), address, h("form", { class: "form", novalidate: true, onsubmit: submit }, name.element, language.element, form.element, zone.element, said, button));
}

function choice(label, values, chosen) {
  const id = newId("choice");
  const select = h("select", { id, class: "input" }, values.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return { select, element: h("div", { class: "field" }, h("label", { for: id }, label), select) };
}

function zones(own) {
  const known = Intl.supportedValuesOf?.("timeZone") ?? [];
  return [...new Set([own, "UTC", ...known])].sort();
}
