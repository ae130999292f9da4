// Settings → tags: the words by which the inbox is ordered, renamed and deleted for everybody.

import { get, patch, remove } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, field, pageHeading, showProblem, tellDone } from "../core/elements.js";
import { formDialog } from "../core/form_dialog.js";
import { count, t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { may } from "../core/session.js";
import { forgetChoices } from "./inbox_choices.js";
import { settingsTabs } from "./settings.js";

export async function show({ main, signal }) {
  const problemPlace = h("div", { class: "place" });
  const listPlace = h("div", {});
  const heading = pageHeading(t("tags.title"));
  const mayEdit = may("inbox.messages", "edit");

  const list = h("ul", { class: "templates", "aria-label": t("tags.title") });
  const pages = pagedList({ load: () => get("/tags", signal), render: row, container: list, label: t("common.load_more") });

  async function draw() {
    const shown = await pages.refresh();
    if (shown === null) return;
    replace(problemPlace);
    if (shown === 0) replace(listPlace, h("p", { class: "muted" }, t("tags.none")));
    else if (!listPlace.contains(list)) replace(listPlace, list);
  }

  /** Draws the list again and says what was done; what had the focus may be gone. */
  async function done(said) {
    forgetChoices();
    await draw();
    tellDone(said);
    heading.focus();
  }

  function row(tag) {
    const button = (key, work) => actionButton(t(key), () => attempt(() => work(tag)), { class: "button button-secondary button-small", "aria-label": t("tags.action_named", { action: t(key), name: tag.name }) });
    return h(
      "li",
      { class: "template card", "data-testid": "tag" },
      h("div", { class: "template-head" }, h("h2", {}, h("a", { href: `/inbox?view=all&tag=${tag.id}` }, h("bdi", {}, tag.name)))),
      mayEdit && h("div", { class: "buttons" }, button("tags.rename", rename), button("tags.delete", forget)),
    );
  }

  async function attempt(work) {
    try {
      await work();
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  async function rename(tag) {
    const name = field(t("tags.name"), { maxlength: 60, autocomplete: "off", value: tag.name });
    const isRenamed = await formDialog({
      title: t("tags.rename.title", { name: tag.name }),
      content: name.element,
      confirm: t("tags.rename.confirm"),
      save: async () => Boolean(await patch(`/tags/${tag.id}`, { name: name.input.value.trim() }, signal)),
    });
    if (isRenamed) await done(t("tags.renamed"));
  }

  async function forget(tag) {
    const { conversation_count: having } = await get(`/tags/${tag.id}`, signal);
    const isDeleted = await formDialog({
      title: t("tags.delete.title", { name: tag.name }),
      content: h("p", {}, having ? count("tags.delete.text", having) : t("tags.delete.unused")),
      confirm: t("tags.delete"),
      isDangerous: true,
      save: async () => {
        await remove(`/tags/${tag.id}`, signal);
        return true;
      },
    });
    if (isDeleted) await done(t("tags.deleted"));
  }

  await draw();
  replace(main, settingsTabs(), heading, h("p", { class: "lead" }, t("tags.lead")), problemPlace, listPlace);
}
