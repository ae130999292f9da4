// The list of conversations as it was read so far: page by page, each by its cursor, so that a page can be read again where something in it
// has changed, however long the list is.

// The first one is small, so that it is there soon.
const FIRST_PAGE = 50;
const MOST = 100;
// A page that has fewer takes what the one before it has no room for.
const ROOM = 50;

const KEYS = { newest: (item) => -Date.parse(item.last_message_at), due: (item) => Date.parse(item.answer_due_at) };

/** `load(cursor, limit)` gets a page; `sort()` is "newest" or "due". Reads answer false if a later `start` has overtaken them. */
export function conversationPages({ load, sort }) {
  let pages = [];
  let starts = 0;
  let more = null;

  const isBeyond = (item, end) => {
    const key = KEYS[sort()];
    return key(item) > key(end) || (key(item) === key(end) && (sort() === "newest" ? item.id < end.id : item.id > end.id));
  };

  /** Reads the list from its beginning. */
  async function start() {
    starts += 1;
    const mine = starts;
    pages = [];
    more = null;
    const page = await load(null, FIRST_PAGE);
    if (mine !== starts) return false;
    pages = [{ cursor: null, items: page.items, next: page.next_cursor }];
    return true;
  }

  /** Reads the next page; whoever asks meanwhile waits for the same one. */
  function readMore() {
    more ??= readNext().finally(() => (more = null));
    return more;
  }

  async function readNext() {
    const mine = starts;
    const cursor = pages.at(-1)?.next;
    if (!cursor) return false;
    const page = await load(cursor, MOST);
    if (mine !== starts) return false;
    pages.push({ cursor, items: page.items, next: page.next_cursor });
    return true;
  }

  /** Reads the first page again, and those in which these conversations are. */
  async function refresh(ids) {
    await more?.catch(() => {});
    const mine = starts;
    // Nothing was read yet.
    if (!pages.length) return false;
    const changed = pages.filter((page, index) => index === 0 || page.items.some(({ id }) => ids.has(id)));
    for (const page of changed) if (pages.includes(page) && !(await readAgain(page, mine))) return false;
    return true;
  }

  async function readAgain(page, mine) {
    const read = await load(page.cursor, MOST);
    if (mine !== starts) return false;
    const index = pages.indexOf(page);
    const following = read.next_cursor ? pages[index + 1] : null;
    const end = page.items.at(-1);
    if (!following || !end) {
      // Where the list ends now, nothing follows.
      if (!read.next_cursor) pages.length = index + 1;
      if (index === pages.length - 1) page.next = read.next_cursor;
      page.items = read.items;
      return true;
    }
    page.items = read.items.filter((item) => !isBeyond(item, end));
    if (page.items.length < read.items.length || page.items.at(-1)?.id === end.id) return true;
    return readAgain(roomAfter(index, end, read.next_cursor), mine);
  }

  /** The page that takes what has no place any more in the one before it, up to `end`. */
  function roomAfter(index, end, cursor) {
    const following = pages[index + 1];
    if (following.items.length < ROOM) return Object.assign(following, { cursor });
    const between = { cursor, items: [end], next: null };
    pages.splice(index + 1, 0, between);
    return between;
  }

  /** All that was read, each once: what has moved up is where it is now. */
  function items() {
    const known = new Map();
    for (const page of pages) for (const item of page.items) if (!known.has(item.id)) known.set(item.id, item);
    return [...known.values()];
  }

  /** Whether what was read goes as far as this conversation is, if it is in the list at all. */
  function reach(conversation) {
    const end = pages.at(-1)?.items.at(-1);
    return !end || !isBeyond(conversation, end);
  }

  return { start, readMore, refresh, items, reach, hasMore: () => Boolean(pages.at(-1)?.next) };
}
