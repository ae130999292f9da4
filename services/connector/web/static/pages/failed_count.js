// How many replies have not arrived, in the menu of every page: a failure is seen within seconds wherever somebody works.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { announce, throttled } from "../core/elements.js";
import { followed, onEvent, REPLY_KINDS } from "../core/events.js";
import { count as counted, t } from "../core/i18n.js";
import { signedIn } from "../core/session.js";

// The largest count that the API gives.
const MOST_COUNTED = 1000;

const number = h("span", { class: "count-badge", "data-testid": "failed-count" });
const words = h("span", { class: "visually-hidden" });
const element = h("span", {}, number, words);
// The menu is on every page until the browser leaves them all.
const always = new AbortController().signal;
let isWatching = false;
let isAsked = false;
let shown = null;

/** The count, which keeps itself true. */
export function failedCount() {
  if (!isWatching) watch();
  return element;
}

function watch() {
  isWatching = true;
  const soon = throttled(1000, always, read);
  // Also those that were left or sent again, here or by a colleague.
  for (const kind of REPLY_KINDS) onEvent(kind, always, soon);
  // Once events are followed, every page that listens reads anyway.
  followed().then(() => isAsked || soon());
}

async function read() {
  isAsked = true;
  if (!signedIn()) return draw(null);
  try {
    const { failed, perhaps_sent: perhaps } = await get("/replies/counts");
    draw(Math.min(failed + perhaps, MOST_COUNTED));
  } catch (problem) {
    // The banner, or the page itself, says that the API is away.
    if (problem.status === undefined) throw problem;
  }
  return null;
}

function draw(count) {
  if (shown !== null && count > shown) announce(counted("failed.more", count));
  shown = count;
  number.textContent = count ? (count >= MOST_COUNTED ? `${MOST_COUNTED - 1}+` : String(count)) : "";
  words.textContent = count ? ` ${t("failed.count")}` : "";
}
