// Says on every page that calls to Amazon are stopped, for as long as they are: at the lower edge, so that nothing that is read moves.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { followed, onEvent } from "../core/events.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { signedIn } from "../core/session.js";

// No event tells of it.
const READ_EVERY_MS = 30000;

const place = document.getElementById("amazon-pause");
// The banner is on every page until the browser leaves them all.
const always = new AbortController().signal;
let isWatching = false;
let isAsked = false;
let pausedSince = null;

/** Draws the banner in the language of now, and keeps it true from the first call on. */
export function drawAmazonPause() {
  draw();
  if (isWatching) return;
  isWatching = true;
  onEvent("resync", always, read);
  setInterval(() => !document.hidden && read(), READ_EVERY_MS);
  // Once events are followed, every page that listens reads anyway.
  followed().then(() => isAsked || read());
}

async function read() {
  isAsked = true;
  if (!signedIn()) return;
  try {
    ({ amazon_paused_since: pausedSince } = await get("/status"));
    draw();
  } catch (problem) {
    // The banner of the network, or the page itself, says that the API is away.
    if (problem.status === undefined) throw problem;
  }
}

function draw() {
  const text = signedIn() && pausedSince ? t("amazon_pause.text", { time: dateTime(pausedSince) }) : null;
  // What stays as it is is not read out again.
  if (place.textContent === (text ?? "")) return;
  replace(place, text && h("p", {}, text));
}
