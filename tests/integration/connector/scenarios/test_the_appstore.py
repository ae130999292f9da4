"""A seller who presses Authorize in Amazon's Appstore: with the genuine address he is asked, with a forged one he goes nowhere."""

import httpx2

from services.sandbox.state.scenarios import CALLBACK_URIS
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import LAMPENLADEN, Amazon, arrive
from tests.no_tls import NO_AUTHORITIES

EUROPE = "sellercentral-europe.amazon.com"
GENUINE = {"callback-uri-relative"}


async def press_authorize(amazon: Amazon) -> str:
    """In the Appstore, as the Lampenladen. Where Amazon sends the browser."""
    async with httpx2.AsyncClient(
        verify=NO_AUTHORITIES, base_url=f"{amazon.url}/{EUROPE}", trust_env=False
    ) as browser:
        await browser.post("/ap/signin", data={"seller_id": LAMPENLADEN})
        answer = await browser.post("/apps/store")
    location: str = answer.headers["location"]
    return location


async def test_a_forged_address_of_amazon_leads_nowhere_and_a_genuine_one_to_a_question(
    signed_in: SignedIn, amazon: Amazon
):
    for scenario in CALLBACK_URIS:
        amazon.state.scenarios.switch_on(scenario, count=1)
        answer = await arrive(signed_in.client, await press_authorize(amazon))
        if scenario in GENUINE:
            assert answer.status_code == 303, scenario
        else:
            assert (answer.status_code, "location" in answer.headers) == (400, False), scenario

    answer = await arrive(signed_in.client, await press_authorize(amazon))

    question = await arrive(signed_in.client, answer.headers["location"])
    assert LAMPENLADEN in question.text


async def test_a_draft_is_asked_about_like_a_published_application(signed_in: SignedIn, amazon: Amazon):
    amazon.state.scenarios.switch_on("draft")

    location = await press_authorize(amazon)

    assert httpx2.URL(location).params["version"] == "beta"
    assert (await arrive(signed_in.client, location)).status_code == 303
