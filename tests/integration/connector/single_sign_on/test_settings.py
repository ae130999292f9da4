"""What an account says of its provider and its mail domains, over REST and by command."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from deploy.demo.postgres import CONNECTOR
from services.connector.single_sign_on import settings_service
from services.connector.single_sign_on.domain_proof import ask_texts
from services.connector.single_sign_on.service import SingleSignOn
from services.sandbox.mail.name_server import Zone
from shared.tables import AuditEntry, OidcDomain, OidcProvider, User, UserSession
from tests.commands import run_here
from tests.conftest import Database, Keys
from tests.factories import make_account, make_user
from tests.integration.connector.conftest import PASSWORD
from tests.integration.connector.single_sign_on.conftest import (
    API,
    ERIKA,
    ISSUER,
    MAX,
    PATH,
    PROVIDER,
    Company,
    code_of,
    set_provider,
)
from tests.signing import name_server


@pytest.fixture
def dns(app: FastAPI) -> Iterator[Zone]:
    """The records that there are; the connector asks a name server that has them."""
    state = app.state.connector
    with name_server() as server:
        own = SingleSignOn(
            state.sessions,
            state.keyring,
            state.single_sign_on.client,
            public_url=state.settings.public_url,
            ask_texts=partial(ask_texts, servers=[server.address]),
        )
        app.state.connector = replace(state, single_sign_on=own)
        yield server.zone
        app.state.connector = state


async def _actions(company: Company) -> list[str]:
    async with company.sessions.begin() as session:
        found = await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
        return list(found)


async def test_a_provider_is_set_read_changed_and_removed(signed_in, company):
    empty = (await signed_in.client.get(PATH)).json()
    await set_provider(signed_in, creates_users=True, new_user_permissions={"inbox.messages": "view"})
    await signed_in.client.put(
        PATH,
        json={
            "issuer": ISSUER,
            "client_id": "replyco",
            "level_claim": "groups",
            "level_rules": [{"value": "support", "permissions": {"inbox.messages": "edit"}}],
        },
    )
    found = (await signed_in.client.get(PATH)).json()
    removed = await signed_in.client.delete(PATH)
    again = await signed_in.client.delete(PATH)

    own = company.account.id
    assert empty == {
        "redirect_uri": f"https://testserver/single-sign-on/callback/{own}",
        "sign_in_url": f"https://testserver/sign-in/company/{own}",
        "provider": None,
        "domains": [],
    }
    provider = found["provider"]
    assert (provider["issuer"], provider["client_id"], provider["creates_users"]) == (
        ISSUER,
        "replyco",
        False,
    )
    assert provider["level_rules"] == [{"value": "support", "permissions": {"inbox.messages": "edit"}}]
    assert provider["new_user_permissions"]["inbox.messages"] == "none"
    assert "client_secret" not in provider
    assert (removed.status_code, again.status_code) == (204, 204)
    assert await _actions(company) == ["single_sign_on_changed"] * 2 + ["single_sign_on_removed"]


@pytest.mark.parametrize(
    "change", [{"issuer": "https://id.company.example/elsewhere"}, {"client_id": "another"}]
)
async def test_a_secret_goes_to_no_other_provider_than_it_was_entered_for(provider, change: dict[str, str]):
    kept = {name: value for name, value in PROVIDER.items() if name != "client_secret"}

    assert code_of(await provider.client.put(PATH, json=kept | change)) == (409, "client_secret_needed")
    assert (await provider.client.put(PATH, json=kept)).status_code == 200


@pytest.mark.parametrize(
    ("issuer", "code"),
    [
        ("http://id.company.example", "url_invalid"),
        ("https://user:word@id.company.example", "url_invalid"),
        ("https://id.company.example/?a=b", "url_invalid"),
        ("https://id.company.example/#a", "url_invalid"),
        ("https://127.0.0.1/", "host_invalid"),
        ("https://[::1]/", "host_invalid"),
        ("https://localhost/", "host_invalid"),
        ("https://169.254.169.254/latest", "host_invalid"),
        ("https://login.example:22/", "url_port_not_allowed"),
        ("nonsense", "url_invalid"),
    ],
)
async def test_an_issuer_is_a_public_https_address(signed_in, issuer: str, code: str):
    put = await signed_in.client.put(PATH, json={**PROVIDER, "issuer": issuer})
    tested = await signed_in.client.post(f"{PATH}/test", json={"issuer": issuer})

    assert (put.json()["code"], tested.json()["code"]) == (code, code)


async def test_whoever_may_less_than_a_colleague_sets_up_no_provider(sign_in_as):
    """Else they would sign in as that colleague, by a provider of their own."""
    await sign_in_as(general_admin="none", inbox_messages="edit")
    admin = await sign_in_as(inbox_messages="none")

    refused = await admin.client.put(PATH, json=PROVIDER)

    assert code_of(refused) == (422, "level_too_high")


async def test_a_provider_gives_no_more_than_whoever_sets_it_up_has(sign_in_as):
    admin = await sign_in_as(general_programs="none")
    rules = [{"value": "it", "permissions": {"general.programs": "edit"}}]

    by_rule = await admin.client.put(PATH, json={**PROVIDER, "level_claim": "groups", "level_rules": rules})
    at_first = await admin.client.put(
        PATH, json={**PROVIDER, "new_user_permissions": {"general.programs": "view"}}
    )

    assert code_of(by_rule) == (422, "level_too_high")
    assert code_of(at_first) == (422, "level_too_high")


async def test_everything_that_decides_who_gets_in_needs_fresh_proof(provider, company):
    domain = (await provider.client.post(f"{PATH}/domains", json={"domain": "a.example"})).json()["domains"][
        0
    ]
    async with company.sessions.begin() as session:
        await session.execute(
            update(UserSession).values(authenticated_at=datetime.now(UTC) - timedelta(minutes=11))
        )
    client = provider.client

    answers = [
        await client.put(PATH, json=PROVIDER),
        await client.delete(PATH),
        await client.post(f"{PATH}/domains", json={"domain": "b.example"}),
        await client.post(f"{PATH}/domains/{domain['id']}/proof"),
        await client.delete(f"{PATH}/domains/{domain['id']}"),
    ]

    assert [code_of(answer) for answer in answers] == [(403, "reauthentication_needed")] * 5


@pytest.mark.parametrize(
    ("scenario", "failure"),
    [
        (None, None),
        ("sso-discovery-500", "status"),
        ("sso-discovery-issuer", "issuer_differs"),
    ],
)
async def test_a_test_says_what_is_wrong_in_plain_words(
    provider, company, scenario: str | None, failure: str | None
):
    if scenario:
        company.switch_on(scenario)

    stored = (await provider.client.post(f"{PATH}/test", json={})).json()
    named = (
        await provider.client.post(f"{PATH}/test", json={"issuer": ISSUER}, headers={"Accept-Language": "de"})
    ).json()

    assert (stored["failure"], named["failure"]) == (failure, failure)
    assert (stored["detail"] is None) == (failure is None)
    assert stored["detail"] is None or stored["detail"] != named["detail"]


async def test_a_domain_is_proven_by_its_dns(provider, company, dns, keyring):
    added = (await provider.client.post(f"{PATH}/domains", json={"domain": " Lampenladen.example "})).json()
    (domain,) = added["domains"]
    proof = f"{PATH}/domains/{domain['id']}/proof"

    nothing = await provider.client.post(proof)
    dns.text("_replyco.lampenladen.example", "v=spf1 -all", "replyco-domain=somebody-elses")
    wrong = await provider.client.post(proof)
    dns.text("_replyco.lampenladen.example", "v=spf1 -all", domain["record_value"])
    proven = await provider.client.post(proof)

    assert (domain["domain"], domain["record_name"]) == (
        "lampenladen.example",
        "_replyco.lampenladen.example",
    )
    assert [code_of(answer) for answer in (nothing, wrong)] == [(409, "domain_unproven")] * 2
    assert proven.json()["domains"][0]["proven_at"] is not None
    assert (await company.begin(company.browser(), email="x@lampenladen.example")).status_code == 201

    # Of one account alone, whoever else can set records there.
    async with company.sessions.begin() as session:
        other = await make_account(session, keyring)
        row = OidcDomain(account_id=other.id, domain="schirme.example", proven_at=datetime.now(UTC))
        session.add(row)
    second = (await provider.client.post(f"{PATH}/domains", json={"domain": "schirme.example"})).json()[
        "domains"
    ][1]
    dns.text("_replyco.schirme.example", second["record_value"])
    taken = await provider.client.post(f"{PATH}/domains/{second['id']}/proof")
    foreign = await provider.client.delete(f"{PATH}/domains/{row.id}")
    removed = await provider.client.delete(f"{PATH}/domains/{domain['id']}")

    assert code_of(taken) == (409, "domain_taken")
    assert (foreign.status_code, removed.status_code) == (404, 204)
    assert code_of(await company.begin(company.browser(), email="x@lampenladen.example")) == (
        409,
        "no_provider",
    )
    wanted = ["mail_domain_added", "mail_domain_proven", "mail_domain_added", "mail_domain_removed"]
    assert [action for action in await _actions(company) if action.startswith("mail_")] == wanted


async def _sign_in_with_password(company: Company, user: User) -> Any:
    return await company.browser().post(f"{API}/sessions", json={"email": user.email, "password": PASSWORD})


async def test_the_only_way_in_is_the_provider_until_an_operator_lifts_it(provider, company, sign_in_as):
    colleague = await sign_in_as(general_admin="none")
    assert code_of(await provider.client.put(PATH, json={**PROVIDER, "is_only": True})) == (
        409,
        "sso_only_unproven",
    )
    async with company.sessions.begin() as session:
        await session.execute(
            update(User).where(User.id == provider.user.id).values(email="erika@lampenladen.example")
        )
    browser = company.browser()
    await company.sign_in(browser)
    browser.headers["X-CSRF-Token"] = (await browser.get(f"{API}/me")).json()["csrf_token"]

    chosen = await browser.put(PATH, json={**PROVIDER, "is_only": True})
    ended = await colleague.client.get(f"{API}/me")
    refused = await _sign_in_with_password(company, colleague.user)
    wrong = await company.browser().post(
        f"{API}/sessions", json={"email": colleague.user.email, "password": "another word of mine"}
    )
    by_provider = await company.sign_in(company.browser())
    await settings_service.lift_only(company.sessions, company.account.id)
    lifted = await _sign_in_with_password(company, colleague.user)

    assert (chosen.status_code, ended.status_code) == (200, 401)
    assert code_of(refused) == (403, "sso_only")
    # Whoever does not know the password is told nothing of the account.
    assert code_of(wrong) == (401, "invalid_credentials")
    assert (by_provider.status_code, lifted.status_code) == (303, 201)
    assert "single_sign_on_only_lifted" in await _actions(company)


async def test_a_provider_that_goes_takes_its_sessions_and_what_it_said_of_people_along(provider, company):
    erika = await company.user("erika@lampenladen.example")
    browser = company.browser()
    await company.sign_in(browser)

    await provider.client.delete(PATH)

    assert (await browser.get(f"{API}/me")).status_code == 401
    async with company.sessions.begin() as session:
        assert (await session.get_one(User, erika.id)).oidc_subject is None
    # The same issuer again: an address ties anew, and a subject alone no more.
    await set_provider(provider)
    assert (await company.sign_in(browser)).status_code == 303


async def test_somebody_with_a_new_account_at_the_company_is_untied_and_ties_anew(
    provider, company, sign_in_as
):
    by_password = await sign_in_as(general_admin="none")
    browser, path = company.browser(), f"{API}/users/{by_password.user.id}"
    async with company.sessions.begin() as session:
        await session.execute(
            update(User).where(User.id == by_password.user.id).values(email="erika@lampenladen.example")
        )
    await company.sign_in(browser)
    company.change(ERIKA, email="former@lampenladen.example")
    company.change(MAX, email="erika@lampenladen.example")
    locked_out = await company.sign_in(company.browser(), MAX)
    tied = (await provider.client.get(path)).json()["has_company_account"]

    untied = await provider.client.delete(f"{path}/single-sign-on")
    again = await provider.client.delete(f"{path}/single-sign-on")

    left = (await provider.client.get(path)).json()["has_company_account"]
    assert (locked_out.status_code, untied.status_code, again.status_code) == (403, 204, 204)
    assert (tied, left) == (True, False)
    assert (await browser.get(f"{API}/me")).status_code == 401
    assert (await by_password.client.get(f"{API}/me")).status_code == 200
    assert (await company.sign_in(company.browser(), MAX)).status_code == 303
    assert (await _actions(company)).count("single_sign_on_unlinked") == 1


async def test_nobody_is_untied_without_fresh_proof_or_of_another_account(provider, company, keyring):
    async with company.sessions.begin() as session:
        other = await make_user(session, (await make_account(session, keyring)).id)
        other.oidc_issuer, other.oidc_subject = ISSUER, "9"
    foreign = await provider.client.delete(f"{API}/users/{other.id}/single-sign-on")
    async with company.sessions.begin() as session:
        await session.execute(
            update(UserSession).values(authenticated_at=datetime.now(UTC) - timedelta(minutes=11))
        )
    stale = await provider.client.delete(f"{API}/users/{provider.user.id}/single-sign-on")

    assert (foreign.status_code, code_of(stale)) == (404, (403, "reauthentication_needed"))
    async with company.sessions.begin() as session:
        assert (await session.get_one(User, other.id)).oidc_subject == "9"


async def test_an_operator_unties_somebody_by_a_command(provider, company, database: Database, keys: Keys):
    environment = {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(keys.key_file),
    }
    erika = await company.user("erika@lampenladen.example")
    async with company.sessions.begin() as session:
        tied = {"oidc_issuer": ISSUER, "oidc_subject": ERIKA}
        await session.execute(update(User).where(User.id == erika.id).values(tied))

    untied = await run_here(environment, "single-sign-on", "untie", "--email", "Erika@lampenladen.example")
    unknown = await run_here(environment, "single-sign-on", "untie", "--email", "nobody@lampenladen.example")

    assert untied == (0, "untied\n")
    assert unknown[0] == 1
    async with company.sessions.begin() as session:
        assert (await session.get_one(User, erika.id)).oidc_subject is None
    assert "single_sign_on_unlinked" in await _actions(company)


async def test_an_operator_lifts_it_by_a_command(provider, company, database: Database, keys: Keys):
    environment = {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(keys.key_file),
    }
    async with company.sessions.begin() as session:
        await session.execute(update(OidcProvider).values(is_only=True))

    lifted = await run_here(environment, "single-sign-on", "lift", "--account", str(company.account.id))
    unknown = await run_here(environment, "single-sign-on", "lift", "--account", str(provider.user.id))

    assert lifted == (0, "lifted\n")
    assert unknown[0] != 0
    assert (await provider.client.get(PATH)).json()["provider"]["is_only"] is False
