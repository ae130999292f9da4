// Addresses to pages. A page is a module with show(context); what it starts ends with context.signal.

const routes = [];
let shown = null;

/** Names the page of an address pattern such as /inbox/:conversation_id. */
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
    // Ids and codes need no decoding; what does is no address of ours and answers "not found" at the API.
    const params = Object.fromEntries(candidate.names.map((name, index) => [name, found[index + 1]]));
    return { ...candidate, params };
  }
  return null;
}

/** Goes to an address of ours. */
export function navigate(address, { replace = false, state = {} } = {}) {
  history[replace ? "replaceState" : "pushState"](state, "", address);
  return showCurrent();
}

let display = () => {};

/**
 * Starts: links of ours and the browser's back button lead to `display(found, query, controller, isFirst)`; aborting the controller ends the page.
 * What a link takes along in history.state stands as JSON in `data-state`, its own or that of what it lies in.
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

/** Shows what the address names now; the same page may take a change of its parameters without starting again. */
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
