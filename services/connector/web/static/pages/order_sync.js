// How far a store's orders are synchronized, in a sentence each.

import { date, dateTime } from "../core/format.js";
import { count, t } from "../core/i18n.js";

/** That orders are late and since when, or null. */
export function ordersLate({ late_since: since }) {
  return since ? t("orders.sync.late", { time: dateTime(since) }) : null;
}

/** 1.240 Bestellungen, zurück bis 3. Mai 2026: how far back they are here, and whether that is all. */
export function ordersHistory({ count: number, until, done }) {
  return count(done ? "orders.history.done" : "orders.history", number, { date: date(until) });
}
