// Settings → API keys: the account's programs that ask by themselves. A key is shown once, when it is made.

import { get, post, remove } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { focusUnlessTyping } from "../core/focus.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { may } from "../core/session.js";
import { emptying } from "../core/typed_input.js";
import { settingsTabs } from "./settings.js";

const AREAS = [
  { area: "general.admin", key: "admin" },
  { area: "inbox.messages", key: "messages" },
  { area: "inbox.replies", key: "replies", levels: ["none", "edit"] },
  { area: "inbox.orders", key: "orders", levels: ["none", "view"] },
  { area: "general.programs", key: "programs" },
];
const LEVELS = ["none", "view", "edit"];

export async function show({ main, signal }) {
  const mayEdit = may("general.programs", "edit");
  const place = h("div", { class: "place" });
  const said = h("div", { class: "place" });
  // Of its own: what else is said must not take the secret's place.
  const secretPlace = h("div", { class: "place" });
  const list = h("ul", { class: "rows", "aria-label": t("api_keys.title") });
  const pages = pagedList({
    load: (cursor) => get(`/api-keys${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
    render: row,
    container: list,
    label: t("common.load_more"),
  });

  async function refresh() {
    const shown = await pages.refresh();
    if (shown === 0) replace(place, h("p", { class: "muted" }, t("api_keys.none")));
    else if (shown !== null && !place.contains(list)) replace(place, list, pages.more);
  }

  function row(key) {
    const allowed = AREAS.filter(({ area }) => key.permissions[area] !== "none").map(({ area, key: name }) => `${t(`api_keys.area.${name}`)}: ${t(`api_keys.level.${key.permissions[area]}`)}`);
    const used = key.last_used_at ? t("api_keys.last_used", { when: dateTime(key.last_used_at) }) : t("api_keys.never_used");
    return h(
      "li",
      { class: "row", "data-testid": "api-key" },
      h("div", {}, h("p", { class: "row-title" }, key.name), h("p", {}, allowed.join(" · ") || t("api_keys.may_nothing")), h("p", { class: "muted" }, `…${key.hint} · ${used}`)),
      mayEdit && elements.actionButton(t("api_keys.revoke"), () => revoke(key), { class: "button button-danger button-small", "aria-label": t("api_keys.revoke_named", { name: key.name }) }),
    );
  }

  async function revoke(key) {
    const isSure = await elements.confirmDialog({ title: t("api_keys.revoke_title", { name: key.name }), content: h("p", {}, t("api_keys.revoke_text")), confirm: t("api_keys.revoke") });
    if (!isSure) return;
    try {
      await remove(`/api-keys/${key.id}`, signal);
      replace(said);
      elements.tellDone(t("api_keys.revoked", { name: key.name }));
      await refresh();
    } catch (problem) {
      elements.showProblem(said, problem);
    }
  }

  /** The secret is shown once, in this notice, and goes away with it. */
  function showSecret(made) {
    const secret = h("code", { class: "address address-small", "data-testid": "api-key-secret" }, made.key);
    const heading = h("h2", { tabindex: "-1" }, t("api_keys.secret_title", { name: made.name }));
    const hide = elements.actionButton(t("api_keys.secret_stored"), () => {
      replace(secretPlace);
      main.querySelector("h1").focus();
    });
    replace(secretPlace, elements.notice("warning", null, heading, h("p", {}, t("api_keys.secret_text")), h("div", { class: "address-line" }, secret, elements.copyButton(t("api_keys.secret_copy"), secret)), hide));
    focusUnlessTyping(heading);
  }

  function addForm() {
    const name = elements.field(t("api_keys.name"), { name: "name", autocomplete: "off", maxlength: 60, required: true });
    const selects = AREAS.map(({ area, key, levels = LEVELS }) => {
      const id = newId("level");
      const select = h("select", { id, class: "input" }, levels.map((level) => h("option", { value: level, disabled: level !== "none" && !may(area, level) }, t(`api_keys.level.${level}`))));
      return { area, select, element: h("div", { class: "field" }, h("label", { for: id }, t(`api_keys.area.${key}`)), select) };
    });
    const problemPlace = h("div", { class: "place" });
    const button = h("button", { type: "submit", class: "button" }, t("api_keys.create"));

    async function create() {
      replace(problemPlace);
      name.setError(name.input.value.trim() ? null : t("api_keys.name_missing"));
      if (name.input.hasAttribute("aria-invalid")) return name.input.focus();
      try {
        const permissions = Object.fromEntries(selects.map(({ area, select }) => [area, select.value]));
        const empty = emptying(form);
        const made = await post("/api-keys", { name: name.input.value.trim(), permissions }, signal);
        if (empty()) details.open = false;
        // First: it is shown only now, also if the list cannot be read.
        showSecret(made);
      } catch (problem) {
        return elements.showProblem(problemPlace, problem);
      }
      return refresh().catch((problem) => elements.showProblem(said, problem));
    }

    const submit = (event) => {
      event.preventDefault();
      return elements.busy(button, create);
    };
    const form = h("form", { class: "form card", novalidate: true, onsubmit: submit }, name.element, selects.map(({ element }) => element), problemPlace, button);
    const details = h("details", { class: "manage" }, h("summary", {}, t("api_keys.add")), form);
    return details;
  }

  await refresh();
  replace(main, settingsTabs(), elements.pageHeading(t("api_keys.title")), h("p", { class: "lead" }, t("api_keys.lead")), secretPlace, said, place, mayEdit && addForm());
  return null;
}
