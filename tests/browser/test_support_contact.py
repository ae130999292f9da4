"""Where people ask for help, on the pages that say what went wrong."""

from playwright.async_api import Page, Route, expect


async def test_a_page_of_what_went_wrong_leads_to_help_if_there_is_some(page: Page):
    async def with_contact(route: Route) -> None:
        answer = await route.fetch()
        told = '<meta name="support-contact" content="mailto:help@example.com"></head>'
        await route.fulfill(response=answer, body=(await answer.text()).replace("</head>", told))

    await page.goto("/connect/problem/unknown")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.locator("a[href^=mailto]")).to_have_count(0)

    await page.route("**/connect/problem/unknown", with_contact)
    await page.reload()

    await expect(page.get_by_role("main").get_by_role("link", name="help@example.com")).to_be_visible()
    await expect(page.get_by_role("banner").locator("a[href='mailto:help@example.com']")).to_be_visible()
