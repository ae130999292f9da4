// New mail while somebody looks elsewhere: counted in the tab's title and, on wish, told by the system, which learns no word of a message.

import { setTitleCount } from "../core/elements.js";
import { watchWhileHidden } from "../core/events.js";
import { count } from "../core/i18n.js";
import { navigate } from "../core/router.js";

const STORAGE_KEY = "replyco.tells_new_mail";
// The largest count that the API gives.
const MOST_COUNTED = 1000;

/** Whether somebody wishes it in this browser, and the browser lets us. */
export const isWished = () => localStorage.getItem(STORAGE_KEY) === "on" && globalThis.Notification?.permission === "granted";

export function wish(isOn) {
  localStorage.setItem(STORAGE_KEY, isOn ? "on" : "off");
}

/** `count(unread)` is told of each count, until the signal is aborted. */
export function newMail(signal) {
  let before = null;
  watchWhileHidden(signal);
  signal.addEventListener("abort", () => setTitleCount(""));

  function told(unread) {
    setTitleCount(unread >= MOST_COUNTED ? `${MOST_COUNTED - 1}+` : unread || "");
    const hasRisen = before !== null && unread > before;
    before = unread;
    if (hasRisen && isWished() && !document.hasFocus()) tell(unread);
  }

  return { count: told };
}

/** How many are unread is known; why there are more, is not: a colleague may have left one unread, or one may have come back. */
function tell(unread) {
  // One of a name stands for all before it.
  const notification = new Notification(count("new_mail.unread", unread), { tag: "replyco.new_mail", icon: document.querySelector("link[rel=icon]").href });
  notification.addEventListener("click", () => {
    window.focus();
    notification.close();
    if (!location.pathname.startsWith("/inbox")) navigate("/inbox");
  });
}
