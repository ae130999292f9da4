// The page of a link by which a colleague, or a program, asks somebody to consent at Amazon.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { actionButton, notice, pageHeading, problemTexts, showProblem } from "../core/elements.js";
import { date, dateTime, list, shortTime } from "../core/format.js";
import { t } from "../core/i18n.js";
import { navigate } from "../core/router.js";
import { signedIn, signOut } from "../core/session.js";
import { authorizeAtAmazon } from "./authorize.js";

export const width = "narrow";

export async function show({ main, params, signal }) {
  let asked;
  try {
    asked = await get(`/authorization-links/${encodeURIComponent(params.link)}`, signal);
  } catch (problem) {
    if (![403, 404, 410].includes(problem.status)) throw problem;
    return replace(main, refused(problem));
  }
  if (asked.authorized) return replace(main, spent(asked));
  const since = asked.authorized_since;
  const { begun } = asked;
  const isDoubtful = since.length > 0 || begun.length > 0;
  const problemPlace = h("div", { class: "place" });
  const click = () => authorizeAtAmazon({ link: params.link }, { button, problemPlace, signal });
  const button = h("button", { type: "button", class: isDoubtful ? "button button-secondary" : "button", onclick: click }, t(isDoubtful ? "consent_link.again" : "wizard.authorize"));
  return replace(
    main,
    pageHeading(t("consent_link.page")),
    wish(asked),
    since.length > 0 && notice("good", null, h("p", {}, t("consent_link.since", { stores: list(since.map((each) => `${nameOf(each)} (${dateTime(each.consented_at)})`)) }))),
    begun.length > 0 && notice("warning", null, h("p", {}, t("consent_link.begun", { who: list(begun.map((each) => `${each.name ?? t("consent_link.somebody")} (${shortTime(each.begun_at)})`)) }))),
    h("p", {}, t("consent_link.primary")),
    problemPlace,
    button,
    h("p", { class: "muted" }, t("consent_link.until", { date: asked.asked_by_program ? dateTime(asked.expires_at) : date(asked.expires_at) })),
  );
}

const nameOf = (store) => store.name ?? t("integrations.unnamed");

/** What was authorized by the link, which starts nothing any more. */
function spent({ integration_id: integrationId, authorized }) {
  const said = { name: nameOf(authorized), time: dateTime(authorized.consented_at) };
  return [pageHeading(t("consent_link.done.title")), notice("good", null, h("p", {}, t(integrationId ? "consent_link.done.text" : "consent_link.done.connected", said)))];
}

/** Who asks, and for what. */
function wish(asked) {
  const what = asked.integration_id ? t("consent_link.integration", { name: asked.integration_name ?? t("integrations.unnamed") }) : t("consent_link.country", { country: asked.country_name });
  const who = asked.asked_by_program ? "consent_link.asked_by_program" : asked.asked_by ? "consent_link.asked" : "consent_link.asked_by_nobody";
  return notice("info", null, h("p", {}, t(who, { name: asked.asked_by ?? "" }), " ", h("strong", {}, what)));
}

/** A link that leads nowhere for whoever is signed in: it may be somebody else's, and that is helped by signing in as somebody else. */
function refused(problem) {
  const isGone = problem.code === "not_found";
  const { title, detail } = isGone ? { title: t("consent_link.gone.title"), detail: t("consent_link.gone.text") } : problemTexts(problem);
  const isForAnother = problem.code === "link_unknown" || problem.status === 403;
  const problemPlace = h("div", { class: "place" });
  const switchUser = () => signInAsAnother().catch((failure) => showProblem(problemPlace, failure));
  return [
    pageHeading(title),
    notice(isGone ? "info" : "warning", null, h("p", {}, detail)),
    isForAnother && [h("p", {}, t("consent_link.signed_in_as", { name: signedIn().user.email })), problemPlace, actionButton(t("consent_link.switch"), switchUser)],
  ];
}

async function signInAsAnother() {
  const target = location.pathname;
  await signOut();
  await navigate(`/sign-in?next=${encodeURIComponent(target)}`, { replace: true });
}
