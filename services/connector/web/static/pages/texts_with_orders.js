// Order ids inside of other words.

import { h } from "../core/dom.js";

const ORDER_ID = /\b(\d{3}-\d{7}-\d{7})\b/;

/** A text in which order ids keep their order: among Arabic letters their parts would be shown from right to left. */
export function withOrderIds(text) {
  return text.split(ORDER_ID).map((part, index) => (index % 2 ? h("bdi", { dir: "ltr" }, part) : part));
}
