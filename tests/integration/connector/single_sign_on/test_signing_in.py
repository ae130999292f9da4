"""Signing in at a company's provider: who gets in, as whom, and what they may do then."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from services.connector.maintenance.jobs import keep_house
from services.connector.single_sign_on.claims import ORGANIZATION_CLAIMS
from services.connector.single_sign_on.service import SingleSignOn
from shared.tables import (
    Account,
    AuditEntry,
    Invitation,
    JobRow,
    OidcAttempt,
    OidcDomain,
    SignInMethod,
    User,
    UserSession,
)
from tests.factories import make_account, make_user
from tests.integration.connector.connecting import arrive
from tests.integration.connector.single_sign_on.conftest import (
    API,
    ERIKA,
    GUEST,
    ISSUER,
    MAX,
    at_provider,
    code_of,
    parameters,
    set_provider,
)


async def _me(browser: httpx2.AsyncClient) -> dict[str, Any]:
    answered: dict[str, Any] = (await browser.get(f"{API}/me")).json()
    return answered


async def test_a_colleague_signs_in_and_is_known_by_issuer_and_subject_from_then_on(provider, company):
    erika = await company.user("erika@lampenladen.example", general_admin="none")
    browser = company.browser()

    answer = await company.sign_in(browser, return_to="/inbox?status=open")

    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox?status=open")
    assert (await _me(browser))["user"]["email"] == "erika@lampenladen.example"
    async with company.sessions.begin() as session:
        row = await session.scalar(select(UserSession).where(UserSession.user_id == erika.id))
        tied = await session.get_one(User, erika.id)
        actions = (
            await session.scalars(select(AuditEntry.action).where(AuditEntry.actor_id == erika.id))
        ).all()
        entry = await session.scalar(
            select(AuditEntry).where(AuditEntry.actor_id == erika.id, AuditEntry.action == "signed_in")
        )
    assert row.method == SignInMethod.SINGLE_SIGN_ON
    assert (tied.oidc_issuer, tied.oidc_subject) == (ISSUER, ERIKA)
    assert sorted(actions) == ["signed_in", "single_sign_on_linked"]
    assert entry.fields["method"] == "single_sign_on"
    assert entry.fields["methods"] == "mfa otp pwd"

    # The address may change there; who it is does not. And nobody else comes in by the address.
    company.change(ERIKA, email="e.beispiel@lampenladen.example", email_verified=False)
    company.change(MAX, email="erika@lampenladen.example")
    assert (await company.sign_in(company.browser())).status_code == 303
    assert (await company.sign_in(company.browser(), MAX)).status_code == 403


async def test_the_request_holds_what_the_standards_ask_for(provider, company):
    browser = company.browser()

    asked = parameters(await company.sent_to(browser))

    assert asked["response_type"] == "code"
    assert asked["scope"] == "openid email profile"
    assert asked["redirect_uri"] == f"https://testserver/single-sign-on/callback/{company.account.id}"
    assert asked["code_challenge_method"] == "S256"
    assert {len(asked[name]) for name in ("state", "nonce", "code_challenge")} == {43}
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert "prompt" not in asked
    async with company.sessions.begin() as session:
        row = await session.scalar(select(OidcAttempt))
    stored = repr([getattr(row, column.key) for column in OidcAttempt.__table__.columns])
    assert asked["state"] not in stored
    assert asked["nonce"] not in stored


async def test_where_somebody_signs_in_is_said_by_their_domain_whether_they_are_there_or_not(
    provider, company, prove
):
    await company.user("erika@lampenladen.example")
    await company.user("somebody@private.example")
    await prove("lampenladen.example")
    browser = company.browser()

    known = await company.begin(browser, email="Erika@Lampenladen.example ")
    unknown = await company.begin(browser, email="nobody@lampenladen.example")
    others = [
        await company.begin(browser, email=email)
        for email in ("somebody@private.example", "nobody@private.example")
    ]

    assert (known.status_code, unknown.status_code) == (201, 201)
    assert known.json().keys() == unknown.json().keys()
    assert [code_of(answer) for answer in others] == [(409, "no_provider")] * 2
    assert others[0].json() == others[1].json()


async def test_a_domain_that_is_not_proven_leads_nowhere(provider, company):
    added = await provider.client.post(
        f"{API}/account/single-sign-on/domains", json={"domain": "lampenladen.example"}
    )

    assert added.status_code == 201
    answer = await company.begin(company.browser(), email="erika@lampenladen.example")
    assert code_of(answer) == (409, "no_provider")


@pytest.mark.parametrize(
    "hostile",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%2f/evil.example",
        "/.//evil.example",
        "javascript:alert(1)",
        "",
    ],
)
async def test_nobody_is_sent_on_to_another_site(provider, company, hostile):
    await company.user("erika@lampenladen.example")

    answer = await company.sign_in(company.browser(), return_to=hostile)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_disabled_removed_and_foreign_people_stay_outside(provider, company, keyring):
    erika = await company.user("erika@lampenladen.example")
    await company.sign_in(company.browser())
    async with company.sessions.begin() as session:
        other = await make_account(session, keyring)
        await make_user(session, other.id, email="max@lampenladen.example")
        await session.execute(update(User).where(User.id == erika.id).values(disabled_at=datetime.now(UTC)))

    tied_and_disabled = await company.sign_in(company.browser())
    of_another_account = await company.sign_in(company.browser(), MAX)
    unknown = await company.sign_in(company.browser(), GUEST)
    async with company.sessions.begin() as session:
        await session.execute(
            update(User).where(User.id == erika.id).values(oidc_issuer=None, oidc_subject=None)
        )
    disabled = await company.sign_in(company.browser())
    removed = await provider.client.delete(f"{API}/users/{erika.id}?programs=end")
    gone = await company.sign_in(company.browser())

    assert removed.status_code == 204
    answers = (tied_and_disabled, of_another_account, unknown, disabled, gone)
    assert [answer.status_code for answer in answers] == [403] * 5
    assert len({answer.text for answer in answers}) == 1
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_people_are_created_with_addresses_of_proven_domains_alone(signed_in, company, prove):
    await set_provider(
        signed_in, creates_users=True, new_user_permissions={"inbox.messages": "edit", "inbox.orders": "view"}
    )
    browser = company.browser()
    before = await company.sign_in(browser)
    await prove("lampenladen.example")
    invited = await signed_in.client.post(
        f"{API}/invitations", json={"email": "erika@lampenladen.example", "permissions": {}}
    )
    assert invited.status_code == 201

    created = await company.sign_in(browser)
    stranger = await company.sign_in(company.browser(), GUEST)

    assert (before.status_code, created.status_code, stranger.status_code) == (403, 303, 403)
    me = await _me(browser)
    assert (me["user"]["name"], me["user"]["email"]) == ("Erika Beispiel", "erika@lampenladen.example")
    assert me["permissions"]["inbox.messages"] == "edit"
    assert me["permissions"]["general.admin"] == "none"
    async with company.sessions.begin() as session:
        erika = await session.scalar(select(User).where(User.email == "erika@lampenladen.example"))
        invitations = (await session.scalars(select(Invitation))).all()
    assert (erika.password_hash, erika.account_id) == (None, company.account.id)
    assert not invitations
    assert (await browser.get(f"{API}/me/second-factor")).json()["has_password"] is False


async def test_a_removed_person_comes_back_by_an_invitation_alone(signed_in, company, prove):
    await set_provider(signed_in, creates_users=True)
    await prove("lampenladen.example")
    assert (await company.sign_in(company.browser())).status_code == 303
    async with company.sessions.begin() as session:
        erika = await session.scalar(select(User).where(User.email == "erika@lampenladen.example"))
    removed = await signed_in.client.delete(f"{API}/users/{erika.id}?programs=end")
    assert removed.status_code == 204

    by_themselves = await company.sign_in(company.browser())
    again = await company.user("erika@lampenladen.example")
    browser = company.browser()
    invited = await company.sign_in(browser)

    assert (by_themselves.status_code, invited.status_code) == (403, 303)
    assert (await _me(browser))["user"]["id"] == str(again.id)


async def test_an_address_has_to_be_verified_the_first_time(provider, company):
    await company.user("erika@lampenladen.example")
    company.switch_on("sso-email-unverified", count=1)

    first = await company.sign_in(company.browser())
    second = await company.sign_in(company.browser())
    company.switch_on("sso-email-unverified")
    third = await company.sign_in(company.browser())

    assert [answer.status_code for answer in (first, second, third)] == [403, 303, 303]


async def test_groups_give_and_take_permissions_at_each_sign_in(signed_in, company):
    await set_provider(
        signed_in,
        level_claim="groups",
        level_rules=[
            {"value": "support", "permissions": {"inbox.messages": "edit"}},
            {"value": "it", "permissions": {"general.admin": "edit", "inbox.messages": "view"}},
        ],
        new_user_permissions={"inbox.orders": "view"},
    )
    maxi = await company.user("max@lampenladen.example", general_admin="none", inbox_messages="none")
    browser = company.browser()

    await company.sign_in(browser, MAX)
    both = (await _me(browser))["permissions"]
    company.change(MAX, groups=("gardening",))
    await company.sign_in(browser, MAX)
    none = (await _me(browser))["permissions"]

    assert (both["general.admin"], both["inbox.messages"], both["inbox.orders"]) == ("edit", "edit", "view")
    assert (none["general.admin"], none["inbox.messages"], none["inbox.orders"]) == ("none", "none", "view")
    async with company.sessions.begin() as session:
        entries = (
            await session.scalars(
                select(AuditEntry)
                .where(
                    AuditEntry.subject_id == maxi.id,
                    AuditEntry.action == "single_sign_on_permissions_changed",
                )
                .order_by(AuditEntry.id)
            )
        ).all()
        jobs = await session.execute(select(JobRow.kind, JobRow.subject_id))
    # What they had is somebody else's to do.
    assert ("unassign_conversations", maxi.id) in [(job.kind, job.subject_id) for job in jobs]
    assert [each.fields["general.admin"] for each in entries] == ["edit", "none"]
    assert {each.actor_kind for each in entries} == {"system"}


async def test_the_last_admin_stays_one_whatever_their_groups_say(signed_in, company):
    await set_provider(signed_in, level_claim="groups")
    async with company.sessions.begin() as session:
        await session.execute(
            update(User).where(User.id == signed_in.user.id).values(email="erika@lampenladen.example")
        )
    browser = company.browser()

    answer = await company.sign_in(browser)

    assert answer.status_code == 303
    permissions = (await _me(browser))["permissions"]
    assert (permissions["general.admin"], permissions["inbox.messages"]) == ("edit", "none")


async def test_what_the_token_leaves_out_is_asked_for_of_the_same_person(signed_in, company):
    await set_provider(
        signed_in,
        level_claim="groups",
        level_rules=[{"value": "support", "permissions": {"inbox.messages": "edit"}}],
    )
    await company.user("erika@lampenladen.example", general_admin="none", inbox_messages="none")
    browser = company.browser()
    company.switch_on("sso-thin-token")
    company.switch_on("sso-userinfo-of-another", count=1)

    of_another = await company.sign_in(browser)
    of_her = await company.sign_in(browser)

    assert (of_another.status_code, of_her.status_code) == (403, 303)
    assert (await _me(browser))["permissions"]["inbox.messages"] == "edit"


async def test_a_second_factor_is_the_providers_matter_and_can_be_asked_to_be_proven(signed_in, company):
    async with company.sessions.begin() as session:
        await session.execute(
            update(Account).where(Account.id == company.account.id).values(second_factor="everybody")
        )
        # The admin's own session goes on.
        await session.execute(
            update(User).where(User.id == signed_in.user.id).values(totp_confirmed_at=datetime.now(UTC))
        )
    await set_provider(signed_in)
    await company.user("erika@lampenladen.example")
    company.change(ERIKA, methods=("pwd",))
    browser = company.browser()

    trusted = await company.sign_in(browser)
    usable = await browser.get(f"{API}/integrations")
    await set_provider(signed_in, needs_proof_of_factors=True)
    unproven = await company.sign_in(company.browser())
    company.change(ERIKA, methods=("pwd", "otp"))
    proven = await company.sign_in(company.browser())

    assert (trusted.status_code, usable.status_code) == (303, 200)
    assert (unproven.status_code, proven.status_code) == (403, 303)


async def test_one_browser_may_sign_in_in_two_windows(provider, company):
    await company.user("erika@lampenladen.example")
    browser = company.browser()
    one, two = await company.sent_to(browser), await company.sent_to(browser)

    answers = [await arrive(browser, await at_provider(url)) for url in (one, two)]

    assert [answer.status_code for answer in answers] == [303, 303]


async def test_an_old_sign_in_at_the_provider_is_no_proof_of_who_is_there_now(provider, company):
    await company.user("erika@lampenladen.example")
    company.switch_on("sso-not-asked-again", count=1)
    browser = company.browser()

    await company.sign_in(browser)
    csrf = (await _me(browser))["csrf_token"]
    answer = await browser.put(
        f"{API}/account/single-sign-on",
        json={"issuer": ISSUER, "client_id": "replyco"},
        headers={"X-CSRF-Token": csrf},
    )

    assert code_of(answer) == (403, "reauthentication_needed")


async def test_a_confirmation_asks_the_provider_anew(provider, company):
    await company.user("erika@lampenladen.example")
    await company.user("max@lampenladen.example")
    browser = company.browser()
    company.switch_on("sso-not-asked-again", count=1)
    await company.sign_in(browser)
    browser.headers["X-CSRF-Token"] = (await _me(browser))["csrf_token"]
    path, change = f"{API}/sessions/current/confirm/single-sign-on", {"admin_idle_minutes": 45}

    asked = (await browser.post(path)).json()["url"]
    assert parameters(asked)["prompt"] == "login"
    assert parameters(asked)["max_age"] == "0"
    company.switch_on("sso-not-asked-again", count=1)
    not_asked = await arrive(browser, await at_provider(asked))
    somebody_else = await arrive(browser, await at_provider((await browser.post(path)).json()["url"], MAX))
    refused = await browser.patch(f"{API}/account/security", json=change)
    confirmed = await arrive(browser, await at_provider((await browser.post(path)).json()["url"]))
    allowed = await browser.patch(f"{API}/account/security", json=change)

    assert [not_asked.status_code, somebody_else.status_code] == [403, 403]
    assert code_of(refused) == (403, "reauthentication_needed")
    assert (confirmed.status_code, confirmed.headers["location"]) == (303, "/sign-in/confirmed")
    assert allowed.status_code == 200
    # By somebody who has signed in with a password there is nothing to be asked.
    assert code_of(await provider.client.post(path)) == (409, "no_provider")


async def test_what_is_left_of_an_attempt_is_swept(provider, company):
    await company.sent_to(company.browser())

    await keep_house(company.sessions, datetime.now(UTC) + timedelta(minutes=11))

    async with company.sessions.begin() as session:
        assert (await session.scalars(select(OidcAttempt))).all() == []


@pytest.fixture
def of_all_the_world(app: FastAPI) -> Iterator[None]:
    """At the provider, people of all companies and of none sign in, as at Google."""
    state = app.state.connector
    own = SingleSignOn(
        state.sessions,
        state.keyring,
        state.single_sign_on.client,
        public_url=state.settings.public_url,
        organization_claims={ISSUER: "hd"},
    )
    app.state.connector = replace(state, single_sign_on=own)
    yield
    app.state.connector = state


def test_google_is_such_a_provider():
    assert ORGANIZATION_CLAIMS["https://accounts.google.com"] == "hd"


@pytest.mark.parametrize("organization", [None, "", "fremd.example", "lampenladen.example.fremd.example"])
async def test_at_a_provider_of_all_the_world_only_the_companys_own_people_get_in(
    provider, company, prove, of_all_the_world, organization: str | None
):
    """A verified address is not enough: whoever has left keeps the account that they made there with it."""
    await prove("lampenladen.example")
    erika = await company.user("erika@lampenladen.example", general_admin="none")
    company.change(ERIKA, organization=organization)

    stranger = await company.sign_in(company.browser())
    company.change(ERIKA, organization="Lampenladen.example")
    colleague = await company.sign_in(company.browser())
    company.change(ERIKA, organization=organization)
    left = await company.sign_in(company.browser())

    assert [answer.status_code for answer in (stranger, colleague, left)] == [403, 303, 403]
    assert "keines der Firma" in stranger.text or "not one of the company" in stranger.text
    async with company.sessions.begin() as session:
        failed = select(AuditEntry.fields).where(AuditEntry.action == "single_sign_on_failed")
        codes = [fields["code"] for fields in await session.scalars(failed)]
        assert (await session.get_one(User, erika.id)).oidc_subject == ERIKA
    assert codes == ["sso_other_organization"] * 2


async def test_at_a_provider_of_all_the_world_a_domain_has_to_be_proven(
    provider, company, prove, keyring, of_all_the_world
):
    await company.user("erika@lampenladen.example")
    company.change(ERIKA, organization="lampenladen.example")
    async with company.sessions.begin() as session:
        other = await make_account(session, keyring)
        session.add(OidcDomain(account_id=company.account.id, domain="lampenladen.example"))
    await prove("lampenladen.example", of=other)

    assert (await company.sign_in(company.browser())).status_code == 403
