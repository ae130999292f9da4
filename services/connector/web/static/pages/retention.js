// Settings → how long the account's data are kept: conversations, and what a law demands to be kept longer of orders.

import { get, patch } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { t } from "../core/i18n.js";
import { may } from "../core/session.js";
import { settingsTabs } from "./settings.js";

const PATH = "/account/retention";
const FEWEST_DAYS = 30;
const MOST_DAYS = 3653;

export async function show({ main, signal }) {
  let known = await get(PATH, signal);
  const isFixed = !may("general.admin", "edit");
  const messages = daysField("retention.messages", FEWEST_DAYS, { value: known.messages_kept_days, disabled: isFixed });
  const boxId = newId("longer");
  const box = h("input", { type: "checkbox", id: boxId, checked: known.longer_kept !== null, disabled: isFixed, onchange: () => drawLonger() });
  const days = daysField("retention.longer.days", 1, { value: known.longer_kept?.days ?? "", disabled: isFixed });
  const reason = elements.field(t("retention.longer.reason"), { maxlength: 200, autocomplete: "off", value: known.longer_kept?.reason ?? "", disabled: isFixed }, t("retention.longer.reason_hint"));
  const longer = h("div", { class: "form retention-longer" }, days.element, reason.element);
  const said = h("div", { class: "place" });
  const button = h("button", { type: "submit", class: "button" }, t("retention.save"));

  function drawLonger() {
    longer.hidden = !box.checked;
  }

  /** What the form asks for, or null if a field of it is wrong; that field then says so and has the focus. */
  function wanted() {
    const wrong = [];
    for (const [field, fewest] of [[messages, FEWEST_DAYS], ...(box.checked ? [[days, 1]] : [])]) {
      const number = Number(field.input.value);
      const isRight = Number.isInteger(number) && number >= fewest && number <= MOST_DAYS;
      field.setError(isRight ? null : t("retention.days_wrong", { fewest, most: MOST_DAYS }));
      if (!isRight) wrong.push(field);
    }
    const isReasonMissing = box.checked && !reason.input.value.trim();
    reason.setError(isReasonMissing ? t("retention.longer.reason_missing") : null);
    if (isReasonMissing) wrong.push(reason);
    wrong[0]?.input.focus();
    if (wrong.length) return null;
    const longerKept = box.checked ? { days: Number(days.input.value), reason: reason.input.value.trim() } : null;
    return { messages_kept_days: Number(messages.input.value), longer_kept: longerKept };
  }

  async function save() {
    replace(said);
    const asked = wanted();
    if (!asked) return;
    if (isShorter(asked, known) && !(await confirmed())) return;
    try {
      known = await patch(PATH, asked, signal);
      replace(said);
      elements.tellDone(t("retention.saved"));
    } catch (problem) {
      const field = problem.errors?.length && [["messages_kept_days", messages], ["longer_kept.days", days], ["longer_kept.reason", reason]].find(([name]) => problem.errors.some((error) => error.field === name));
      if (!field) return elements.showProblem(said, problem);
      field[1].setError(elements.fieldError(problem, field[0]));
      field[1].input.focus();
    }
  }

  drawLonger();
  const submit = (event) => {
    event.preventDefault();
    elements.busy(button, save);
  };
  const form = h(
    "form",
    { class: "form card retention", novalidate: true, onsubmit: submit },
    messages.element,
    h("div", { class: "tick" }, box, h("label", { for: boxId }, t("retention.longer"))),
    h("p", { class: "hint" }, t("retention.longer_hint")),
    longer,
    said,
    !isFixed && button,
  );
  replace(main, settingsTabs(), elements.pageHeading(t("retention.title")), h("p", { class: "lead" }, t("retention.lead")), form, rules());
  return null;
}

function daysField(key, fewest, attributes) {
  return elements.field(t(key), { type: "number", inputmode: "numeric", min: fewest, max: MOST_DAYS, step: 1, ...attributes }, t(`${key}_hint`));
}

const isShorter = (asked, before) => asked.messages_kept_days < before.messages_kept_days || (asked.longer_kept?.days ?? 0) < (before.longer_kept?.days ?? 0);

function confirmed() {
  return elements.confirmDialog({ title: t("retention.shorter.title"), content: h("p", {}, t("retention.shorter.text")), confirm: t("retention.shorter.confirm") });
}

/** What nobody can change here, because Amazon's rules set it. */
function rules() {
  return h("section", { class: "section" }, h("h2", {}, t("retention.rules")), h("ul", { class: "retention-rules" }, ["personal", "orders", "store", "audit"].map((rule) => h("li", {}, t(`retention.rule.${rule}`)))));
}
