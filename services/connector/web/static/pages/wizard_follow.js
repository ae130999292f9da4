// Step 2, second half: Amazon's window is open; this one follows by itself, by events and, should they fail, by asking.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { announce, notice, outsideLink, showProblem } from "../core/elements.js";
import { onEvent } from "../core/events.js";
import { clockTime, list } from "../core/format.js";
import { t } from "../core/i18n.js";
import { latest } from "../core/latest.js";
import { askForHelp } from "./ask_for_help.js";
import { consentLink } from "./consent_link.js";

const ASK_EVERY_MS = 3000;
const CALM_TEXT_AFTER_MS = 60000;
const MOST_COUNTRY_BUTTONS = 3;

export async function followStep(place, attemptId, signal, { onIntegration, onAttempt }) {
  const following = new AbortController();
  signal.addEventListener("abort", () => following.abort());
  const waitingSince = Date.now();
  let shownStatus = null;
  const asking = latest();
  let isAnnounced = false;
  let timer = null;

  async function look() {
    const isLatest = asking();
    let attempt;
    try {
      attempt = await get(`/authorizations/${attemptId}`, following.signal);
    } catch (problem) {
      if (problem.name === "AbortError") return null;
      // The network is away for a moment: the banner says so, and the next check continues.
      if (problem.status !== 0 && problem.status < 500) throw problem;
      return plan();
    }
    return show(attempt, isLatest);
  }

  async function show(attempt, isLatest) {
    if (following.signal.aborted) return null;
    if (location.search !== `?attempt=${attemptId}`) return following.abort();
    if (!isAnnounced) {
      isAnnounced = true;
      await onAttempt(attempt);
    }
    if (following.signal.aborted || !isLatest()) return null;
    if (["connected", "reauthorized"].includes(attempt.status)) {
      following.abort();
      announce(t(`wizard.${attempt.status}.announce`));
      return onIntegration(attempt.integration_id, { isReauthorized: attempt.status === "reauthorized", reconnects: attempt.reconnects });
    }
    const isLate = Date.now() - waitingSince >= CALM_TEXT_AFTER_MS;
    const status = attempt.status === "waiting" && isLate ? "late" : attempt.status;
    if (status !== shownStatus) {
      shownStatus = status;
      replace(place, views[status](attempt, following.signal));
      if (status !== "waiting") announce(place.querySelector("h2").textContent);
    }
    if (["failed", "expired"].includes(status)) return following.abort();
    return plan();
  }

  function plan() {
    clearTimeout(timer);
    timer = setTimeout(() => !following.signal.aborted && look().catch(failed), ASK_EVERY_MS);
  }

  const failed = (problem) => showProblem(place, problem, startAgain({}));
  following.signal.addEventListener("abort", () => clearTimeout(timer));
  onEvent("authorization.changed", following.signal, () => look().catch(failed));
  await look();
}

const views = {
  waiting(attempt) {
    return [
      h("h2", { tabindex: "-1" }, t("wizard.waiting.title")),
      history.state?.isBlocked && notice("warning", t("wizard.blocked.title"), h("p", {}, t("wizard.blocked.text"))),
      h("ol", { class: "instructions" }, [1, 2, 3].map((number) => h("li", {}, t(`wizard.waiting.${number}`)))),
      spinner(t("wizard.waiting.follows", { time: clockTime(attempt.expires_at) })),
      windowLink(attempt),
      h("p", { class: "muted" }, t("wizard.waiting.covers", { countries: list(attempt.covers.map((each) => each.name)) })),
      hint(attempt),
      h("p", {}, h("a", { href: againAddress(attempt) }, t(attempt.reconnects ? "wizard.back_to_integration" : "wizard.other_country"))),
    ];
  },
  late(attempt, signal) {
    return [
      h("h2", { tabindex: "-1" }, t("wizard.late.title")),
      h("p", {}, t("wizard.late.text", { time: clockTime(attempt.expires_at) })),
      spinner(t("wizard.late.still_waiting")),
      h("div", { class: "buttons" }, windowLink(attempt), startAgain(attempt)),
      amazonCodes(),
      whoConsents(attempt, signal),
    ];
  },
  completing() {
    return [h("h2", { tabindex: "-1" }, t("wizard.completing.title")), spinner(t("wizard.completing.text"))];
  },
  expired(attempt) {
    return [h("h2", { tabindex: "-1" }, t("wizard.expired.title")), h("p", {}, t("wizard.expired.text")), startAgain(attempt), amazonCodes()];
  },
  failed(attempt) {
    const problem = attempt.problem ?? { code: "unknown", title: t("problem.unknown.title"), detail: t("problem.unknown.detail") };
    return [
      h("h2", { tabindex: "-1" }, t("wizard.failed.title")),
      notice("bad", problem.title, h("p", {}, problem.detail), askForHelp(problem)),
      hint(attempt),
      cure(problem, attempt),
    ];
  },
};

/** A link for whoever may consent, and the way that needs no consent. */
function whoConsents(attempt, signal) {
  const target = attempt.reconnects ? { integration_id: attempt.reconnects } : { country: attempt.country };
  return [consentLink(() => target, signal).element, !attempt.reconnects && h("p", {}, h("a", { href: `/integrations/new?source=amazon&country=${attempt.country}&api=none` }, t("wizard.without_api.button")))];
}

/** What the API wants the person to know, such as to sign out of the previous store first. */
function hint(attempt) {
  return attempt.hint && notice("info", attempt.hint.title, h("p", {}, attempt.hint.detail));
}

/** The button that helps, beside the words of the API: another country where the region was wrong, else another try. */
function cure(problem, attempt) {
  if (problem.code === "region_mismatch") return h("div", { class: "buttons" }, rightCountries(problem));
  return startAgain(attempt);
}

function rightCountries(problem) {
  const region = problem.region ? `&region=${encodeURIComponent(problem.region)}` : "";
  const countries = (problem.countries ?? []).slice(0, MOST_COUNTRY_BUTTONS);
  return [
    countries.map((each) =>
      h("a", { href: `/integrations/new?source=amazon&country=${each.country}`, class: "button" }, t("wizard.connect_with", { country: each.name })),
    ),
    h("a", { href: `/integrations/new?source=amazon${region}`, class: countries.length ? "button button-secondary" : "button" }, t("wizard.other_country")),
  ];
}

function againAddress(attempt) {
  if (attempt.reconnects) return `/integrations/${attempt.reconnects}`;
  return `/integrations/new?source=amazon${attempt.country ? `&country=${attempt.country}` : ""}`;
}

function startAgain(attempt) {
  return h("a", { href: againAddress(attempt), class: "button" }, t(attempt.reconnects ? "wizard.back_to_integration" : "wizard.start_again"));
}

function windowLink(attempt) {
  if (!attempt.consent_url) return h("p", { class: "muted" }, t("wizard.began_elsewhere"));
  return h("p", {}, outsideLink(attempt.consent_url, t("wizard.open_amazon"), { class: "button button-secondary" }));
}

function spinner(text) {
  return h("p", { class: "waiting" }, h("span", { class: "spinner", "aria-hidden": "true" }), text);
}

/** What the codes on Amazon's own pages mean; read when somebody asks. */
function amazonCodes() {
  const codes = h("div", { role: "status" });
  const load = async () => {
    try {
      const { items } = await get("/consent-errors");
      replace(codes, h("dl", {}, items.map((error) => h("div", {}, h("dt", {}, isAmazons(error.code) && `${error.code}: `, error.title), h("dd", {}, error.detail)))));
    } catch (problem) {
      showProblem(codes, problem);
    }
  };
  return h(
    "details",
    { class: "amazon-codes", ontoggle: (event) => event.target.open && load() },
    h("summary", {}, t("amazon_code.title")),
    codes,
    h("p", {}, t("amazon_code.plan")),
  );
}

/** For the plan Amazon shows no code; ours tells people nothing. */
const isAmazons = (code) => code !== "INDIVIDUAL_PLAN";
