// "Send later": at a date and a time in the user's own zone, which is named.

import { h, newId } from "../core/dom.js";
import { confirmDialog } from "../core/elements.js";
import { dateIn, momentOf, wallClockOf, zoneName } from "../core/format.js";
import { t } from "../core/i18n.js";

const NEXT_MORNING = "T08:00";
// The clock of the browser may be a little wrong.
const SOONEST_MS = 60000;

/** The moment that somebody chooses, as the API takes it, or null. */
export async function chooseTime() {
  const id = newId("send-at");
  const zone = h("p", { class: "hint", id: `${id}-hint` });
  const wrong = h("p", { class: "field-error", id: `${id}-error`, role: "alert" });
  const tomorrow = dateIn(1) + NEXT_MORNING;
  const input = h("input", { type: "datetime-local", class: "input", id, value: tomorrow, min: wallClockOf(new Date()), "aria-describedby": `${id}-hint ${id}-error` });
  const name = () => (zone.textContent = t("send_later.zone", { zone: zoneName(input.value ? momentOf(input.value) : new Date()) }));
  input.addEventListener("input", name);
  name();
  const check = () => {
    const isRight = input.value && momentOf(input.value) > new Date(Date.now() + SOONEST_MS);
    wrong.textContent = isRight ? "" : t("send_later.past");
    if (!isRight) input.focus();
    return Boolean(isRight);
  };
  const isChosen = await confirmDialog({
    title: t("send_later.title"),
    content: h("div", { class: "field" }, h("label", { for: id }, t("send_later.when")), zone, input, wrong),
    confirm: t("send_later.confirm"),
    isDangerous: false,
    check,
  });
  return isChosen ? momentOf(input.value).toISOString() : null;
}
