// Settings → audit log: who did what, and when; newest first.

import { h } from "../core/dom.js";
import { dateTime, networkName } from "../core/format.js";
import { hasText, t } from "../core/i18n.js";
import { auditFilter } from "./audit_filter.js";
import { objectOf } from "./audit_object.js";
import { showLog } from "./log_page.js";

export async function show(page) {
  return showLog(page, { log: "audit-log", testId: "audit-entry", title: t("audit.title"), lead: t("audit.lead"), columns: ["when", "who", "what", "about"], filterOf: auditFilter, cells });
}

function cells(entry) {
  return {
    when: h("time", { datetime: entry.at }, dateTime(entry.at)),
    who: h("bdi", {}, actorText(entry.actor)),
    what: [sentence(entry.action), entry.fields.network ? h("span", { class: "muted" }, ` ${t("audit.network", { network: networkName(entry.fields.network) })}`) : null],
    about: objectOf(entry.object),
  };
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
