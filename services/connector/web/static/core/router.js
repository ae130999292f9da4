// Finds the page for an address. A page is a module with show(context); whatever it starts ends when context.signal is aborted.

const routes = [];
let shown = null;

/** Registers the page for an address pattern such as /inbox/:conversation_id. */
export function route(pattern, page, options = {}) {
  const names = [];
  const expression = pattern.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  routes.push({ expression: new RegExp(`^${expression}/?$`), names, page, isPublic: options.isPublic ?? false });
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
  addEventListener("popstate", () => showCurrent());
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!match(link.pathname)) return;
    event.preventDefault();
    const state = JSON.parse(link.closest("[data-state]")?.dataset.state ?? "{}");
    navigate(link.pathname + link.search, { state });
  });
  return showCurrent({ isFirst: true });
}

/** Shows the page of the present address. A page that returned a `change` function is not started again, but called with its new parameters. */
export async function showCurrent({ isFirst = false, again = false } = {}) {
  const found = match(location.pathname) ?? { page: null, params: {}, isPublic: true };
  const query = new URLSearchParams(location.search);
  if (!again && shown && shown.page === found.page && shown.change) {
    await shown.change(found.params, query);
    return;
  }
  shown?.controller.abort();
  const controller = new AbortController();
  const entry = { page: found.page, controller, change: null };
  shown = entry;
  const change = await display(found, query, controller, isFirst);
  if (shown === entry) entry.change = change ?? null;
}
