"""Sign-in at each Seller Central host."""

import httpx2

from tests.integration.sandbox.conftest import EUROPE, Seller

CONSENT = f"{EUROPE}/apps/authorize/consent"


async def test_session_of_one_seller_central_is_none_at_another(seller: Seller) -> None:
    await seller.sign_in()

    answer = await seller.client.get(
        "/sellercentral.amazon.com/apps/authorize/consent", params=seller.consent_fields()
    )

    assert answer.status_code == 303


async def test_sign_in_never_leads_to_another_site(seller: Seller) -> None:
    for target in ("https://evil.example/", "//evil.example/", f"{EUROPE}.evil.example/", f"{EUROPE}/\\evil"):
        form = {"seller_id": "A1LAMPENLADEN7", "return_to": target}
        answer = await seller.client.post(f"{EUROPE}/ap/signin", data=form)
        assert answer.headers["location"] == f"{EUROPE}/"


async def test_unknown_hosts_are_not_found(client: httpx2.AsyncClient) -> None:
    for path in ("/sellercentral.amazon.evil/", "/api.amazon.co.uk/auth/o2/token", "/amazon.com/apps/manage"):
        assert (await client.get(path)).status_code == 404


async def test_pages_follow_the_browsers_language(seller: Seller) -> None:
    await seller.sign_in()

    german = await seller.client.get(
        CONSENT, params=seller.consent_fields(), headers={"accept-language": "de-DE,de;q=0.9,en;q=0.5"}
    )
    english = await seller.client.get(
        CONSENT, params=seller.consent_fields(), headers={"accept-language": "fr,en;q=0.5"}
    )

    assert ">Bestätigen</button>" in german.text
    assert ">Confirm</button>" in english.text
