"""The question whether a page helped: answered with the keyboard, sent once, and said if it did not arrive."""

from playwright.async_api import Page, Route, expect


async def test_an_answer_that_fails_is_said_and_kept_to_try_again(page: Page):
    await page.goto("/connect/problem/attempt_expired")
    question = page.get_by_role("group", name="War dieser Hilfeartikel hilfreich?")
    sent: list[object] = []

    async def fail(route: Route) -> None:
        await route.abort()

    async def pass_on(route: Route) -> None:
        sent.append(route.request.post_data_json)
        await route.continue_()

    await page.route("**/api/v1/page-feedback", fail)
    await question.get_by_role("button", name="Nein").focus()
    await page.keyboard.press("Enter")

    await expect(question.get_by_role("alert")).to_contain_text("noch einmal versuchen")

    await page.unroute("**/api/v1/page-feedback")
    await page.route("**/api/v1/page-feedback", pass_on)
    await question.get_by_role("button", name="Nein").press("Enter")

    await expect(question.get_by_role("status")).to_be_focused()
    await expect(question.get_by_role("status")).to_have_text(
        "Danke. Wir sehen uns diese Seite noch einmal an."
    )
    await expect(question.get_by_role("button")).to_have_count(0)
    await expect(question.get_by_role("alert")).to_have_count(0)
    assert sent == [{"page": "attempt_expired", "language": "de", "helpful": False}]
