// Drawings of where to click in Seller Central: one for each step of the guide. What matters is in the accent colour; they have no words,
// because Amazon's change.

import { svg } from "../core/dom.js";
import { t } from "../core/i18n.js";

/** The drawing for a step, read out as what it shows. */
export function drawing(step) {
  return svg(
    "svg",
    { viewBox: "0 0 320 150", class: "drawing", role: "img", "aria-label": t(`guide.${step}.drawing`) },
    svg("rect", { x: 1, y: 1, width: 318, height: 148, rx: 8, class: "drawing-window" }),
    svg("path", { d: "M1 26H319", class: "drawing-line" }),
    [14, 26, 38].map((x) => svg("circle", { cx: x, cy: 13.5, r: 3.5, class: "drawing-shape" })),
    DRAWINGS[step](),
  );
}

const bar = (x, y, width, height = 7) => svg("rect", { x, y, width, height, rx: height / 2, class: "drawing-shape" });
const box = (x, y, width, height) => svg("rect", { x, y, width, height, rx: 4, class: "drawing-box" });
const here = (x, y, width, height) => svg("rect", { x, y, width, height, rx: 5, class: "drawing-here" });
const number = (x, y, digit) => [svg("circle", { cx: x, cy: y, r: 10, class: "drawing-number" }), svg("text", { x, y: y + 4, class: "drawing-digit" }, digit)];
const tick = (x, y) => svg("path", { d: `M${x} ${y}l4 4 7-8`, class: "drawing-tick" });

const DRAWINGS = {
  order_report_columns: () => [
    [40, 56, 72, 88].map((y) => bar(16, y, 70)),
    here(10, 66, 84, 19),
    number(94, 60, "1"),
    [42, 66, 90, 114].map((y) => [box(130, y, 170, 18), bar(140, y + 6, 70), svg("rect", { x: 266, y: y + 3, width: 26, height: 12, rx: 6, class: "drawing-on" }), svg("circle", { cx: 286, cy: y + 9, r: 4, class: "drawing-knob" })]),
    here(258, 36, 46, 102),
    number(258, 36, "2"),
  ],
  seller_profile: () => [
    bar(20, 42, 110, 9),
    svg("rect", { x: 238, y: 38, width: 58, height: 18, rx: 9, class: "drawing-box" }),
    here(233, 33, 68, 28),
    number(233, 33, "1"),
    [70, 100].map((y) => [bar(20, y + 6, 80), box(120, y, 176, 20), bar(130, y + 7, 90, 6)]),
    here(115, 64, 186, 62),
    number(115, 64, "2"),
    svg("rect", { x: 238, y: 130, width: 58, height: 14, rx: 7, class: "drawing-on" }),
    number(228, 136, "3"),
  ],
  notification_preferences: () => [
    bar(20, 40, 130, 9),
    svg("rect", { x: 238, y: 36, width: 58, height: 18, rx: 9, class: "drawing-box" }),
    number(238, 36, "1"),
    [64, 90, 116].map((y) => [svg("rect", { x: 20, y, width: 12, height: 12, rx: 3, class: "drawing-on" }), tick(21, y + 6), bar(42, y + 3, 74), box(130, y - 3, 120, 18), bar(138, y + 3, 78, 6), svg("path", { d: `M266 ${y + 6}h14M273 ${y - 1}v14`, class: "drawing-plus" })]),
    here(125, 55, 166, 82),
    number(291, 55, "2"),
  ],
  approved_sender: () => [
    bar(20, 40, 90, 9),
    svg("path", { d: "M262 45h16M270 37v16", class: "drawing-plus" }),
    here(248, 32, 44, 26),
    number(248, 32, "1"),
    box(20, 72, 276, 26),
    bar(32, 81, 120),
    svg("circle", { cx: 240, cy: 85, r: 9, class: "drawing-on" }),
    tick(234, 85),
    here(222, 69, 78, 32),
    number(222, 69, "2"),
    svg("rect", { x: 238, y: 116, width: 58, height: 18, rx: 9, class: "drawing-on" }),
    number(228, 125, "3"),
  ],
};
