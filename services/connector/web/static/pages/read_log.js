// Settings → read log: who opened which conversation and order, took which file, and searched; newest first.

import { h } from "../core/dom.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { readFilter } from "./audit_filter.js";
import { objectOf } from "./audit_object.js";
import { showLog } from "./log_page.js";

export async function show(page) {
  return showLog(page, { log: "read-log", testId: "reads-entry", title: t("reads.title"), lead: t("reads.lead"), columns: ["when", "who", "what", "about"], filterOf: readFilter, cells });
}

function cells(entry) {
  const { kind, name } = entry.reader;
  return {
    when: h("time", { datetime: entry.at }, dateTime(entry.at)),
    who: kind === "api_key" ? t("audit.actor.api_key", { name: name ?? "" }) : (name ?? t("audit.actor.former")),
    what: t(`reads.kind.${entry.kind}`, { found: entry.found ?? 0 }),
    about: objectOf(entry.subject),
  };
}
