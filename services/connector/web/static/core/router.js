// Finds the page for an address. A page is a module of ../pages with show(context), loaded with its texts when it is first wanted; whatever it
// starts ends when context.signal is aborted.

import { Problem } from "./api.js";
import { loadTexts } from "./i18n.js";

const TREE = /\/static\/[0-9a-f]+\//;
const RELOADED_FOR = "replyco.reloaded_for";

const routes = [];
let shown = null;

/** Registers a page for an address pattern such as /inbox/:conversation_id: "inbox" is the module ../pages/inbox.js. */
export function route(pattern, name, options = {}) {
  const names = [];
  const expression = pattern.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  routes.push({ expression: new RegExp(`^${expression}/?$`), names, name, isPublic: options.isPublic ?? false });
}

/** The route of a path, with its parameters. */
export function match(path) {
  for (const candidate of routes) {
    const found = candidate.expression.exec(path);
    if (!found) continue;
    // Ids and codes need no decoding. An address that does is none of ours: the API answers "not found".
    const params = Object.fromEntries(candidate.names.map((name, index) => [name, found[index + 1]]));
    return { ...candidate, params };
  }
  return null;
}

/** The module of a page, once it and its texts are there. Throws a Problem if they cannot be had. */
export async function loadPage(name) {
  const [page] = await loadLater(() => Promise.all([import(`../pages/${name}.js`), loadTexts(name)]));
  return page;
}

/** What `load()` resolves to, which imports a script. If it cannot be had, that is told as any request that the network took. */
export async function loadLater(load) {
  try {
    return await load();
  } catch (error) {
    await reloadAfterRelease();
    console.warn(error);
    // Browsers remember that a module could not be had: only loading the document again asks for it anew.
    throw new Problem(0, { code: "network_away", needsReload: true });
  }
}

/** After a new release the scripts of the one before are gone. The document then names others, and is loaded once for these. */
async function reloadAfterRelease() {
  const answer = await fetch("/sign-in", { cache: "no-store" }).catch(() => null);
  const named = answer?.ok && TREE.exec(await answer.text())?.[0];
  if (!named || import.meta.url.includes(named) || sessionStorage.getItem(RELOADED_FOR) === named) return;
  sessionStorage.setItem(RELOADED_FOR, named);
  location.reload();
  await new Promise(() => {});
}

/** Goes to an address of these pages. */
export function navigate(address, { replace = false, state = {} } = {}) {
  history[replace ? "replaceState" : "pushState"](state, "", address);
  return showCurrent();
}

let display = () => {};

/**
 * Starts the router: links to these pages and the browser's back button call `display(found, query, controller, isFirst)`.
 * Aborting the controller ends the page. A link puts the JSON in its own `data-state`, or in that of the nearest element
 * around it, into history.state.
 */
export function startRouter(callback) {
  display = callback;
  addEventListener("popstate", () => {
    // What was asked on the page before concerns that page.
    for (const dialog of document.querySelectorAll("dialog[data-asks]")) dialog.close();
    showCurrent();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname && link.search === location.search) return goToFragment(event, link.hash);
    if (!match(link.pathname)) return;
    event.preventDefault();
    const state = JSON.parse(link.closest("[data-state]")?.dataset.state ?? "{}");
    navigate(link.pathname + link.search, { state });
  });
  return showCurrent({ isFirst: true });
}

/** Goes to a place within the page, as a browser would, but leaves the address alone: going back leads to the page before. */
function goToFragment(event, hash) {
  const place = document.getElementById(hash.slice(1));
  if (!place) return;
  event.preventDefault();
  if (!place.matches("a[href], button, input, select, textarea, [tabindex]")) place.tabIndex = -1;
  place.focus();
  place.scrollIntoView();
}

/** Shows the page of the present address. A page that returned a `change` function is not started again, but called with its new parameters. */
export async function showCurrent({ isFirst = false, again = false } = {}) {
  const found = match(location.pathname) ?? { name: "not_found", params: {}, isPublic: true };
  const query = new URLSearchParams(location.search);
  if (!again && shown && shown.name === found.name && shown.change) {
    const { href } = location;
    try {
      return await shown.change(found.params, query);
    } catch (problem) {
      // The page is started anew and says what is wrong, unless somebody has gone elsewhere in the meantime.
      if (problem.name === "AbortError") return null;
      if (!(problem instanceof Problem)) throw problem;
      if (location.href !== href) return null;
    }
  }
  shown?.controller.abort();
  const controller = new AbortController();
  const entry = { name: found.name, controller, change: null };
  shown = entry;
  const change = await display(found, query, controller, isFirst);
  if (shown === entry) entry.change = change ?? null;
  return null;
}
