// Live updates: one event stream for each visible tab. "resync" asks pages to read again.
//
// A hidden tab closes its stream: over HTTP/1.1 a browser opens six connections to a host, and seven tabs would stall. One of those that watch
// for new mail keeps it.

import { apiState, checkNetwork, get } from "./api.js";

const RECONNECT_AFTER_MS = 10000;
const HIDDEN_AFTER_MS = 5000;
/** What tells of a reply's state. */
export const REPLY_KINDS = ["reply.changed", "reply.confirmed", "reply.failed", "reply.handed_over", "reply.perhaps_sent"];
const KINDS = ["authorization.changed", "conversation.changed", "integration.changed", "message.received", "order.changed", "reply.typed", "webhook.disabled", ...REPLY_KINDS];

const listeners = new EventTarget();
const OPEN_WITHIN_MS = 600;

let isFollowed = null;
let seen = 0;
const whenReady = new Promise((resolve) => (isFollowed = resolve));
let source = null;
let reconnectTimer = null;
let hiddenTimer = null;
let isWanted = false;
let watching = 0;

/** Opens the stream now, and again whenever the tab becomes visible. */
export function openEvents() {
  isWanted = true;
  connect();
}

/** Closes the stream until `openEvents` is called again. */
export function closeEvents() {
  isWanted = false;
  disconnect();
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = setTimeout(rest, HIDDEN_AFTER_MS);
  else connect();
});

// The stream may have outlived the time without a network, so that nothing tells that it is back: what could not be read is read now.
apiState.addEventListener("online", () => isWanted && resync());

/** Until the signal is aborted, events come while the tab is hidden, too, unless another hidden tab of this browser watches already. */
export function watchWhileHidden(signal) {
  watching += 1;
  signal.addEventListener("abort", () => (watching -= 1));
}

function rest() {
  if (!watching || !navigator.locks) return disconnect();
  return navigator.locks.request("replyco.hidden_stream", { ifAvailable: true }, (lock) => (lock ? untilVisible() : disconnect()));
}

const untilVisible = () => new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));

function connect() {
  if (source || !isWanted) return;
  clearTimeout(reconnectTimer);
  source = new EventSource("/api/v1/events");
  // What was read before the stream was open may be outdated, and after a gap events may have been missed.
  source.addEventListener("ready", () => {
    resync();
    isFollowed();
  });
  source.addEventListener("resync", resync);
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      seen += 1;
      listeners.dispatchEvent(new CustomEvent(kind, { detail: JSON.parse(event.data).ids ?? {} }));
    });
  }
  source.addEventListener("error", () => {
    // Also in a tab in which nobody does anything: a server that is gone ends its streams.
    checkNetwork();
    // The browser comes back by itself after a broken connection, but not after an answer such as 503.
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    reconnectTimer = setTimeout(reconnect, RECONNECT_AFTER_MS);
  });
}

/** Connects again if somebody is still signed in. That is asked first, because a refused stream does not say why. */
async function reconnect() {
  try {
    await get("/me");
  } catch (problem) {
    if (problem.status === 401) return;
  }
  connect();
}

function disconnect() {
  clearTimeout(reconnectTimer);
  source?.close();
  source = null;
}

/** Until events are followed, for a short while at most: what is read from then on need not be read again when they are. */
export function followed() {
  return Promise.race([whenReady, new Promise((resolve) => setTimeout(resolve, OPEN_WITHIN_MS))]);
}

/** How many events have come: a page that was put together meanwhile may have read too early and listened too late. */
export const eventsSeen = () => seen;

/** Asks every page that listens to read again. */
export function resync() {
  listeners.dispatchEvent(new CustomEvent("resync", { detail: {} }));
}

/** Calls back with the ids of each event of a kind, and with {} after a gap, until the signal is aborted. */
export function onEvent(kind, signal, callback) {
  const listener = (event) => callback(event.detail);
  listeners.addEventListener(kind, listener, { signal });
  listeners.addEventListener("resync", listener, { signal });
}
