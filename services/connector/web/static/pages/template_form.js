// What can be entered about a template, and what its placeholders stand for.

import { patchVersion } from "../core/api.js";
import { append, h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { languageName } from "../core/format.js";
import { hasText, language, t } from "../core/i18n.js";

// Those that a message can be said to be in (shared/languages.py).
const LANGUAGES = ["ar", "cs", "da", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "pt-BR", "ru", "sv", "tr", "zh"];
const MOST_CHARACTERS = 4000;

/** Without a `template` it is one for a new one, which `send(values)` creates. `onSaved()` is called when the server has it. */
export function templateForm({ template, version, label, more, send = (values) => patchVersion(`/reply-templates/${template.id}`, values, version), onSaved }) {
  const name = elements.field(t("templates.name"), { name: "name", maxlength: 60, autocomplete: "off", value: template?.name ?? "" });
  const id = newId("template");
  const text = h("textarea", { id, class: "input", rows: 6, dir: "auto", maxlength: MOST_CHARACTERS, "aria-describedby": `${id}-hint ${id}-error` });
  const textError = h("p", { class: "field-error", id: `${id}-error` });
  const said = h("div", { class: "place" });
  const button = h("button", { type: "submit", class: "button" }, label);
  const spoken = h("select", { id: `${id}-language`, class: "input" });
  const names = LANGUAGES.map((code) => [code, languageName(code)]).sort(([, one], [, other]) => one.localeCompare(other, language()));
  append(spoken, names.map(([code, shown]) => h("option", { value: code, selected: code === (template?.language ?? language()) }, shown)));
  // The text of a text area is its content, not an attribute; a form that is reset comes back to it.
  text.defaultValue = template?.text ?? "";

  function setTextError(problem) {
    textError.textContent = problem ?? "";
    if (problem) text.setAttribute("aria-invalid", "true");
    else text.removeAttribute("aria-invalid");
  }

  async function work() {
    name.setError(null);
    setTextError(null);
    replace(said);
    try {
      await send({ name: name.input.value, language: spoken.value, text: text.value });
    } catch (problem) {
      return showProblem(problem);
    }
    return onSaved();
  }

  function showProblem(problem) {
    const isOf = (field) => problem.errors?.some((error) => error.field === field);
    if (isOf("name") || problem.code?.startsWith("name_")) {
      name.setError(elements.fieldError(problem, "name"));
      name.input.focus();
    } else if (isOf("text") || problem.code === "placeholder_unknown") {
      setTextError(elements.fieldError(problem, "text"));
      text.focus();
    } else {
      elements.showProblem(said, problem);
    }
  }

  const element = h(
    "form",
    {
      class: "form template-form",
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        elements.busy(button, work);
      },
    },
    name.element,
    h("div", { class: "field" }, h("label", { for: spoken.id }, t("templates.language")), spoken),
    h("div", { class: "field" }, h("label", { for: id }, t("templates.text")), h("p", { class: "hint", id: `${id}-hint` }, t("templates.text_hint")), text, textError),
    said,
    h("div", { class: "buttons" }, button, more),
  );
  return { element, focus: () => name.input.focus() };
}

/** What may stand in double braces. */
export function placeholderHelp(placeholders) {
  const rows = placeholders.map((name) => h("div", { class: "placeholder" }, h("dt", {}, h("code", {}, `{{${name}}}`)), h("dd", {}, hasText(`placeholder.${name}`) ? t(`placeholder.${name}`) : name)));
  return h("details", { class: "manage" }, h("summary", {}, t("templates.placeholders")), h("p", { class: "muted" }, t("templates.placeholders.text")), h("dl", { class: "placeholders" }, rows));
}
