// What the list says while there is nothing in it, and what to do about it.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { t } from "../core/i18n.js";
import { may } from "../core/session.js";
import { addressQuery, countSet, inView } from "./inbox_filters.js";

/** Whether everything is done, or nothing has come yet, is asked first. */
export function emptyInbox(filters, signal) {
  if (filters.q) return emptyBox("inbox.empty.search", filters.view !== "all" && searchAll(filters));
  if (countSet(filters)) return emptyBox("inbox.empty.filtered");
  if (filters.view !== "open" && filters.view !== "all") return emptyBox(`inbox.empty.${filters.view}`);
  const place = h("div", {});
  get("/conversations?limit=1", signal).then(
    ({ items }) => replace(place, items.length && filters.view === "open" ? emptyBox("inbox.empty.open") : nothingYet()),
    // The page says what is wrong.
    () => replace(place, nothingYet()),
  );
  return place;
}

function nothingYet() {
  if (may("general.admin", "edit")) return emptyBox("inbox.empty.connect", h("a", { href: "/integrations", class: "button" }, t("inbox.empty.button")));
  return emptyBox("inbox.empty.ask_admin");
}

const searchAll = (filters) => h("a", { href: `/inbox${addressQuery(inView(filters, "all"))}`, class: "button button-secondary" }, t("inbox.empty.search.button"));

function emptyBox(key, action) {
  return h("div", { class: "empty" }, h("h2", {}, t(`${key}.title`)), h("p", {}, t(`${key}.text`)), action);
}
