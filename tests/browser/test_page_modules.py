"""What the pages' own modules decide without a page: the order of a thread, and the hour at which something is sent later."""

from playwright.async_api import Page, expect

from services.connector.http.language import Language
from services.connector.marketplaces.countries import country_name
from shared.marketplaces import MARKETPLACES
from tests.browser.steps import Site, open_signed_in

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
    await open_signed_in(page, "/inbox")  # the zone is Europe/Berlin
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


_MEANT: dict[str, str] = {
    "": "", "  ": "", "Germany": "DE", "germ": "DE", "Deutschland": "DE", "us": "US", "USA": "US", "u.s.a.": "US",
    "United States of America": "US", "uk": "GB", "England": "GB", "Großbritannien": "GB", "grossbritannien": "GB",
    "Holland": "NL", "the Netherlands": "NL", "Turkey": "TR", "Türkei": "TR", "tuerkei": "TR", "Türkiye": "TR",
    "uae": "AE", "emirat": "AE", "Aegypten": "EG", "Egypt": "EG", "south-africa": "ZA", "España": "ES", "espana": "ES",
    "日本": "JP", "vereinigte": "US GB AE", "Schweiz": "", "an": "",
}  # fmt: skip


async def test_a_country_is_found_by_every_name_that_people_give_it(page: Page):
    await page.goto("/sign-in")
    for language in Language:
        items = [
            {"country": each.country, "name": country_name(each.country, language)} for each in MARKETPLACES
        ]

        found: list[str] = await page.evaluate(
            """async ([items, queries]) => {
                const { meantCountries } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/country_search.js"));
                const everyName = items.map(({ name }) => meantCountries(items, name).join(" "));
                return [...queries.map((query) => meantCountries(items, query).join(" ")), ...everyName];
            }""",
            [items, list(_MEANT)],
        )

        assert found == [*_MEANT.values(), *(each["country"] for each in items)], language


async def test_the_likely_countries_are_found_too_and_enter_in_an_empty_search_chooses_nothing(page: Page):
    await open_signed_in(page, "/integrations/new?source=amazon")
    await page.get_by_text("Anderes Land", exact=True).click()
    search = page.get_by_label("Land suchen")
    await search.press("Enter")
    await expect(page.locator("input[name=country]:checked")).to_have_count(0)

    await search.fill("Germany")
    await expect(page.get_by_role("radio", name="Deutschland", exact=True)).to_have_count(2)
    await search.press("Enter")
    await search.fill("Schweiz")
    await expect(page.get_by_text("Unter diesem Namen ist kein Land dabei")).to_be_visible()
    await expect(page.get_by_role("radio", name="Deutschland", exact=True)).to_be_checked()
    await search.fill("")
    await expect(page.get_by_role("radio", name="Spanien", exact=True)).to_be_visible()
    await expect(page.get_by_role("radio", name="Deutschland", exact=True)).to_have_count(1)
