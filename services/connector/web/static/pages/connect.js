// The page in Amazon's window after the consent: says what happened, that the window may be closed, and how to go on if the first one is gone.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { notice, pageHeading, showProblem } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { t } from "../core/i18n.js";
import { latest } from "../core/latest.js";
import { askForHelp } from "./ask_for_help.js";

const ASK_EVERY_MS = 3000;

export const width = "narrow";

export async function show({ main, params, signal }) {
  const done = new AbortController();
  signal.addEventListener("abort", () => done.abort());
  let shownStatus = null;
  let timer = null;
  const asking = latest();

  async function look() {
    // Set before it is asked: an answer that never comes is no reason to wait for ever.
    clearTimeout(timer);
    timer = setTimeout(lookAgain, ASK_EVERY_MS);
    const isLatest = asking();
    let attempt;
    try {
      attempt = await get(`/authorizations/${params.attempt_id}`, done.signal);
    } catch (problem) {
      // Two checks may run at once; the one that sees the outcome ends the other.
      if (problem.name === "AbortError") return null;
      clearTimeout(timer);
      throw problem;
    }
    if (!isLatest()) return null;
    if (attempt.status !== shownStatus) {
      shownStatus = attempt.status;
      replace(main, outcome(attempt));
    }
    return ["waiting", "completing"].includes(attempt.status) ? null : done.abort();
  }

  function lookAgain() {
    look().catch((problem) => showProblem(main, problem));
  }

  done.signal.addEventListener("abort", () => clearTimeout(timer));
  onEvent("authorization.changed", done.signal, lookAgain);
  await look();
}

function outcome(attempt) {
  const isOver = !["waiting", "completing"].includes(attempt.status);
  const tone = { connected: "good", reauthorized: "good", failed: "bad", expired: "warning" }[attempt.status] ?? "info";
  const problem = attempt.problem;
  const wasAgain = attempt.status === "reauthorized" && attempt.reconnects;
  return [
    pageHeading(t(`connect.${attempt.status}.title`)),
    notice(
      tone,
      problem?.title,
      h("p", { role: "status" }, problem?.detail || t(wasAgain ? "connect.renewed.text" : `connect.${attempt.status}.text`)),
      problem && askForHelp(problem),
    ),
    isOver && h("p", {}, t("connect.close_window")),
    h("p", {}, t("connect.window_gone")),
    h("p", {}, h("a", { href: wayOn(attempt), class: "button" }, t(`connect.${attempt.status}.go_on`))),
  ];
}

/** Once the time is over it begins anew: at the store that was to be authorized again, else at its country. */
function wayOn({ id, status, reconnects, country }) {
  if (status !== "expired") return `/integrations/new?attempt=${id}`;
  return reconnects ? `/integrations/${reconnects}` : `/integrations/new?source=amazon&country=${country}`;
}
