"""An account is closed: nobody gets in from then on, and for thirty days an operator can undo it."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import delete, func, select, update

from services.connector.account_closing import service
from services.connector.account_closing.mails import AccountMails
from services.connector.accounts.callers import AccountClosed
from services.connector.integrations.service import connect_store
from services.connector.users import operator_service
from services.connector.users.queries import hold_account
from shared.database import Sessions
from shared.keyring import Keyring
from shared.marketplaces import Region
from shared.tables import (
    Account,
    AuditEntry,
    Grant,
    Integration,
    Invitation,
    Notice,
    NoticeKind,
    OidcDomain,
    RelayAddress,
    User,
    UserSession,
)
from tests.conftest import Keys
from tests.factories import make_accepted_mail, make_account, make_grant, make_integration, make_relay_address
from tests.integration.connector.conftest import PASSWORD, SignedIn

API = "/api/v1"
CLOSURE = f"{API}/account/closure"


async def _close(signed_in: SignedIn) -> dict[str, str]:
    answer = await signed_in.client.post(CLOSURE, json={"account_name": signed_in.account.name})
    assert answer.status_code == 200, answer.text
    closed: dict[str, str] = answer.json()
    return closed


async def test_nobody_gets_in_after_the_closing(
    signed_in, sign_in_as, new_client, nobody, sessions: Sessions
):
    agent = await sign_in_as(general_admin="none")
    key = (await signed_in.client.post(f"{API}/api-keys", json={"name": "K", "permissions": {}})).json()[
        "key"
    ]
    program = new_client(authorization=f"Bearer {key}")
    invited = {"email": "new@seller.example", "permissions": {}}
    assert (await signed_in.client.post(f"{API}/invitations", json=invited)).status_code == 201
    assert (await program.get(f"{API}/me")).status_code == 200

    await _close(signed_in)

    for client in (signed_in.client, agent.client, program):
        assert (await client.get(f"{API}/me")).status_code == 401
    for user in (signed_in.user, agent.user):
        answer = await nobody.post(f"{API}/sessions", json={"email": user.email, "password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (409, "account_closed")
        wrong = await nobody.post(f"{API}/sessions", json={"email": user.email, "password": "wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
        # The same answer as for unknown addresses, and no link.
        assert (await nobody.post(f"{API}/password-resets", json={"email": user.email})).status_code == 202
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(UserSession)) == 0
        resets = select(func.count()).where(Notice.kind == NoticeKind.PASSWORD_RESET.value)
        assert await session.scalar(resets) == 0
    with pytest.raises(AccountClosed):
        await operator_service.enable(sessions, agent.user.email)
    with pytest.raises(AccountClosed):
        await operator_service.invite(
            sessions,
            signed_in.account.id,
            email="late@seller.example",
            name=None,
            language="en",
            levels={},
            now=datetime.now(UTC),
        )


async def test_a_session_that_came_in_after_all_is_none(signed_in, sessions: Sessions):
    """Such as that of somebody whom single sign-on has just made a user."""
    async with sessions.begin() as session:
        await session.execute(
            update(Account)
            .where(Account.id == signed_in.account.id)
            .values(closed_at=func.now(), erase_after=func.now() + timedelta(days=30))
        )

    assert (await signed_in.client.get(f"{API}/me")).status_code == 401


async def test_a_key_that_was_made_after_all_is_none(signed_in, new_client, sessions: Sessions):
    """Whoever made it is not disabled, or not any more: a closed account has no way in for programs, either."""
    made = await signed_in.client.post(f"{API}/api-keys", json={"name": "K", "permissions": {}})
    program = new_client(authorization=f"Bearer {made.json()['key']}")
    await _close(signed_in)
    async with sessions.begin() as session:
        await session.execute(update(User).values(disabled_at=None))

    assert (await program.get(f"{API}/me")).status_code == 401


async def test_mail_domains_are_free_for_others_and_proven_anew_after_reopening(
    signed_in, sessions: Sessions, keyring: Keyring
):
    proven = {"domain": "lampenladen.example", "proven_at": datetime.now(UTC)}
    async with sessions.begin() as session:
        own = OidcDomain(account_id=signed_in.account.id, **proven)
        session.add(own)
    await _close(signed_in)
    async with sessions.begin() as session:
        # No two accounts have it proven, which the database sees to.
        session.add(OidcDomain(account_id=(await make_account(session, keyring)).id, **proven))

    await service.reopen(sessions, signed_in.account.id, datetime.now(UTC))

    async with sessions.begin() as session:
        left = await session.get_one(OidcDomain, own.id)
    assert (left.domain, left.proven_at) == ("lampenladen.example", None)


async def test_nobody_joins_while_the_account_is_closed(
    signed_in, nobody, sessions: Sessions, until_it_waits
):
    """Who accepts an invitation and who closes the account come one after the other."""
    token = await operator_service.invite(
        sessions,
        signed_in.account.id,
        email="new@seller.example",
        name=None,
        language="en",
        levels={},
        now=datetime.now(UTC),
    )
    body = {"token": token, "name": "N", "password": "vier Lampen im Keller"}

    async with sessions.begin() as session:
        await hold_account(session, signed_in.account.id)
        accepting = asyncio.create_task(nobody.post(f"{API}/invitations/accept", json=body))
        await until_it_waits(accepting)
        await session.execute(delete(Invitation))

    answer = await accepting
    assert (answer.status_code, answer.json()["code"]) == (409, "invitation_invalid")


@pytest.mark.parametrize(
    ("typed", "status"), [("Lampen", 409), ("  lampenladen  GmbH ", 200), ("Lampenladen GmbH", 200)]
)
async def test_whoever_closes_types_the_name(signed_in, typed: str, status: int):
    answer = await signed_in.client.post(CLOSURE, json={"account_name": typed})

    assert answer.status_code == status
    if status != 200:
        assert answer.json()["code"] == "account_name_differs"
        assert (await signed_in.client.get(f"{API}/me")).status_code == 200


async def test_closing_needs_fresh_proof(signed_in, sessions: Sessions):
    async with sessions.begin() as session:
        await session.execute(
            update(UserSession).values(authenticated_at=datetime.now(UTC) - timedelta(minutes=11))
        )

    answer = await signed_in.client.post(CLOSURE, json={"account_name": signed_in.account.name})

    assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_needed")


async def test_stores_are_disconnected_and_their_mail_rests(
    signed_in, sessions: Sessions, owner_sessions: Sessions, keyring: Keyring, keys: Keys
):
    async with owner_sessions.begin() as session:
        store = await make_integration(session, signed_in.account.id)
        await make_grant(session, keyring, store)
        address = await make_relay_address(session, store)
        await make_accepted_mail(session, address, keys.mail_public_key, raw=b"x", state="resting")

    closed = await _close(signed_in)

    async with sessions.begin() as session:
        left = await session.get_one(Integration, store.id)
        grant = (await session.scalars(select(Grant).where(Grant.integration_id == store.id))).one()
        kept = await session.get_one(RelayAddress, address.id)
    assert left.disconnected_at == datetime.fromisoformat(closed["closed_at"])
    assert left.rests_until == datetime.fromisoformat(closed["erase_after"])
    assert (grant.access_token, len(grant.refresh_token.ciphertext)) == (None, 0)
    # As of a store that is disconnected: what buyers write is accepted, and delivered if the account is reopened.
    assert kept.retired_at is None


async def test_an_authorization_that_comes_back_late_connects_nothing(signed_in, sessions: Sessions):
    await _close(signed_in)

    async with sessions.begin() as session:
        with pytest.raises(AccountClosed):
            await connect_store(
                session,
                signed_in.account.id,
                region=Region.EU,
                seller_id="A1",
                home_country="DE",
                now=datetime.now(UTC),
            )


async def test_a_reopened_account_is_as_before_and_its_stores_can_be_restored(
    signed_in, sign_in_as, new_client, sessions: Sessions, keyring: Keyring
):
    nobody = new_client()
    disabled = await sign_in_as(general_admin="none")
    await signed_in.client.post(f"{API}/users/{disabled.user.id}/disable")
    key = (await signed_in.client.post(f"{API}/api-keys", json={"name": "K", "permissions": {}})).json()[
        "key"
    ]
    async with sessions.begin() as session:
        store = await make_integration(session, signed_in.account.id, name="Lampen")
        await make_grant(session, keyring, store)
        await make_relay_address(session, store)
    await _close(signed_in)
    day_29 = datetime.now(UTC) + timedelta(days=29)

    await service.reopen(sessions, signed_in.account.id, day_29)

    answer = await nobody.post(f"{API}/sessions", json={"email": signed_in.user.email, "password": PASSWORD})
    assert answer.status_code == 201
    program = new_client(authorization=f"Bearer {key}")
    assert (await program.get(f"{API}/me")).status_code == 200
    async with sessions.begin() as session:
        assert (await session.get_one(User, disabled.user.id)).disabled_at is not None
        left = await session.get_one(Integration, store.id)
        actions = set(await session.scalars(select(AuditEntry.action)))
    assert left.rests_until is not None
    assert (left.rests_until - day_29, left.data_after_rest) == (timedelta(days=30), "keep")
    assert {"account_closed", "integration_disconnected", "account_reopened"} <= actions


async def test_after_its_grace_period_an_account_is_not_reopened(signed_in, sessions: Sessions):
    with pytest.raises(service.AccountOpen):
        await service.reopen(sessions, signed_in.account.id, datetime.now(UTC))
    await _close(signed_in)

    with pytest.raises(service.GracePeriodOver):
        await service.reopen(sessions, signed_in.account.id, datetime.now(UTC) + timedelta(days=31))


async def test_administrators_are_told_and_nobody_else(signed_in, sign_in_as, sessions: Sessions):
    other = await sign_in_as()
    await sign_in_as(general_admin="view")
    await _close(signed_in)

    mails = await _mails(sessions, NoticeKind.ACCOUNT_CLOSED)
    await service.reopen(sessions, signed_in.account.id, datetime.now(UTC))

    assert {mail["To"] for mail in mails} == {signed_in.user.email, other.user.email}
    texts = [mail.get_content() for mail in mails]
    assert all("help@replyco.example" in text and "Lampenladen GmbH" in text for text in texts)
    # What is no longer so is told to nobody.
    assert await _mails(sessions, NoticeKind.ACCOUNT_CLOSED) == []
    assert len(await _mails(sessions, NoticeKind.ACCOUNT_REOPENED)) == 2


async def _mails(sessions: Sessions, kind: NoticeKind) -> list[EmailMessage]:
    made = AccountMails(sessions, "https://app.example", support_contact="help@replyco.example").composers()
    async with sessions.begin() as session:
        notices = (await session.scalars(select(Notice).where(Notice.kind == kind.value))).all()
    mails = [await made[kind](notice, "no-reply@replyco.email", datetime.now(UTC)) for notice in notices]
    return [mail for mail in mails if mail is not None]
