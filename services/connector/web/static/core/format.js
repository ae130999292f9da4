// Times, sizes and lists in the user's language and time zone.

import { language, locale, t } from "./i18n.js";
import { timeZone } from "./session.js";

const DAY_MS = 86400000;

/** A network as people know it: one address alone needs no length behind it. */
export const networkName = (network) => network.replace(/^(\d+\.\d+\.\d+\.\d+)\/32$|^([0-9a-f:.]+)\/128$/i, "$1$2");

/** 23. November 2026 um 14:05 */
export function dateTime(iso) {
  return iso ? formatted(iso, { dateStyle: "medium", timeStyle: "short" }) : t("common.never");
}

/** 23. November 2026 */
export function date(iso) {
  return iso ? formatted(iso, { dateStyle: "long" }) : t("common.never");
}

/** 23.11.26 */
export function shortDate(iso) {
  return formatted(iso, { dateStyle: "short" });
}

/** The time alone if it is today, else the date: short enough for a list. */
export function shortTime(iso) {
  if (!iso) return "";
  return shortDate(iso) === shortDate(new Date()) ? formatted(iso, { timeStyle: "short" }) : shortDate(iso);
}

export function clockTime(moment) {
  return formatted(moment, { timeStyle: "short" });
}

/** heute, 23:59 · morgen, 12:00 · 3.12.26, 23:59: when something is due. */
export function dayAndTime(iso) {
  const day = (moment) => wallClockOf(new Date(moment)).slice(0, 10);
  const key = { [day(Date.now())]: "day.today", [dateIn(1)]: "day.tomorrow" }[day(iso)];
  return `${key ? t(key) : shortDate(iso)}, ${clockTime(iso)}`;
}

export function isPast(iso) {
  return new Date(iso) < new Date();
}

/** 1.240,50 €. A currency that the browser refuses stands as it is. */
export function money(amount, currency) {
  try {
    return new Intl.NumberFormat(locale(), { style: "currency", currency }).format(amount);
  } catch {
    return `${amount} ${currency}`;
  }
}

/** 1.240 */
export function number(value) {
  return new Intl.NumberFormat(locale()).format(value);
}

/** The first moment of a day such as 2026-11-23 in the user's time zone, or of a day some days later. */
export function startOfDay(day, daysLater = 0) {
  const utc = new Date(`${day}T00:00:00Z`);
  utc.setUTCDate(utc.getUTCDate() + daysLater);
  // The difference between what clocks in that zone show at this moment and UTC is the zone's offset.
  return new Date(2 * utc - shownAsUtc(utc));
}

/** The moment at which clocks in the user's time zone show this, such as 2026-11-23T09:00. An hour that a clock change leaves out is the next one. */
export function momentOf(wallClock) {
  const asUtc = new Date(`${wallClock}Z`);
  // The zone's offset at that moment is known only once the moment is: the second guess is right.
  const first = new Date(2 * asUtc - shownAsUtc(asUtc));
  return new Date(first - (shownAsUtc(first) - asUtc));
}

/** What clocks in the user's time zone show at a moment, as fields for date and time have it: 2026-11-23T09:00. */
export function wallClockOf(moment) {
  return shownAsUtc(moment).toISOString().slice(0, 16);
}

/** The date in so many days, in the user's time zone: 2026-11-23. Days of 23 and 25 hours count as one, too. */
export function dateIn(days) {
  const today = Date.parse(`${wallClockOf(new Date()).slice(0, 10)}T00:00Z`);
  return new Date(today + days * DAY_MS).toISOString().slice(0, 10);
}

/** Mitteleuropäische Zeit */
export function zoneName(moment) {
  const parts = new Intl.DateTimeFormat(locale(), { timeZone: timeZone(), timeZoneName: "long" }).formatToParts(new Date(moment));
  return parts.find(({ type }) => type === "timeZoneName").value;
}

function shownAsUtc(moment) {
  return new Date(`${moment.toLocaleString("sv-SE", { timeZone: timeZone() }).replace(" ", "T")}Z`);
}

/** 5 Std.: a length of time in minutes, hours or days. */
export function duration(milliseconds) {
  const minutes = Math.floor(Math.abs(milliseconds) / 60000);
  const [unit, value] = minutes < 60 ? ["minute", Math.max(minutes, 1)] : minutes < 48 * 60 ? ["hour", Math.floor(minutes / 60)] : ["day", Math.floor(minutes / 1440)];
  return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "short" }).format(value);
}

export function countryName(code) {
  return new Intl.DisplayNames([language()], { type: "region" }).of(code);
}

export function languageName(code) {
  return new Intl.DisplayNames([language()], { type: "language" }).of(code);
}

export function size(bytes) {
  const [unit, divisor, digits] = bytes < 1000000 ? ["kilobyte", 1000, 0] : ["megabyte", 1000000, 1];
  const format = new Intl.NumberFormat(locale(), { style: "unit", unit, maximumFractionDigits: digits });
  return format.format(Math.max(bytes / divisor, digits ? 0.1 : 1));
}

/** A, B und C */
export function list(names) {
  return new Intl.ListFormat(locale(), { type: "conjunction" }).format(names);
}

function formatted(moment, options) {
  return new Intl.DateTimeFormat(locale(), { ...options, timeZone: timeZone() }).format(new Date(moment));
}
