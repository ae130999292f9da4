// A page of the settings that shows a log, newest first: the audit log and the read log.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, announce, pageHeading, showProblem } from "../core/elements.js";
import { t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { settingsTabs } from "./settings.js";

/** `log`: its address in the API; `title` and `lead`: how the page begins; `filterOf({signal, changed})`; `cells(entry)`, by column; `columns`. */
export async function showLog({ main, signal }, { log, testId, title, lead, columns, filterOf, cells }) {
  const place = h("div", {});
  const problemPlace = h("div", { class: "place" });
  const rows = h("tbody", { role: "rowgroup" });
  const file = h("a", { class: "button button-secondary", download: "" }, t("audit.export"));
  const filter = await filterOf({ signal, changed });
  const pages = pagedList({
    load: (cursor) => {
      const query = filter.query();
      if (cursor) query.set("cursor", cursor);
      return get(`/${log}?${query}`, signal);
    },
    render: row,
    container: rows,
    label: t("common.load_more"),
  });
  const again = actionButton(t("common.refresh"), read, { class: "button button-secondary" });
  const found = [table(rows), pages.more];

  function row(entry) {
    const shown = cells(entry);
    return h(
      "tr",
      { role: "row", tabindex: "-1", "data-testid": testId, "data-action": entry.action ?? entry.kind },
      columns.map((column) => h("td", { role: "cell", class: `audit-${column}` }, shown[column])),
    );
  }

  function table(body) {
    const heads = columns.map((column) => h("th", { scope: "col", role: "columnheader" }, t(`audit.column.${column}`)));
    // The roles are set by hand, because the style sheet turns rows into blocks on a phone.
    return h(
      "table",
      { class: "audit card", role: "table", "aria-label": title },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
      body,
    );
  }

  async function refresh() {
    file.href = `/api/v1/${log}/export?${filter.query()}`;
    const shown = await pages.refresh();
    if (shown === 0) replace(place, h("p", { class: "muted" }, t("audit.none")));
    else if (shown !== null && !place.contains(rows)) replace(place, found);
  }

  async function read() {
    try {
      await refresh();
      replace(problemPlace);
      announce(t("audit.refreshed"));
    } catch (problem) {
      showProblem(problemPlace, problem);
    }
  }

  function changed() {
    pages.clear();
    return read();
  }

  await refresh();
  const buttons = h("div", { class: "buttons" }, file, again);
  replace(main, settingsTabs(), h("div", { class: "page-head" }, pageHeading(title), buttons), h("p", {}, lead), filter.element, problemPlace, place);
  return null;
}
