// Who is signed in, and what they may do. The API decides; this module only remembers its answer.

import { get, patch, post, remove, useCsrfToken } from "./api.js";
import { closeEvents, openEvents } from "./events.js";
import { useLanguage } from "./i18n.js";
import { removeLocalDrafts } from "./local_drafts.js";
import { askPasskey } from "./passkeys.js";

const LEVELS = ["none", "view", "edit"];

let me = null;

/** The API's answer about whoever is signed in, or null. */
export function signedIn() {
  return me;
}

/** Whether whoever is signed in has this level of a permission, or a higher one. */
export function may(permission, level) {
  return LEVELS.indexOf(me?.permissions?.[permission] ?? "none") >= LEVELS.indexOf(level);
}

export function timeZone() {
  return me?.user?.time_zone ?? undefined;
}

/** The user's id, or null for an API key. */
export function userId() {
  return me?.user?.id ?? null;
}

/** Asks the API who is signed in; throws its 401 if nobody is. */
export async function loadSession() {
  const before = me;
  const answer = await get("/me");
  // An answer of before somebody signed out signs nobody in again.
  if (me || !before) await startSession(answer);
}

/** Signs in with a password. Resolves to the second step that is left, or to null. */
export async function signIn(email, password) {
  const answer = await post("/sessions", { email, password });
  if ("takes_codes" in answer) return answer;
  await startSession(answer);
  return null;
}

/** Answers the second step: `{ code }` or `{ passkey }`. */
export async function finishSignIn(proof) {
  await startSession(await post("/sessions/second-step", proof));
}

/** Signs in with a passkey alone. */
export async function signInWithPasskey(signal) {
  const { passkey_options } = await post("/sessions/passkey/options", undefined, signal);
  await startSession(await post("/sessions/passkey", { passkey: await askPasskey(passkey_options, signal) }));
}

/** Whether whoever is signed in has to set up a second factor, and may do nothing else before. */
export const needsSecondFactor = () => me?.needs_second_factor ?? false;

/** Changes one's own name, language or time zone. */
export async function changeMe(values) {
  const answer = await patch("/me", values);
  if (!me) return;
  me = answer;
  await useTextsOf(me);
}

const beforeSignOut = new Set();

/** Work that is done before somebody signs out, for as long as the signal is not aborted. */
export function onSignOut(signal, work) {
  beforeSignOut.add(work);
  signal.addEventListener("abort", () => beforeSignOut.delete(work));
}

export async function signOut() {
  await Promise.all([...beforeSignOut].map((work) => work()));
  await remove("/sessions/current");
  removeLocalDrafts(() => true);
  forgetSession();
}

export function forgetSession() {
  removeLocalDrafts((_, draft) => draft?.isSaved);
  me = null;
  useCsrfToken(null);
  closeEvents();
}

/** Switches the language, and saves it with the user if somebody is signed in. */
export async function chooseLanguage(wanted) {
  await useLanguage(wanted);
  if (!me?.user) return;
  const answer = await patch("/me", { language: wanted });
  if (me) me = { ...me, ...answer };
}

/** Language and form of address of whoever is signed in; a person's own form outranks the account's. */
async function useTextsOf({ user, account }) {
  if (!user) return;
  const form = user.form_of_address ?? account?.form_of_address ?? "du";
  await useLanguage(user.language, form);
}

async function startSession(answer) {
  me = answer;
  // A session may end by itself before the server had the last words: those stay for the same user, and for nobody else.
  removeLocalDrafts((userId, draft) => userId !== answer.user?.id || !draft);
  useCsrfToken(answer.csrf_token);
  await useTextsOf(answer);
  if (!me.needs_second_factor) openEvents();
}
