// The dialogs of the page of users: an invitation, what somebody may do, and what becomes of what a leaver has made.

import { get, getVersion, patchVersion, post, remove } from "../core/api.js";
import { h, newId } from "../core/dom.js";
import { field } from "../core/elements.js";
import { formDialog } from "../core/form_dialog.js";
import { language, t } from "../core/i18n.js";
import { may, userId } from "../core/session.js";

/** What people are given, in the order in which it is shown, and the levels that differ. */
export const AREAS = [
  { area: "general.admin", key: "admin", levels: ["none", "view", "edit"] },
  { area: "inbox.messages", key: "messages", levels: ["none", "view", "edit"] },
  { area: "inbox.orders", key: "orders", levels: ["none", "view"] },
  { area: "general.programs", key: "programs", levels: ["none", "view", "edit"] },
];

/** A select for each area; nobody gives more than they have, so that higher levels cannot be chosen. */
export function levelFields(levels) {
  const fields = AREAS.map(({ area, key, levels: offered }) => {
    const id = newId("level");
    const now = levels[area] ?? "none";
    const shown = offered.includes(now) ? offered : [...offered, now];
    const select = h("select", { id, class: "input" }, shown.map((level) => h("option", { value: level, selected: level === now, disabled: level !== now && level !== "none" && !may(area, level) }, t(`users.level.${key}.${level}`))));
    return { area, select, element: h("div", { class: "field" }, h("label", { for: id }, t(`users.area.${key}`)), select) };
  });
  return { elements: fields.map(({ element }) => element), values: () => Object.fromEntries(fields.map(({ area, select }) => [area, select.value])) };
}

/** Resolves to the address that was invited. */
export function inviteDialog(signal) {
  const email = field(t("users.email"), { type: "email", name: "email", autocomplete: "off", required: true });
  const name = field(t("users.name"), { name: "name", autocomplete: "off", maxlength: 100 });
  const id = newId("language");
  const spoken = h("select", { id, class: "input" }, ["de", "en"].map((code) => h("option", { value: code, selected: code === language(), lang: code }, t(`users.language.${code}`))));
  const levels = levelFields({ "inbox.messages": "edit", "inbox.orders": "view" });

  async function save() {
    const typed = email.input.value.trim();
    email.setError(/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(typed) ? null : t("users.email_wrong"));
    if (email.input.hasAttribute("aria-invalid")) {
      email.input.focus();
      return undefined;
    }
    await post("/invitations", { email: typed, name: name.input.value.trim() || null, language: spoken.value, permissions: levels.values() }, signal);
    return typed;
  }

  const content = [email.element, name.element, h("div", { class: "field" }, h("label", { for: id }, t("users.language")), spoken), levels.elements];
  return formDialog({ title: t("users.invite_title"), content, confirm: t("users.invite_send"), save });
}

/** Resolves to true when it was changed. */
export async function permissionsDialog(user, signal) {
  const path = `/users/${user.id}`;
  const { content: now, version } = await getVersion(path, signal);
  const levels = levelFields(now.permissions);
  const save = async () => {
    await patchVersion(path, { permissions: levels.values() }, version, signal);
    return true;
  };
  return formDialog({ title: t("users.change_title", { name: user.name }), content: levels.elements, confirm: t("users.save"), save });
}

/** Resolves to true when they were removed. */
export async function removeDialog(user, users, signal) {
  const made = await get(`/users/${user.id}`, signal);
  const heirs = users.filter((each) => each.id !== user.id && each.status === "active" && each.permissions["general.admin"] === "edit");
  const id = newId("successor");
  const successor = h("select", { id, class: "input" }, heirs.map((each) => h("option", { value: each.id, selected: each.id === userId() }, each.name)));
  const name = newId("programs");
  const choice = (value) => h("div", { class: "tick" }, h("input", { type: "radio", name, id: `${name}-${value}`, value, checked: value === "pass_on" }), h("label", { for: `${name}-${value}` }, t(`users.programs.${value}`)));
  const hasPrograms = made.webhooks + made.api_keys > 0;
  const programs = h("fieldset", { class: "choices" }, h("legend", {}, t("users.programs", { webhooks: made.webhooks, keys: made.api_keys })), choice("pass_on"), choice("end"));
  const passes = made.integrations > 0 || hasPrograms;

  async function save() {
    const chosen = hasPrograms ? programs.querySelector("input:checked").value : "end";
    await remove(`/users/${user.id}?programs=${chosen}${successor.value ? `&successor_id=${successor.value}` : ""}`, signal);
    return true;
  }

  const content = [
    h("p", {}, t("users.remove_text")),
    made.integrations > 0 && h("p", {}, t("users.stores_pass", { count: made.integrations })),
    hasPrograms && programs,
    passes && heirs.length > 0 && h("div", { class: "field" }, h("label", { for: id }, t("users.successor")), successor),
  ];
  return formDialog({ title: t("users.remove_title", { name: user.name }), content, confirm: t("users.remove"), isDangerous: true, save });
}
