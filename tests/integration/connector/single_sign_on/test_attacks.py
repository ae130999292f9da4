"""What a wrong, broken or hostile provider says, and what somebody between browser and provider tries: nobody gets in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from services.connector.dependencies import SESSION_COOKIE
from services.sandbox.state.openid_provider import CLIENT_SECRET
from shared.tables import Account, AuditEntry, OidcAttempt, OidcProvider, UserSession
from tests.factories import make_account
from tests.integration.connector.connecting import arrive
from tests.integration.connector.single_sign_on.conftest import (
    API,
    MAX,
    Company,
    at_provider,
    code_of,
    parameters,
    set_provider,
)
from tests.logs import log_written


async def _failure(company: Company) -> tuple[str, str]:
    """What the audit log says of the last sign-in that came to nothing."""
    async with company.sessions.begin() as session:
        entry = await session.scalar(
            select(AuditEntry)
            .where(AuditEntry.action == "single_sign_on_failed")
            .order_by(AuditEntry.id.desc())
            .limit(1)
        )
    assert entry is not None
    return entry.fields["code"], entry.fields["reason"]


async def _is_outside(company: Company, browser: httpx2.AsyncClient) -> bool:
    async with company.sessions.begin() as session:
        begun = await session.scalar(select(UserSession).where(UserSession.method == "single_sign_on"))
    return (
        begun is None
        and SESSION_COOKIE not in browser.cookies
        and (await browser.get(f"{API}/me")).status_code == 401
    )


def _with(url: str, **changes: str) -> str:
    return str(httpx2.URL(url).copy_merge_params(changes))


@pytest.fixture
async def erika(provider: Any, company: Company) -> None:
    await company.user("erika@lampenladen.example")


@pytest.mark.parametrize(
    ("scenario", "status", "failure"),
    [
        ("sso-issuer-parameter", 403, ("id_token_invalid", "issuer_differs")),
        ("sso-issuer-parameter-missing", 403, ("id_token_invalid", "issuer_missing")),
        ("sso-500", 502, ("provider_failed", "status")),
        ("sso-huge", 502, ("provider_failed", "too_long")),
        ("sso-redirects", 502, ("provider_failed", "status")),
        ("sso-other-issuer", 403, ("id_token_invalid", "iss")),
        ("sso-wrong-audience", 403, ("id_token_invalid", "aud")),
        ("sso-two-audiences", 403, ("id_token_invalid", "azp")),
        ("sso-other-party", 403, ("id_token_invalid", "azp")),
        ("sso-wrong-nonce", 403, ("id_token_invalid", "nonce")),
        ("sso-no-nonce", 403, ("id_token_invalid", "nonce")),
        ("sso-expired", 403, ("id_token_invalid", "exp")),
        ("sso-from-the-future", 403, ("id_token_invalid", "iat")),
        ("sso-alg-none", 403, ("id_token_invalid", "algorithm")),
        ("sso-hs256-with-public-key", 403, ("id_token_invalid", "algorithm")),
        ("sso-altered", 403, ("id_token_invalid", "signature")),
        ("sso-key-unknown", 403, ("id_token_invalid", "key_unknown")),
        ("sso-email-unverified", 403, ("sso_email_unverified", "")),
    ],
)
async def test_what_a_provider_does_wrong_lets_nobody_in(
    erika, company, scenario: str, status: int, failure: tuple[str, str]
):
    company.switch_on(scenario, count=1)
    browser = company.browser()

    answer = await company.sign_in(browser)

    assert answer.status_code == status
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert await _failure(company) == failure
    assert await _is_outside(company, browser)
    assert (await company.sign_in(browser)).status_code == 303


async def test_an_answer_counts_once(erika, company):
    browser = company.browser()
    back = await at_provider(await company.sent_to(browser))

    first, second = await arrive(browser, back), await arrive(browser, back)

    assert (first.status_code, second.status_code) == (303, 409)
    assert company.amazon.state.counters.token["openid"] == 1


async def test_an_answer_that_somebody_else_brings_is_over_for_everybody(erika, company):
    browser, thief = company.browser(), company.browser()
    await company.sent_to(thief)
    back = await at_provider(await company.sent_to(browser))

    stolen = await arrive(thief, back)
    late = await arrive(browser, back)

    assert (stolen.status_code, late.status_code) == (409, 409)
    assert company.amazon.state.counters.token["openid"] == 0
    assert await _is_outside(company, thief)


@pytest.mark.parametrize("change", [{"state": "a" * 43}, {"state": ""}, {"state": "é"}, {"code": ""}])
async def test_an_answer_that_was_made_up_leads_nowhere(erika, company, change: dict[str, str]):
    browser = company.browser()
    back = await at_provider(await company.sent_to(browser))

    answer = await arrive(browser, _with(back, **change))

    assert answer.status_code in {403, 409}
    assert await _is_outside(company, browser)


@pytest.mark.parametrize("name", ["state", "code", "iss"])
async def test_what_is_there_twice_is_not_chosen_from(erika, company, name: str):
    browser = company.browser()
    back = await at_provider(await company.sent_to(browser))

    answer = await arrive(browser, f"{back}&{name}={parameters(back)[name]}")

    assert answer.status_code in {403, 409}
    assert await _is_outside(company, browser)


async def test_a_code_of_another_attempt_fits_neither_verifier_nor_nonce(erika, company):
    thief, victim = company.browser(), company.browser()
    theirs = await at_provider(await company.sent_to(thief), MAX)
    asked = await company.sent_to(victim)
    back = await at_provider(asked)
    injected = parameters(theirs)["code"]
    codes = company.amazon.state.openid.codes

    by_verifier = await arrive(victim, _with(back, code=injected))
    assert (by_verifier.status_code, await _failure(company)) == (502, ("provider_failed", "code_refused"))

    # And a provider that did not look at the verifier.
    asked = await company.sent_to(victim)
    back = await at_provider(asked)
    theirs = await at_provider(await company.sent_to(thief), MAX)
    injected = parameters(theirs)["code"]
    codes[injected] = replace(codes[injected], challenge=parameters(asked)["code_challenge"])
    by_nonce = await arrive(victim, _with(back, code=injected))

    assert (by_nonce.status_code, await _failure(company)) == (403, ("id_token_invalid", "nonce"))
    assert await _is_outside(company, victim)


async def test_an_answer_is_of_one_account_and_its_provider(erika, company, keyring):
    """Mix-up: whoever's provider is asked, its answer and its code are good for its own account alone."""
    async with company.sessions.begin() as session:
        other = await make_account(session, keyring)
    browser = company.browser()
    back = await at_provider(await company.sent_to(browser))

    elsewhere = await arrive(browser, back.replace(str(company.account.id), str(other.id)))
    at_home = await arrive(browser, back)

    assert (elsewhere.status_code, at_home.status_code) == (409, 303)


async def test_an_attempt_ends_after_ten_minutes_and_when_the_provider_changes(erika, provider, company):
    browser = company.browser()
    back = await at_provider(await company.sent_to(browser))
    async with company.sessions.begin() as session:
        await session.execute(update(OidcAttempt).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert (await arrive(browser, back)).status_code == 409

    back = await at_provider(await company.sent_to(browser))
    await set_provider(provider, client_id="another")

    assert (await arrive(browser, back)).status_code == 409
    assert await _is_outside(company, browser)


async def test_whoever_cancels_is_told_so(erika, company):
    browser = company.browser()

    answer = await arrive(browser, await at_provider(await company.sent_to(browser), action="cancel"))

    assert answer.status_code == 403
    assert "/sign-in" in answer.text
    assert await _failure(company) == ("sso_refused", "access_denied")


async def test_a_new_key_is_asked_for_but_not_again_and_again(erika, company):
    browser = company.browser()
    await company.sign_in(browser)
    company.switch_on("sso-key-rotated", count=1)

    rotated = await company.sign_in(browser)
    company.switch_on("sso-key-unknown", count=1)
    unknown = await company.sign_in(company.browser())

    assert (rotated.status_code, unknown.status_code) == (303, 403)


async def test_a_closed_account_has_no_way_in(erika, company):
    browser = company.browser()
    back = await at_provider(await company.sent_to(browser))
    now = datetime.now(UTC)
    async with company.sessions.begin() as session:
        await session.execute(
            update(Account)
            .where(Account.id == company.account.id)
            .values(closed_at=now, erase_after=now + timedelta(days=30))
        )

    assert (await arrive(browser, back)).status_code == 409
    assert await _is_outside(company, browser)
    assert code_of(await company.begin(company.browser())) == (409, "no_provider")


async def test_nothing_that_lets_somebody_in_is_logged_shown_or_stored(
    erika, provider, company, monkeypatch: pytest.MonkeyPatch
):
    browser = company.browser()
    with log_written(monkeypatch) as written:
        asked = await company.sent_to(browser)
        async with company.sessions.begin() as session:
            attempt = await session.scalar(select(OidcAttempt))
            row = await session.scalar(select(OidcProvider))
        back = await at_provider(asked)
        await arrive(browser, back)
        company.switch_on("sso-altered", count=1)
        await company.sign_in(browser)
        shown = (await provider.client.get(f"{API}/account/single-sign-on")).text

    assert attempt is not None
    assert row is not None
    tables = (OidcAttempt, attempt), (OidcProvider, row)
    stored = repr(
        [getattr(found, column.key) for table, found in tables for column in table.__table__.columns]
    )
    sealed = attempt.verifier.ciphertext + row.client_secret.ciphertext
    secrets = {parameters(asked)[name] for name in ("state", "nonce")} | {parameters(back)["code"]}
    for secret in (*secrets, CLIENT_SECRET, "erika@lampenladen.example", browser.cookies[SESSION_COOKIE]):
        assert secret not in written.getvalue() + shown + stored
        assert secret.encode() not in sealed
    assert "signed_in" in written.getvalue()
    assert "single_sign_on_failed" in written.getvalue()
