// Profile: where one is signed in.

import { get, remove } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, showProblem, tellDone } from "../core/elements.js";
import { focusUnlessTyping } from "../core/focus.js";
import { dateTime, networkName } from "../core/format.js";
import { t } from "../core/i18n.js";
import { latest } from "../core/latest.js";

export async function sessionsSection(signal) {
  const list = h("ul", { class: "rows" });
  const said = h("div", { class: "place" });
  const others = h("div", {});
  const heading = h("h2", { tabindex: "-1" }, t("sessions.title"));

  const asking = latest();

  async function refresh() {
    const isLatest = asking();
    const { items } = await get("/sessions", signal);
    if (!isLatest()) return;
    replace(list, items.map(row));
    replace(others, items.length > 1 && actionButton(t("sessions.end_others"), () => end("/sessions", "sessions.others_ended"), { class: "button button-secondary" }));
  }

  async function end(path, text) {
    replace(said);
    try {
      await remove(path, signal);
      await refresh();
      tellDone(t(text));
      focusUnlessTyping(heading);
    } catch (problem) {
      showProblem(said, problem);
    }
  }

  function row(session) {
    const name = session.browser && session.browser !== "?" ? session.browser : t("sessions.unknown_browser");
    const facts = [t("sessions.since", { time: dateTime(session.created_at) }), t("sessions.last_seen", { time: dateTime(session.last_seen_at) }), session.network && t("sessions.network", { network: networkName(session.network) })];
    const button = session.is_current
      ? h("span", { class: "tag" }, t("sessions.this_one"))
      : actionButton(t("sessions.end"), () => end(`/sessions/${session.id}`, "sessions.ended"), { class: "button button-secondary button-small", "aria-label": t("sessions.end_named", { name }) });
    return h("li", { class: "row" }, h("div", {}, h("p", { class: "row-title" }, name), h("p", { class: "muted" }, facts.filter(Boolean).join(" · "))), button);
  }

  await refresh();
  return { element: h("section", { class: "card section" }, heading, h("p", { class: "muted" }, t("sessions.lead")), list, said, others), refresh: () => refresh().catch((problem) => showProblem(said, problem)) };
}
