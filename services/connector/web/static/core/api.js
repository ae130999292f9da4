// Calls of the public REST API: the only module that knows about CSRF, languages, problems and a lost network.

import { locale } from "./i18n.js";
import { released } from "./pressed.js";

const BASE = "/api/v1";
const RETRY_AFTER_MS = 4000;

/** An answer that is no success: a problem of the API's (RFC 9457), or "network_away" with status 0. */
export class Problem extends Error {
  constructor(status, body, retryAfterSeconds) {
    super(body.code);
    this.status = status;
    this.code = body.code ?? "unknown";
    this.title = body.title ?? "";
    this.detail = body.detail ?? "";
    this.errors = body.errors ?? [];
    this.fields = body;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Of a request whose page has been left: nobody waits for what becomes of it. */
class Left extends Problem {
  constructor() {
    super(undefined, { code: "left" });
    // As a browser names it.
    this.name = "AbortError";
  }
}

/** Dispatches the events "signed-out", "second-factor-needed", "offline" and "online" to the rest of the pages. */
export const apiState = new EventTarget();

// A difference of seconds is the way of the answer.
const CLOCK_TOLERANCE_MS = 2000;

// So long after somebody has last typed, clicked or scrolled, what a page asks is its own idea and does not keep the session alive.
const ATTENTIVE_MS = 30_000;
// Whoever reads and scrolls for long asks nothing; this often the server is told that they are there.
const PRESENT_EVERY_MS = 5 * 60_000;

let lastTouchedAt = Date.now();
let lastPresentAt = Date.now();
let prove = async () => false;
let clockDifference = 0;
let csrfToken = null;
let isOffline = false;
let lostAt = -Infinity;

export function useCsrfToken(token) {
  csrfToken = token;
}

/** How people are asked to prove who they are; `ask()` resolves to whether they did. What was refused for want of it is then sent again. */
export function proveBy(ask) {
  prove = ask;
}

for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) {
  addEventListener(kind, noteAttention, { capture: true, passive: true });
}

function noteAttention() {
  lastTouchedAt = Date.now();
  if (!csrfToken || lastTouchedAt - lastPresentAt < PRESENT_EVERY_MS) return;
  lastPresentAt = lastTouchedAt;
  get("/me").catch(() => {});
}

const isAttentive = () => Date.now() - lastTouchedAt < ATTENTIVE_MS;

/** The time at the server, as far as this browser's clock is known to be wrong. */
export const serverNow = () => Date.now() + clockDifference;

export const get = (path, signal) => call("GET", path, undefined, signal);
export const post = (path, body, signal) => call("POST", path, body, signal);
export const patch = (path, body, signal) => call("PATCH", path, body, signal);
/** A resource with its version, `{ content, version }`; `patchVersion` changes it only if it still has that version. */
export const getVersion = (path, signal) => callVersion("GET", path, undefined, signal);
export const patchVersion = (path, body, version, signal) => callVersion("PATCH", path, body, signal, { "If-Match": version });
export const put = (path, body, signal) => call("PUT", path, body, signal);
export const putVersion = (path, body, version, signal) => callVersion("PUT", path, body, signal, { "If-Match": version });
/** Once, however often it is sent with this key, and only if what it concerns still has that version. */
export const postOnce = (path, body, { key, version, signal }) => callVersion("POST", path, body, signal, { "Idempotency-Key": key, ...(version && { "If-Match": version }) });
export const remove = (path, signal) => call("DELETE", path, undefined, signal);

/** All pages of a list, one after the other, each given to `take(items)` as soon as it is there. `path` has a query. */
export async function eachPage(path, signal, take) {
  let cursor = null;
  do {
    const page = await get(cursor ? `${path}&cursor=${encodeURIComponent(cursor)}` : path, signal);
    take(page.items);
    cursor = page.next_cursor;
  } while (cursor);
}

/** The URL of a download. */
export function downloadUrl(path) {
  return BASE + path;
}

async function call(method, path, body, signal) {
  const { content } = await callVersion(method, path, body, signal);
  return content;
}

async function callVersion(method, path, body, signal, headers) {
  const answer = await sendOrThrow(method, path, body, signal, headers);
  const content = answer.status === 204 ? null : await answer.json().catch((error) => Promise.reject(error instanceof SyntaxError ? error : lost(error)));
  await nothingPressed(signal);
  return { content, version: answer.headers.get("ETag") };
}

/** What is drawn of an answer moves nothing from under a finger; whoever has left the page by that very click gets none. */
async function nothingPressed(signal) {
  await released();
  if (signal?.aborted) throw new Left();
}

async function sendOrThrow(method, path, body, signal, headers) {
  const answer = await send(method, path, body, signal, headers);
  if (answer.ok) return answer;
  const problem = await readProblem(answer);
  await nothingPressed(signal);
  if (problem.code === "second_factor_needed") apiState.dispatchEvent(new Event("second-factor-needed"));
  if (problem.code === "not_signed_in") apiState.dispatchEvent(new Event("signed-out"));
  if (problem.code === "reauthentication_needed" && (await prove())) return sendOrThrow(method, path, body, signal, headers);
  throw problem;
}

/** Fetches a file that takes a proof of who is there, which a plain link could not ask for, and gives it to the browser to keep. */
export async function download(path, name, signal) {
  const answer = await sendOrThrow("GET", path, undefined, signal, { Accept: "*/*" });
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function send(method, path, body, signal, extraHeaders = {}) {
  const headers = { Accept: "application/json", "Accept-Language": locale(), ...extraHeaders };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrfToken) headers["X-CSRF-Token"] = csrfToken;
  if (isAttentive()) lastPresentAt = Date.now();
  else headers["X-Background-Request"] = "1";
  const sentAt = performance.now();
  try {
    const answer = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: "same-origin",
      cache: "no-store",
    });
    markOnline(sentAt);
    noteClock(answer.headers.get("Date"));
    return answer;
  } catch (error) {
    throw lost(error);
  }
}

/** What is told of an answer that did not come, or not as a whole. */
function lost(error) {
  if (error.name === "AbortError") return new Left();
  markOffline();
  return new Problem(0, { code: "network_away" });
}

function noteClock(date) {
  const difference = Date.parse(date) - Date.now();
  if (Number.isFinite(difference)) clockDifference = Math.abs(difference) > CLOCK_TOLERANCE_MS ? difference : 0;
}

/** Sends a file as it is and calls back with the part that is sent already, from 0 to 1. */
export function upload(path, file, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const sentAt = performance.now();
    request.open("POST", BASE + path);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Accept-Language", locale());
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (csrfToken) request.setRequestHeader("X-CSRF-Token", csrfToken);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("load", () => {
      markOnline(sentAt);
      const body = jsonOrNothing(request.responseText);
      if (request.status < 300) resolve(body);
      else {
        if (request.status === 401) apiState.dispatchEvent(new Event("signed-out"));
        reject(new Problem(request.status, body, null));
      }
    });
    request.addEventListener("error", () => {
      markOffline();
      reject(new Problem(0, { code: "network_away" }));
    });
    request.addEventListener("abort", () => reject(new Left()));
    signal.addEventListener("abort", abort);
    request.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
    request.send(file);
  });
}

function jsonOrNothing(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

async function readProblem(answer) {
  const retryAfter = Number(answer.headers.get("Retry-After"));
  let body = {};
  if ((answer.headers.get("Content-Type") ?? "").includes("json")) {
    body = await answer.json().catch(() => ({}));
  }
  return new Problem(answer.status, body, Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : null);
}

function markOffline() {
  if (isOffline) return;
  isOffline = true;
  lostAt = performance.now();
  apiState.dispatchEvent(new Event("offline"));
  setTimeout(retryNetwork, RETRY_AFTER_MS);
}

/** The answer to what was sent before the network was lost comes late: it does not say that the network is back. */
function markOnline(sentAt) {
  if (!isOffline || sentAt < lostAt) return;
  isOffline = false;
  apiState.dispatchEvent(new Event("online"));
}

async function retryNetwork() {
  if (!isOffline) return;
  await checkNetwork();
  if (isOffline) setTimeout(retryNetwork, RETRY_AFTER_MS);
}

/** Asks whether the server is there, so that the pages say so although nobody has asked for anything else. Resolves to whether it is. */
export async function checkNetwork() {
  const sentAt = performance.now();
  try {
    await fetch("/livez", { cache: "no-store", signal: AbortSignal.timeout(RETRY_AFTER_MS) });
    markOnline(sentAt);
  } catch {
    markOffline();
  }
  return !isOffline;
}

for (const kind of ["online", "offline"]) addEventListener(kind, checkNetwork);
