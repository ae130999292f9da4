"""What the pages' own modules decide without a page: the order of a thread, and the hour at which something is sent later."""

from playwright.async_api import Page

from tests.browser.steps import Site, sign_in

_LOAD_ALL = """async ([lists, size]) => {
    const { mergedPages } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/merged_pages.js"));
    const source = (times) => ({
        load: async (cursor) => {
            const from = cursor ?? 0;
            const items = times.slice(from, from + size).map((at) => ({ at }));
            return { items, next_cursor: from + size < times.length ? from + size : null };
        },
        timeOf: ({ at }) => new Date(at * 1000),
        wrap: ({ at }) => at,
    });
    const load = mergedPages(lists.map(source));
    const pages = [];
    let cursor = null;
    do {
        const page = await load(cursor);
        pages.push(page.items);
        cursor = page.next_cursor;
    } while (cursor && pages.length < 50);
    return pages;
}"""


_LISTS: list[list[list[int]]] = [
    [[], [], []],
    [[9, 5, 1], [], []],
    [[9, 7, 5, 3, 1], [8, 6, 4, 2], [10]],
    [[9, 8, 7, 6, 5], [4, 3, 2, 1], []],
    [[1], [9, 8, 7, 6, 5, 4, 3], [2]],
]


async def test_lists_are_merged_by_time_and_nothing_older_ever_comes_before_what_is_shown(page: Page):
    await page.goto("/sign-in")

    for lists in _LISTS:
        pages: list[list[int]] = await page.evaluate(_LOAD_ALL, [lists, 2])

        shown = [at for each in pages for at in each]
        assert shown == sorted((at for each in lists for at in each), reverse=True)
        assert all(len(each) <= 2 * len(lists) for each in pages)


async def test_a_time_is_that_of_the_users_zone_also_when_clocks_change(page: Page, site: Site):
    await sign_in(page, "/inbox")  # the zone is Europe/Berlin
    clocks = {
        "2026-11-30T08:00": "2026-11-30T07:00:00.000Z",
        "2026-07-01T08:00": "2026-07-01T06:00:00.000Z",
        "2026-03-29T01:59": "2026-03-29T00:59:00.000Z",
        "2026-03-29T03:00": "2026-03-29T01:00:00.000Z",
        "2026-10-25T01:59": "2026-10-24T23:59:00.000Z",
        "2026-10-25T03:00": "2026-10-25T02:00:00.000Z",
    }

    moments = await page.evaluate(
        """async (clocks) => {
            const { momentOf, wallClockOf } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/format.js"));
            return clocks.map((clock) => [momentOf(clock).toISOString(), wallClockOf(momentOf(clock))]);
        }""",
        list(clocks),
    )

    assert moments == [[moment, clock] for clock, moment in clocks.items()]
