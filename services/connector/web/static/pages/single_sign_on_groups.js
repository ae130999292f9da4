// Which groups of the company account give which permissions: the claim that names them, and a rule for each.

import { h } from "../core/dom.js";
import { actionButton, field } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { levelFields } from "./users_dialogs.js";

/** `values()` is what the API takes of it; `check()` says what is missing, and whether nothing is. */
export function groupsPart({ level_claim, level_rules }, isFixed) {
  const claim = field(t("company.claim"), { name: "level_claim", autocomplete: "off", spellcheck: "false", maxlength: 200, value: level_claim ?? "", disabled: isFixed }, t("company.claim_hint"));
  const list = h("div", { class: "company-part" });
  let rules = [];
  let numbered = 0;

  function add(rule) {
    const number = (numbered += 1);
    const value = field(t("company.rule_value"), { autocomplete: "off", spellcheck: "false", maxlength: 200, value: rule.value, disabled: isFixed });
    const levels = levelFields(rule.permissions);
    const drop = () => {
      rules = rules.filter((each) => each !== made);
      made.element.remove();
      more.focus();
    };
    const element = h("fieldset", { class: "choices", "data-testid": "company-rule" }, h("legend", {}, t("company.rule", { number })), value.element, levels.elements, !isFixed && actionButton(t("company.remove_rule", { number }), drop, { class: "button button-secondary button-small" }));
    if (isFixed) for (const select of element.querySelectorAll("select")) select.disabled = true;
    const made = { value, levels, element };
    rules.push(made);
    list.append(element);
    return made;
  }

  const more = actionButton(t("company.add_rule"), () => add({ value: "", permissions: {} }).value.input.focus(), { class: "button button-secondary" });
  for (const rule of level_rules) add(rule);

  function check() {
    for (const { value } of rules) value.setError(value.input.value.trim() ? null : t("company.rule_missing"));
    const wrong = rules.find(({ value }) => !value.input.value.trim());
    wrong?.value.input.focus();
    return !wrong;
  }

  const values = () => ({
    level_claim: claim.input.value.trim() || null,
    level_rules: rules.map(({ value, levels }) => ({ value: value.input.value.trim(), permissions: levels.values() })),
  });

  const element = h("div", { class: "company-part" }, h("h2", {}, t("company.groups")), h("p", {}, t("company.groups_text")), claim.element, list, !isFixed && more);
  return { element, values, check };
}
