// Live updates: one event stream per page that is seen. "resync" asks pages to read again.
//
// A hidden page gives its stream up: over HTTP/1.1 a browser opens six connections to a host, and seven tabs would stall.

import { get } from "./api.js";

const AGAIN_AFTER_MS = 10000;
const HIDDEN_AFTER_MS = 5000;
const KINDS = ["authorization.changed", "conversation.changed", "integration.changed", "message.received", "webhook.disabled"];

const bus = new EventTarget();
let source = null;
let again = null;
let hiding = null;
let isWanted = false;

/** Opens the stream, and from then on whenever the page is seen. */
export function openEvents() {
  isWanted = true;
  connect();
}

export function closeEvents() {
  isWanted = false;
  disconnect();
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(disconnect, HIDDEN_AFTER_MS);
  else connect();
});

function connect() {
  if (source || !isWanted) return;
  clearTimeout(again);
  source = new EventSource("/api/v1/events");
  // What was read before the stream stood may be old already; after a gap, events may have been missed.
  source.addEventListener("ready", resync);
  source.addEventListener("resync", resync);
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      bus.dispatchEvent(new CustomEvent(kind, { detail: JSON.parse(event.data).ids ?? {} }));
    });
  }
  source.addEventListener("error", () => {
    // The browser comes back by itself after a broken connection, but not after an answer such as 503.
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    again = setTimeout(comeBack, AGAIN_AFTER_MS);
  });
}

/** Asks first whether somebody is still signed in: that answer, not the stream's, leads to the sign-in page. */
async function comeBack() {
  try {
    await get("/me");
  } catch (problem) {
    if (problem.status === 401) return;
  }
  connect();
}

function disconnect() {
  clearTimeout(again);
  source?.close();
  source = null;
}

/** Asks every page that listens to read again. */
export function resync() {
  bus.dispatchEvent(new CustomEvent("resync", { detail: {} }));
}

/** Calls back with the ids of each event of a kind, and with {} after a gap, until the signal ends it. */
export function onEvent(kind, signal, callback) {
  const listener = (event) => callback(event.detail);
  bus.addEventListener(kind, listener, { signal });
  bus.addEventListener("resync", listener, { signal });
}
