// Starts the pages: registers their addresses, draws the header, loads language and session.

import { apiState, checkNetwork, Problem, proveBy } from "./core/api.js";
import { h, replace } from "./core/dom.js";
import { announce, notice, pageHeading, problemTexts } from "./core/elements.js";
import { eventsSeen, followed, resync } from "./core/events.js";
import { keepFocus } from "./core/focus.js";
import { browserLanguage, language, t, useLanguage } from "./core/i18n.js";
import { released } from "./core/pressed.js";
import { loadPage, navigate, route, showCurrent, startRouter } from "./core/router.js";
import { chooseLanguage, forgetSession, loadSession, may, needsSecondFactor, signedIn, signOut } from "./core/session.js";
import { supportLine, supportLink } from "./core/support.js";
import { keepTypedInput, noteUnsaved } from "./core/typed_input.js";
import { drawAmazonPause } from "./pages/amazon_pause.js";
import { failedCount } from "./pages/failed_count.js";
import { hasSettings } from "./pages/settings.js";

const main = document.getElementById("main");
const header = document.getElementById("header");
let whenOnline = null;
const network = document.getElementById("network");

route("/", "start");
route("/sign-in", "sign_in", { isPublic: true });
route("/sign-in/confirmed", "confirmed", { isPublic: true });
route("/sign-in/company/:account_id", "sign_in", { isPublic: true });
route("/forgot-password", "forgot_password", { isPublic: true });
route("/reset-password", "reset_password", { isPublic: true });
route("/invitation", "invitation", { isPublic: true });
route("/account-closed", "account_closed", { isPublic: true });
route("/profile", "profile");
route("/integrations", "integrations");
route("/integrations/new", "wizard");
route("/integrations/:integration_id", "integrations");
route("/connect/problem/:code", "connect_problem", { isPublic: true });
route("/connect/link/:link", "connect_link");
route("/connect/:attempt_id", "connect");
route("/inbox", "inbox");
route("/inbox/:conversation_id", "inbox");
route("/replies", "replies");
route("/orders", "orders");
route("/orders/:order_row_id", "orders");
route("/settings", "settings");
route("/settings/users", "users");
route("/settings/api-keys", "api_keys");
route("/settings/webhooks", "webhooks");
route("/settings/audit-log", "audit_log");
route("/settings/read-log", "read_log");
route("/settings/retention", "retention");
route("/settings/templates", "reply_templates");
route("/settings/tags", "tags");
route("/settings/account", "account");
route("/settings/security", "security");
route("/settings/company-account", "single_sign_on");

async function display(found, query, controller, isFirst) {
  const { signal } = controller;
  if (!found.isPublic && !signedIn()) return goToSignIn();
  if (!found.isPublic && needsSecondFactor() && found.name !== "profile") return navigate("/profile", { replace: true });
  drawHeader();
  main.setAttribute("aria-busy", "true");
  const content = h("div", { class: "page" });
  try {
    const [page] = await Promise.all([loadPage(found.name), signedIn() && !needsSecondFactor() && isFirst && followed()]);
    if (signal.aborted) return null;
    main.className = `main main-${page.width ?? "wide"}`;
    const seen = eventsSeen();
    const change = await page.show({ main: content, params: found.params, query, signal });
    if (signal.aborted) return null;
    showContent(content);
    if (eventsSeen() !== seen) resync();
    if (!isFirst) focusHeading();
    main.querySelector("[data-autofocus]")?.focus();
    return change;
  } catch (problem) {
    if (signal.aborted) return null;
    controller.abort();
    await showPageProblem(problem);
    return null;
  }
}

async function showPageProblem(problem) {
  if (problem instanceof Problem && problem.status === 401) return;
  const content = h("div", { class: "page" });
  const notFound = problem.status === 404 && (await loadPage("not_found").catch(() => null));
  if (notFound) {
    notFound.show({ main: content });
  } else {
    const tryAgain = () => (problem.fields?.needsReload ? reloadWhenThere() : showCurrent({ again: true }));
    whenOnline = problem.status === 0 ? tryAgain : null;
    const again = h("button", { type: "button", class: "button", onclick: tryAgain }, t("common.try_again"));
    const home = h("a", { href: "/", class: "button" }, t("not_found.home"));
    const { title, detail, code } = problemTexts(problem);
    const box = notice("bad", null, h("p", {}, detail), problem.status === 403 ? home : again, code && h("p", { class: "code" }, code), problem.status === 403 ? null : supportLine());
    replace(content, pageHeading(title), box);
  }
  showContent(content);
  focusHeading();
}

/** A document that is loaded while the network is away is lost to the browser's own page of errors, which does not try again. */
async function reloadWhenThere() {
  if (await checkNetwork()) location.reload();
  else whenOnline = reloadWhenThere;
}

function showContent(content) {
  replace(main, content);
  main.removeAttribute("aria-busy");
}

function focusHeading() {
  const heading = main.querySelector("h1");
  (heading ?? main).focus({ preventScroll: true });
  scrollTo(0, 0);
}

function goToSignIn() {
  const target = location.pathname + location.search;
  const next = target === "/" ? "" : `?next=${encodeURIComponent(target)}`;
  return navigate(`/sign-in${next}`, { replace: true });
}

function drawHeader() {
  document.getElementById("skip-link").textContent = t("header.skip");
  replace(header, h("a", { href: "/", class: "brand" }, "Replyco"), signedIn() && !needsSecondFactor() && navigation(), personalMenu());
  rowOfLinks.disconnect();
  for (const each of header.querySelectorAll(".navigation li")) rowOfLinks.observe(each);
  if (!needsSecondFactor()) drawAmazonPause();
}

// Also once a number has come to a link, and the row has grown.
const rowOfLinks = new ResizeObserver(showWhereOneIs);

/** On a phone the row of links is longer than the screen: the one that one is at lies in the middle of what is seen. */
function showWhereOneIs() {
  const here = header.querySelector(".navigation [aria-current]");
  const row = here?.closest("ul");
  if (row) row.scrollLeft = here.offsetLeft + (here.offsetWidth - row.clientWidth) / 2;
}

function navigation() {
  const link = (address, label, more) => {
    const isHere = location.pathname === address || location.pathname.startsWith(`${address}/`);
    return h("li", {}, h("a", { href: address, "aria-current": isHere ? "page" : null }, label, more));
  };
  return h(
    "nav",
    { "aria-label": t("header.navigation"), class: "navigation" },
    h(
      "ul",
      {},
      may("inbox.messages", "view") && link("/inbox", t("header.inbox")),
      may("inbox.orders", "view") && link("/orders", t("header.orders")),
      may("inbox.messages", "view") && link("/replies", t("header.failed"), failedCount()),
      may("general.admin", "view") && link("/integrations", integrationsLabel()),
      hasSettings() && link("/settings", t("header.settings")),
    ),
  );
}

/** "Admin → Integrations": where there is little room, only the last word is seen. */
function integrationsLabel() {
  const [path, word] = t("header.integrations").split(/(?<=→ )/);
  return [h("span", { class: "header-more" }, path), word];
}

/** "+ Add integration": where there is little room, only the sign is seen. */
function addLabel() {
  const sign = t("integrations.add").slice(0, 1);
  return [sign, h("span", { class: "header-more" }, t("integrations.add").slice(1))];
}

function personalMenu() {
  const other = language() === "de" ? "en" : "de";
  const otherName = { de: "Deutsch", en: "English" }[other];
  const languageButton = h("button", { type: "button", class: "link-button", lang: other, onclick: () => switchLanguage(other) }, h("span", { class: "header-word" }, otherName), h("span", { class: "header-short", "aria-hidden": "true" }, other.toUpperCase()));
  const signOutButton = h("button", { type: "button", class: "link-button", onclick: leave }, t("header.sign_out"));
  const add = !needsSecondFactor() && may("general.admin", "edit") && h("a", { href: "/integrations/new", class: "button button-small header-add" }, addLabel());
  const user = signedIn()?.user;
  const isHere = location.pathname === "/profile";
  const name = user && h("a", { href: "/profile", class: "personal-name", title: user.name, "aria-current": isHere ? "page" : null }, h("span", { class: "visually-hidden" }, `${t("profile.title")}: `), user.name);
  return h("div", { class: "personal" }, add, name, supportLink(t("support.link")), languageButton, user && signOutButton);
}

async function switchLanguage(wanted) {
  const putBack = noteUnsaved(main);
  try {
    await chooseLanguage(wanted);
  } catch (problem) {
    // The page has the language already; only saving it with the user has failed, and the banner says why.
    if (!(problem instanceof Problem)) throw problem;
  }
  await showCurrent({ again: true });
  putBack();
  header.querySelector(".personal button")?.focus();
}

async function leave() {
  try {
    await signOut();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    announce(t("header.sign_out_failed"));
    return;
  }
  await navigate("/sign-in");
}

// Few who look at a page come to the dialog.
proveBy(async () => (await import("./core/reauthentication.js")).proveWhoIsThere());
// Whoever has left a page waits for nothing that it has asked.
addEventListener("unhandledrejection", (event) => event.reason?.name === "AbortError" && event.preventDefault());
apiState.addEventListener("signed-out", () => {
  if (!signedIn()) return;
  forgetSession();
  goToSignIn();
});
apiState.addEventListener("second-factor-needed", async () => {
  if (!signedIn() || needsSecondFactor()) return;
  await loadSession();
  await navigate("/profile", { replace: true });
});
/** It moves all that is below it. */
async function drawNetwork(text) {
  await released();
  replace(network, text && h("p", {}, text));
}

apiState.addEventListener("offline", () => drawNetwork(t("network.away")));
apiState.addEventListener("online", () => {
  drawNetwork(null);
  resync();
  const again = whenOnline;
  whenOnline = null;
  again?.();
});

const texts = useLanguage(browserLanguage());
try {
  await loadSession();
} catch (problem) {
  // Nobody is signed in, or the API is away: the sign-in page and the banner say so.
  if (!(problem instanceof Problem)) throw problem;
}
await texts;
keepFocus(main);
keepTypedInput();
await startRouter(display);
