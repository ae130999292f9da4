// Settings → templates: texts that agents send again and again, for each language.

import { get, getVersion, post, remove } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import * as elements from "../core/elements.js";
import { focusUnlessTyping } from "../core/focus.js";
import { languageName } from "../core/format.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { may } from "../core/session.js";
import { emptying } from "../core/typed_input.js";
import { settingsTabs } from "./settings.js";
import { placeholderHelp, templateForm } from "./template_form.js";

export async function show({ main, signal }) {
  const problemPlace = h("div", { class: "place" });
  const listPlace = h("div", {});
  const heading = elements.pageHeading(t("templates.title"));
  const mayEdit = may("inbox.messages", "edit");

  const list = h("ul", { class: "templates", "aria-label": t("templates.title") });
  let placeholders = [];
  // A form that is open in a row stays while the row is the same.
  const pages = pagedList({ load, render: row, container: list, label: t("common.load_more") });

  async function load() {
    const found = await get("/reply-templates", signal);
    placeholders = found.placeholders;
    return found;
  }

  async function draw() {
    const shown = await pages.refresh();
    if (shown === null) return;
    replace(problemPlace);
    if (shown === 0) replace(listPlace, h("p", { class: "muted" }, t("templates.none")));
    else if (!listPlace.contains(list)) replace(listPlace, list);
  }

  /** Draws the list again and says what was done; what had the focus may be gone. */
  async function done(said) {
    await draw();
    elements.tellDone(said);
    focusUnlessTyping(heading);
  }

  function row(template) {
    const formPlace = h("div", { class: "place" });
    const named = (key) => ({ class: "button button-secondary button-small", "aria-label": t("templates.action_named", { action: t(key), name: template.name }) });
    const edit = elements.actionButton(t("templates.edit"), () => openForm(template, formPlace, edit), named("templates.edit"));
    return h(
      "li",
      { class: "template card", "data-testid": "template" },
      h("div", { class: "template-head" }, h("h2", {}, h("bdi", {}, template.name)), h("span", { class: "tag tag-kind" }, languageName(template.language))),
      mayEdit && h("div", { class: "buttons" }, edit, elements.actionButton(t("templates.delete"), () => forget(template), named("templates.delete"))),
      formPlace,
    );
  }

  async function openForm(template, formPlace, edit) {
    try {
      const { content, version } = await getVersion(`/reply-templates/${template.id}`, signal);
      const cancel = elements.actionButton(t("common.cancel"), () => {
        replace(formPlace);
        edit.focus();
      }, { class: "button button-secondary" });
      const form = templateForm({ template: content, version, label: t("templates.save"), more: cancel, onSaved: () => saved(() => replace(formPlace)) });
      replace(formPlace, form.element);
      form.focus();
    } catch (problem) {
      elements.showProblem(formPlace, problem);
    }
  }

  async function saved(closeForm) {
    closeForm();
    try {
      await done(t("templates.saved"));
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
    }
  }

  async function forget(template) {
    const isConfirmed = await elements.confirmDialog({ title: t("templates.delete.title", { name: template.name }), content: h("p", {}, t("templates.delete.text")), confirm: t("templates.delete") });
    if (!isConfirmed) return;
    try {
      await remove(`/reply-templates/${template.id}`, signal);
      await done(t("templates.deleted"));
    } catch (problem) {
      elements.showProblem(problemPlace, problem);
    }
  }

  await draw();
  replace(main, settingsTabs(), heading, h("p", { class: "lead" }, t("templates.lead")), placeholderHelp(placeholders), problemPlace, listPlace, mayEdit && addForm());

  function addForm() {
    let empty;
    const form = templateForm({
      label: t("templates.add.button"),
      send: (values) => {
        empty = emptying(form.element);
        return post("/reply-templates", values, signal);
      },
      onSaved: () =>
        saved(() => {
          if (empty()) details.open = false;
        }),
    });
    const details = h("details", { class: "manage" }, h("summary", {}, t("templates.add")), form.element);
    return details;
  }
}
