// Flags of the countries where Amazon has a marketplace, drawn simply: many systems have no letters that are flags.

import { svg } from "../core/dom.js";

const [WIDTH, HEIGHT] = [30, 20];
const [BLACK, BLUE, GOLD, GREEN, ORANGE, RED, WHITE] = ["#111", "#123f8f", "#f7c900", "#15803c", "#f58220", "#cc2229", "#fff"];

/** Stripes from top to bottom, or from left to right. */
const rows = (...colours) => colours.map((fill, index) => rectangle(fill, 0, (index * HEIGHT) / colours.length, WIDTH, HEIGHT / colours.length));
const columns = (...colours) => colours.map((fill, index) => rectangle(fill, (index * WIDTH) / colours.length, 0, WIDTH / colours.length, HEIGHT));
const rectangle = (fill, x, y, width, height) => ["rect", { fill, x, y, width, height }];
const disc = (fill, cx, cy, r) => ["circle", { fill, cx, cy, r }];
const shape = (fill, d) => ["path", { fill, d }];
const line = (stroke, width, d) => ["path", { stroke, "stroke-width": width, d }];

const union = (scale) => [
  rectangle(BLUE, 0, 0, WIDTH * scale, HEIGHT * scale),
  ...[[WHITE, 4], [RED, 1.5]].map(([colour, width]) => line(colour, width * scale, `M0 0L${30 * scale} ${20 * scale}M${30 * scale} 0L0 ${20 * scale}`)),
  ...[[WHITE, 6], [RED, 3.5]].map(([colour, width]) => line(colour, width * scale, `M${15 * scale} 0V${20 * scale}M0 ${10 * scale}H${30 * scale}`)),
];

const FLAGS = {
  AE: [...rows(GREEN, WHITE, BLACK), rectangle(RED, 0, 0, 8, 20)],
  AU: [rectangle(BLUE, 0, 0, WIDTH, HEIGHT), ...union(0.5), disc(WHITE, 7.5, 15, 2), disc(WHITE, 22, 4, 1.3), disc(WHITE, 26, 9, 1.3), disc(WHITE, 18.5, 10, 1.3), disc(WHITE, 22, 16, 1.3)],
  BE: columns(BLACK, GOLD, RED),
  BR: [rectangle(GREEN, 0, 0, WIDTH, HEIGHT), shape(GOLD, "M15 2L28 10L15 18L2 10z"), disc(BLUE, 15, 10, 4.2)],
  CA: [...columns(RED, WHITE, WHITE, RED), shape(RED, "M15 4L17 8L20 8L18 12L15 13L12 12L10 8L13 8z"), line(RED, 1, "M15 12V16")],
  DE: rows(BLACK, RED, GOLD),
  EG: [...rows(RED, WHITE, BLACK), disc(GOLD, 15, 10, 2.2)],
  ES: [...rows(RED, GOLD, GOLD, RED), rectangle(RED, 7, 8, 3, 4)],
  FR: columns(BLUE, WHITE, RED),
  GB: union(1),
  IE: columns(GREEN, WHITE, ORANGE),
  IN: [...rows(ORANGE, WHITE, GREEN), disc(BLUE, 15, 10, 2.6), disc(WHITE, 15, 10, 1.7)],
  IT: columns(GREEN, WHITE, RED),
  JP: [rectangle(WHITE, 0, 0, WIDTH, HEIGHT), disc(RED, 15, 10, 6)],
  MX: [...columns(GREEN, WHITE, RED), disc("#8a5a2b", 15, 10, 2.8)],
  NL: rows(RED, WHITE, BLUE),
  PL: rows(WHITE, RED),
  SA: [rectangle(GREEN, 0, 0, WIDTH, HEIGHT), line(WHITE, 2.2, "M8 8H22"), line(WHITE, 1, "M9 14H21")],
  SE: [rectangle("#0b5fa5", 0, 0, WIDTH, HEIGHT), line(GOLD, 4, "M11 0V20M0 10H30")],
  SG: [...rows(RED, WHITE), disc(WHITE, 7, 5, 3.6), disc(RED, 8.6, 5, 3.2)],
  TR: [rectangle(RED, 0, 0, WIDTH, HEIGHT), disc(WHITE, 11, 10, 5), disc(RED, 12.5, 10, 4), disc(WHITE, 18.5, 10, 1.6)],
  US: [...rows(RED, WHITE, RED, WHITE, RED, WHITE, RED), rectangle(BLUE, 0, 0, 13, 11.4)],
  ZA: [...rows(RED, BLUE), line(WHITE, 7, "M0 0L12 10L0 20M12 10H30"), line(GREEN, 4, "M0 0L12 10L0 20M10 10H30"), shape(BLACK, "M0 4.5L6.5 10L0 15.5z")],
};

/** The flag of a country, or null: a name always stands beside it. */
export function flag(country) {
  const parts = FLAGS[country];
  return parts ? svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "flag", "aria-hidden": "true" }, parts.map(([name, attributes]) => svg(name, attributes))) : null;
}
