// Whether a mail is from Amazon: a quiet mark where it is proven, and loud words where it is not.

import { get } from "../core/api.js";
import { h, replace, svg } from "../core/dom.js";
import { actionButton, notice, showProblem } from "../core/elements.js";
import { list } from "../core/format.js";
import { hasText, t } from "../core/i18n.js";
import { loadLater } from "../core/router.js";
import { may } from "../core/session.js";

/** For proven mail: a mark, and what proves it. */
export function authenticMark(message, signal) {
  if (message.authenticity.verdict !== "authentic") return null;
  const shape = svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: "M5 12.5l4.5 4.5L19 7.5" }));
  return h("div", { class: "authentic" }, h("p", { "data-testid": "authentic" }, shape, h("strong", {}, t("authenticity.authentic"))), h("p", {}, t(reasonKey(message.authenticity))), forwarded(message), technical(message, signal));
}

/** That it came by a detour. */
function forwarded(message) {
  const addresses = message.authenticity.sent_to;
  return addresses?.length ? h("p", {}, t("authenticity.forwarded", { addresses: list(addresses) })) : null;
}

/** Not proven: why, what to do, and in the quarantine the way out of it. */
export function authenticityNotice(message, conversation, { signal, reopen }) {
  const { verdict, reason } = message.authenticity;
  if (verdict === "forged" || verdict === "uncheckable" || verdict === "misdirected") {
    const isQuarantined = conversation.status === "quarantine";
    // The DNS may answer at a later check.
    const isTriedAgain = reason === "dns_unavailable";
    const box = notice(
      isQuarantined ? "bad" : "warning",
      t(isQuarantined ? `authenticity.${verdict}.quarantine` : verdict === "misdirected" ? "authenticity.misdirected.released" : "authenticity.released"),
      h("p", {}, t(reasonKey(message.authenticity))),
      sentTo(message),
      isQuarantined && isTriedAgain && h("p", {}, t("authenticity.tried_again")),
      isQuarantined && h("p", {}, t("authenticity.caution")),
      technical(message, signal),
      isQuarantined && reason === "not_addressed_here" && confirmForwarding(message, conversation, { signal }),
      isQuarantined && release(message, { signal, reopen }),
    );
    box.setAttribute("data-testid", "not-authentic");
    if (isQuarantined) box.classList.add("notice-framed");
    return box;
  }
  if (message.from_amazon_domain) return null;
  return notice("warning", t("conversation.not_amazon.title"), h("p", {}, t("conversation.not_amazon.text")));
}

/** A reason that these pages do not know yet is said in general. */
function reasonKey({ verdict, reason }) {
  const key = `authenticity.reason.${reason}`;
  return hasText(key) ? key : `authenticity.${verdict}.text`;
}

/** Whom Amazon's signature names instead of the store. */
function sentTo(message) {
  const addresses = message.authenticity.sent_to;
  return addresses?.length ? h("p", { "data-testid": "sent-to" }, t("authenticity.sent_to", { addresses: list(addresses) })) : null;
}

/** One button for each mailbox that may be the seller's own. */
function confirmForwarding(message, conversation, { signal }) {
  const addresses = (message.authenticity.sent_to ?? []).slice(0, 3);
  if (!addresses.length) return null;
  if (!may("general.admin", "edit")) return h("p", { class: "muted" }, t("forwarding.not_allowed"));
  const problemPlace = h("div", { class: "place" });
  const ask = (address) => tried(problemPlace, async ({ confirmMailbox }) => {
    if (await confirmMailbox(address, conversation.integration.id, signal)) replace(problemPlace, notice("good", null, h("p", {}, t("forwarding.confirmed"))));
  });
  const buttons = addresses.map((address) => actionButton(t("forwarding.confirm.button", { address }), () => ask(address), { class: "button button-secondary" }));
  return [h("div", { class: "buttons" }, buttons), problemPlace];
}

function release(message, { signal, reopen }) {
  if (!may("inbox.messages", "edit")) return h("p", { class: "muted" }, t("release.not_allowed"));
  const problemPlace = h("div", { class: "place" });
  const ask = () => tried(problemPlace, ({ releaseMessage }) => releaseMessage(message.id, { signal, reopen }));
  return [actionButton(t("release.button"), ask, { class: "button button-danger" }), problemPlace];
}

/** Few have anything in quarantine. */
async function tried(problemPlace, work) {
  try {
    await work(await loadLater(() => import("./quarantine_dialogs.js")));
  } catch (problem) {
    showProblem(problemPlace, problem);
  }
}

/** What was found when it was checked, for those who can read it (RFC 8601); read when somebody asks. */
function technical(message, signal) {
  const place = h("div", { role: "status" });
  async function load() {
    try {
      const { authentication_results: results } = await get(`/messages/${message.id}`, signal);
      replace(place, results ? h("code", { class: "code" }, results) : h("p", { class: "muted" }, t("authenticity.no_results")));
    } catch (problem) {
      showProblem(place, problem);
    }
  }
  return h("details", { class: "technical", ontoggle: (event) => event.target.open && load() }, h("summary", {}, t("authenticity.technical")), place);
}
