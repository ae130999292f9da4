// The answer clock: how long is left until Amazon's 24 hours are over, or since when they are.

import { h } from "../core/dom.js";
import { dateTime, duration } from "../core/format.js";
import { t } from "../core/i18n.js";

const REDRAW_MS = 30000;
const SOON_MS = 4 * 3600 * 1000;

/** The exact time is the title; `keepClocks` keeps the words true. */
export function answerClock(dueAt) {
  const words = h("span", {});
  const clock = h(
    "time",
    { datetime: dueAt, title: t("clock.title", { time: dateTime(dueAt) }), "data-testid": "answer-clock" },
    h("span", { class: "visually-hidden" }, t("clock.answer"), " "),
    words,
  );
  draw(clock);
  return clock;
}

/** Updates every clock in an element until the signal is aborted. */
export function keepClocks(place, signal) {
  const timer = setInterval(() => place.querySelectorAll("time.clock").forEach(draw), REDRAW_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function draw(clock) {
  const left = new Date(clock.dateTime) - Date.now();
  const isOver = left < 0;
  clock.className = `clock ${isOver ? "clock-over" : left < SOON_MS ? "clock-soon" : ""}`;
  clock.lastElementChild.textContent = t(isOver ? "clock.over" : "clock.left", { duration: duration(left) });
}
