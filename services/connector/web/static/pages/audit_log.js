// Settings → audit log: who did what, and when; newest first.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, announce, pageHeading, showProblem } from "../core/elements.js";
import { dateTime, networkName } from "../core/format.js";
import { hasText, t } from "../core/i18n.js";
import { pagedList } from "../core/paged_list.js";
import { auditFilter } from "./audit_filter.js";
import { settingsTabs } from "./settings.js";

const COLUMNS = ["when", "who", "what"];

export async function show({ main, signal }) {
  const place = h("div", {});
  const problemPlace = h("div", { class: "place" });
  const rows = h("tbody", { role: "rowgroup" });
  const filter = await auditFilter({ signal, changed });
  const pages = pagedList({
    load: (cursor) => {
      const query = filter.query();
      if (cursor) query.set("cursor", cursor);
      return get(`/audit-log?${query}`, signal);
    },
    render: row,
    container: rows,
    label: t("common.load_more"),
  });
  const again = actionButton(t("common.refresh"), read, { class: "button button-secondary" });
  const found = [table(rows), pages.more];

  async function refresh() {
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
    rows.replaceChildren();
    return read();
  }

  await refresh();
  replace(main, settingsTabs(), h("div", { class: "page-head" }, pageHeading(t("audit.title")), again), h("p", {}, t("audit.lead")), filter.element, problemPlace, place);
  return null;
}

function table(rows) {
  const heads = COLUMNS.map((column) => h("th", { scope: "col", role: "columnheader" }, t(`audit.column.${column}`)));
  // The roles are set by hand, because the style sheet turns rows into blocks on a phone.
  return h(
    "table",
    { class: "audit card", role: "table", "aria-label": t("audit.title") },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
    rows,
  );
}

function row(entry) {
  const cells = {
    when: h("time", { datetime: entry.at }, dateTime(entry.at)),
    who: actorText(entry.actor),
    what: [sentence(entry.action), entry.fields.network ? h("span", { class: "muted" }, ` ${t("audit.network", { network: networkName(entry.fields.network) })}`) : null],
  };
  return h(
    "tr",
    { role: "row", tabindex: "-1", "data-testid": "audit-entry", "data-action": entry.action },
    COLUMNS.map((column) => h("td", { role: "cell", class: `audit-${column}` }, cells[column])),
  );
}

function actorText(actor) {
  if (actor.kind === "user") return actor.name ?? t("audit.actor.former");
  if (actor.kind === "api_key") return t("audit.actor.api_key", { name: actor.name ?? "" });
  return t("audit.actor.system");
}

/** An action that these pages do not know yet is shown as the API names it. */
function sentence(action) {
  const key = `audit.action.${action}`;
  return hasText(key) ? t(key) : h("code", {}, action);
}
