// What a webhook did not receive in some hours is sent again at once, and how far that has come is shown.

import { get, post } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { formDialog } from "../core/form_dialog.js";
import { momentOf, number, wallClockOf, zoneName } from "../core/format.js";
import { t } from "../core/i18n.js";
import { latest } from "../core/latest.js";

const DAY_MS = 24 * 3600 * 1000;
const MINUTE_MS = 60 * 1000;
const COUNT_AGAIN_MS = 3000;
const COUNT_AGAIN_TIMES = 100;

/** Asks for the hours and sends again; resolves to `{since, until}`, or to null if nobody wanted to. */
export function resendDialog(path, signal) {
  const id = newId("resend");
  const told = h("p", { class: "muted", role: "status", "data-testid": "resend-count" });
  const moment = (name, value) => h("input", { type: "datetime-local", class: "input", id: `${id}-${name}`, value: wallClockOf(value), "aria-describedby": `${id}-zone`, onchange: count });
  const now = new Date();
  const since = moment("since", new Date(now - DAY_MS));
  // This minute, too.
  const until = moment("until", new Date(Number(now) + MINUTE_MS));
  const ofTime = () => since.value && until.value && { since: momentOf(since.value).toISOString(), until: momentOf(until.value).toISOString() };

  const asking = latest();

  /** While nothing is known, nothing is said. */
  async function count() {
    const isLatest = asking();
    const time = ofTime();
    const counts = time && (await countsOf(path, time, signal).catch(() => null));
    if (!isLatest()) return;
    if (counts === null) told.textContent = "";
    else if (!counts) told.textContent = t("webhooks.resend_many.missing");
    else told.textContent = t(counts.dead ? "webhooks.resend_many.found" : "webhooks.resend_many.nothing", { count: number(counts.dead) });
  }

  async function save() {
    const time = ofTime();
    let sent = 0;
    // What was counted before says nothing any more.
    asking();
    // Each request sends a bounded number again; one that fails leaves what was sent before it.
    while (time && !signal.aborted) {
      const { resent, dead } = await post(`${path}/deliveries/resend`, time, signal);
      sent += resent;
      if (!resent || !dead) break;
      told.textContent = t("webhooks.resend_many.progress", { count: number(sent), total: number(sent + dead) });
    }
    if (!sent) return count();
    return time;
  }

  const field = (label, input) => h("div", { class: "field" }, h("label", { for: input.id }, label), input);
  count();
  return formDialog({
    title: t("webhooks.resend_many.title"),
    content: [
      h("p", {}, t("webhooks.resend_many.text")),
      h("p", { class: "hint", id: `${id}-zone` }, t("webhooks.resend_many.zone", { zone: zoneName(now) })),
      field(t("webhooks.resend_many.since"), since),
      field(t("webhooks.resend_many.until"), until),
      told,
    ],
    confirm: t("webhooks.resend_many.confirm"),
    save,
  });
}

/** Shows in `place` how far what was sent again has come, as long as something of it is on its way. */
export async function followResent(path, time, place, signal) {
  const line = h("p", { role: "status", "data-testid": "resend-progress" });
  replace(place, line);
  for (let times = 0; times < COUNT_AGAIN_TIMES && !signal.aborted && line.isConnected; times += 1) {
    const counts = await countsOf(path, time, signal);
    line.textContent = t("webhooks.resend_many.state", { delivered: number(counts.delivered), waiting: number(counts.waiting), dead: number(counts.dead) });
    if (!counts.waiting) return;
    await new Promise((resolve) => setTimeout(resolve, COUNT_AGAIN_MS));
  }
}

const countsOf = (path, { since, until }, signal) => get(`${path}/deliveries/counts?since=${encodeURIComponent(since)}&until=${encodeURIComponent(until)}`, signal);
