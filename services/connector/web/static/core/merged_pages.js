// Several lists of the API, each with pages of its own and its newest first, as one list in the order of time.

/**
 * Each source is `{ load(cursor), timeOf(item), wrap(item) }`. Returns a `load(cursor)` as paged_list.js wants it. A page ends where an older page of a
 * source would have to be read to know what comes next, so nothing that is shown moves when older items are loaded.
 */
export function mergedPages(sources) {
  return async function load(cursor) {
    const parts = cursor ?? sources.map((source) => ({ source, next: null, isOpen: true, items: [] }));
    const filled = await Promise.all(parts.map(fill));
    const items = [];
    while (filled.every((part) => part.items.length || !part.isOpen)) {
      const newest = newestOf(filled);
      if (!newest) break;
      items.push(newest.source.wrap(newest.items.shift()));
    }
    return { items, next_cursor: filled.some((part) => part.isOpen || part.items.length) ? filled : null };
  };
}

/** The part with something of another page, if it has nothing left of the one before. A page may be empty and not the last. */
async function fill(part) {
  let { items, next, isOpen } = part;
  while (!items.length && isOpen) {
    const page = await part.source.load(next);
    items = page.items;
    next = page.next_cursor;
    isOpen = Boolean(next);
  }
  return { source: part.source, items: [...items], next, isOpen };
}

function newestOf(parts) {
  const filled = parts.filter((part) => part.items.length);
  return filled.reduce((best, part) => (best && timeOf(best) >= timeOf(part) ? best : part), null);
}

const timeOf = (part) => new Date(part.source.timeOf(part.items[0])).getTime();
