// Who is signed in, and what he may do. The API decides; this only keeps what it said.

import { get, patch, post, remove, useCsrfToken } from "./api.js";
import { closeEvents, openEvents } from "./events.js";
import { language, useLanguage } from "./i18n.js";

const LEVELS = ["none", "view", "edit"];

let me = null;

export function signedIn() {
  return me;
}

export function may(permission, level) {
  return LEVELS.indexOf(me?.permissions?.[permission] ?? "none") >= LEVELS.indexOf(level);
}

export function timeZone() {
  return me?.user?.time_zone ?? undefined;
}

/** Asks who is signed in; throws the 401 that says nobody is. */
export async function loadSession() {
  await begin(await get("/me"));
}

export async function signIn(email, password) {
  await begin(await post("/sessions", { email, password }));
}

export async function signOut() {
  await remove("/sessions/current");
  forgetSession();
}

export function forgetSession() {
  me = null;
  useCsrfToken(null);
  closeEvents();
}

/** Switches the language and remembers it with the user, where there is one. */
export async function chooseLanguage(wanted) {
  await useLanguage(wanted);
  if (me?.user) me = { ...me, ...(await patch("/me", { language: wanted })) };
}

async function begin(answer) {
  me = answer;
  useCsrfToken(answer.csrf_token);
  if (answer.user && answer.user.language !== language()) await useLanguage(answer.user.language);
  openEvents();
}
