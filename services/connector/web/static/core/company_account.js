// Signing in with the company account: the way to the company's provider, and what it says when somebody comes back in a window of its own.

import { post } from "./api.js";

const CHANNEL = "replyco-company-account";

/** Leads to the provider, in this window. `who` is `{ email }` or `{ account_id }`. */
export async function goToProvider(who, returnTo, signal) {
  const { url } = await post("/single-sign-on/attempts", { ...who, return_to: returnTo }, signal);
  location.assign(url);
  // The page is left; until then nothing else can be pressed.
  return new Promise(() => {});
}

/** Asks the provider who is there, in a window of its own; resolves to whether it has confirmed it. Has to be called by a click. */
export async function confirmAtProvider(signal) {
  // Opened before anything is waited for: later, browsers take it for a window that nobody wants.
  const opened = window.open("about:blank", "", "popup,width=520,height=720");
  const channel = new BroadcastChannel(CHANNEL);
  try {
    const { url } = await post("/sessions/current/confirm/single-sign-on", undefined, signal);
    if (opened) opened.location.replace(url);
    else window.open(url, "_blank");
    return await new Promise((resolve) => {
      channel.addEventListener("message", () => resolve(true), { once: true });
      signal?.addEventListener("abort", () => resolve(false), { once: true });
    });
  } catch (problem) {
    opened?.close();
    throw problem;
  } finally {
    channel.close();
  }
}

/** Tells the page that has asked. */
export function tellConfirmed() {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage("confirmed");
  channel.close();
}
