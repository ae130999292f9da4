// Settings → what the account demands of those who sign in, and help for whoever has lost their second factor.

import { eachPage, get, patch, remove } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { t } from "../core/i18n.js";
import { loadSession, may, userId } from "../core/session.js";
import { settingsTabs } from "./settings.js";

const PATH = "/account/security";
const WHO = ["admins", "everybody", "optional"];
const BOUNDS = { admin_session_hours: [1, 168], admin_idle_minutes: [5, 720] };

export async function show({ main, signal }) {
  const rules = await get(PATH, signal);
  const isFixed = !may("general.admin", "edit");
  const name = newId("second-factor");
  const choices = WHO.map((value) => ({ value, input: h("input", { type: "radio", name, value, id: `${name}-${value}`, checked: rules.second_factor === value, disabled: isFixed }) }));
  const group = h("fieldset", { class: "choices" }, h("legend", {}, t("security.second_factor")), choices.map(({ value, input }) => h("div", { class: "tick" }, input, h("label", { for: input.id }, t(`security.second_factor.${value}`)))));
  const numbers = Object.entries(BOUNDS).map(([key, [least, most]]) => ({
    key, least, most,
    field: elements.field(t(`security.${key}`), { type: "number", inputmode: "numeric", min: least, max: most, step: 1, value: rules[key], disabled: isFixed }, t("security.between", { least, most })),
  }));
  const said = h("div", { class: "place", role: "status" });
  const button = h("button", { type: "submit", class: "button" }, t("security.save"));

  async function save() {
    replace(said);
    for (const { field, least, most } of numbers) {
      const number = Number(field.input.value);
      const isRight = Number.isInteger(number) && number >= least && number <= most;
      field.setError(isRight ? null : t("security.wrong", { least, most }));
    }
    const wrong = numbers.find(({ field }) => field.input.hasAttribute("aria-invalid"));
    if (wrong) return wrong.field.input.focus();
    const wanted = Object.fromEntries(numbers.map(({ key, field }) => [key, Number(field.input.value)]));
    try {
      await patch(PATH, { second_factor: choices.find(({ input }) => input.checked).value, ...wanted }, signal);
      replace(said);
      elements.tellDone(t("security.saved"));
      // Perhaps it is demanded of oneself now.
      await loadSession();
    } catch (problem) {
      elements.showProblem(said, problem);
    }
  }

  function submit(event) {
    event.preventDefault();
    return elements.busy(button, save);
  }

  const form = h("form", { class: "form card security", novalidate: true, onsubmit: submit }, group, numbers.map(({ field }) => field.element), said, !isFixed && button);
  replace(main, settingsTabs(), elements.pageHeading(t("security.title")), h("p", { class: "lead" }, t("security.lead")), form, !isFixed && (await helpSection(signal)));
  return null;
}

async function helpSection(signal) {
  const said = h("div", { class: "place", role: "status" });
  const people = [];
  await eachPage("/users?limit=100", signal, (items) => people.push(...items.filter((each) => each.id !== userId())));
  if (!people.length) return null;

  async function reset(person) {
    const isSure = await elements.confirmDialog({ title: t("security.reset_title", { name: person.name }), content: h("p", {}, t("security.reset_text")), confirm: t("security.reset") });
    if (!isSure) return;
    try {
      await remove(`/users/${person.id}/second-factor`, signal);
      replace(said);
      elements.tellDone(t("security.reset_done", { name: person.name }));
    } catch (problem) {
      elements.showProblem(said, problem);
    }
  }

  const row = (person) =>
    h(
      "li",
      { class: "row" },
      h("div", {}, h("p", { class: "row-title" }, person.name), h("p", { class: "muted" }, h("bdi", {}, person.email))),
      elements.actionButton(t("security.reset"), () => reset(person), { class: "button button-danger button-small", "aria-label": t("security.reset_named", { name: person.name }) }),
    );
  return h("section", { class: "section" }, h("h2", {}, t("security.lost_title")), h("p", {}, t("security.lost")), said, h("ul", { class: "rows" }, people.map(row)));
}
