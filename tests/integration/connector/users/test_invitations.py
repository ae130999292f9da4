"""Somebody is invited, gets a mail, and becomes a user."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, text, update

from services.connector.integrations.owner_mails import MailServer, NoticeMailer
from services.connector.users.invitations_service import LIFETIME
from services.connector.users.mails import InvitationMails
from shared.database import Sessions
from shared.tables import Invitation, User
from tests.integration.connector.integrations.test_owner_mails import Mailbox, mailbox, send_due

__all__ = ["mailbox"]

API = "/api/v1"
URL = "https://app.example"
EMAIL = "erika@seller.example"
INVITED = {"email": "Erika@Seller.example", "permissions": {"inbox.messages": "edit", "inbox.orders": "view"}}
PASSWORD = "vier Lampen im Keller"


@pytest.fixture
def mailer(sessions: Sessions, mailbox: Mailbox) -> NoticeMailer:
    return NoticeMailer(
        sessions,
        MailServer("127.0.0.1", mailbox.port, "none", None, None, "no-reply@replyco.example"),
        URL,
        CollectorRegistry(),
        mail_domain="replyco.email",
        composers=InvitationMails(sessions, URL, support_contact="help@replyco.example").composers(),
    )


async def _token(mailer: NoticeMailer, mailbox: Mailbox) -> str:
    await send_due(mailer, datetime.now(UTC))
    words = str(mailbox.mails[-1].get_content())
    assert "help@replyco.example" in words
    link = re.search(rf"{URL}/invitation#(\S+)", words)
    assert link is not None
    return link[1]


def _accept(client, token: str):
    return client.post(
        f"{API}/invitations/accept", json={"token": token, "name": "Erika Beispiel", "password": PASSWORD}
    )


async def test_an_invitation_makes_a_user(signed_in, nobody, mailer, mailbox, sessions: Sessions):
    made = await signed_in.client.post(f"{API}/invitations", json=INVITED)
    token = await _token(mailer, mailbox)
    async with sessions.begin() as session:
        notices = (await session.execute(text("SELECT row_to_json(n)::text FROM notices n"))).scalars().all()
        rows = (await session.execute(text("SELECT row_to_json(i)::text FROM invitations i"))).scalars().all()
    offer = await nobody.post(f"{API}/invitations/look", json={"token": token})
    weak = await nobody.post(
        f"{API}/invitations/accept", json={"token": token, "name": "Erika", "password": "short"}
    )
    accepted = await _accept(nobody, token)
    signed = await nobody.post(f"{API}/sessions", json={"email": EMAIL, "password": PASSWORD})

    assert (made.status_code, made.json()["email"], mailbox.mails[0]["To"]) == (201, EMAIL, EMAIL)
    assert token not in "".join([*notices, *rows])
    assert offer.json() == {
        "account_name": signed_in.account.name,
        "email": EMAIL,
        "name": None,
        "language": "de",
        "invited_by": "Test User",
    }
    assert (weak.status_code, weak.json()["code"]) == (422, "password_too_short")
    assert (accepted.status_code, signed.status_code) == (204, 201)
    assert signed.json()["permissions"] == {
        "general.admin": "none",
        "general.programs": "none",
        "inbox.messages": "edit",
        "inbox.orders": "view",
        "inbox.replies": "edit",
    }


async def test_a_link_that_is_used_expired_withdrawn_or_wrong_is_answered_alike(
    signed_in, nobody, mailer, mailbox, sessions: Sessions
):
    async def link(email: str) -> tuple[str, str]:
        made = await signed_in.client.post(f"{API}/invitations", json=INVITED | {"email": email})
        return made.json()["id"], await _token(mailer, mailbox)

    _, used = await link(EMAIL)
    assert (await _accept(nobody, used)).status_code == 204
    withdrawn_id, withdrawn = await link("b@seller.example")
    await signed_in.client.delete(f"{API}/invitations/{withdrawn_id}")
    resent_id, resent = await link("c@seller.example")
    await signed_in.client.post(f"{API}/invitations/{resent_id}/send")
    expired_id, expired = await link("d@seller.example")
    async with sessions.begin() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(
            update(Invitation).where(Invitation.email == "d@seller.example").values(expires_at=past)
        )

    bodies = []
    for token in (used, withdrawn, resent, expired, "wrong"):
        for path in ("look", "accept"):
            body = {"token": token} | ({} if path == "look" else {"name": "E", "password": PASSWORD})
            answer = await nobody.post(f"{API}/invitations/{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "invitation_invalid")
            bodies.append(answer.json())
    assert all(body == bodies[0] for body in bodies)
    listed = (await signed_in.client.get(f"{API}/invitations")).json()["items"]
    assert [(each["id"], each["is_expired"]) for each in listed] == [(expired_id, True), (resent_id, False)]


async def test_a_link_is_good_once_for_two_who_use_it_at_once(signed_in, nobody, mailer, mailbox):
    await signed_in.client.post(f"{API}/invitations", json=INVITED)
    token = await _token(mailer, mailbox)

    answers = await asyncio.gather(_accept(nobody, token), _accept(nobody, token))

    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_nobody_is_invited_twice_or_who_is_there(signed_in):
    first = await signed_in.client.post(f"{API}/invitations", json=INVITED)
    second = await signed_in.client.post(f"{API}/invitations", json=INVITED)
    known = await signed_in.client.post(f"{API}/invitations", json=INVITED | {"email": signed_in.user.email})

    assert first.status_code == 201
    assert (second.status_code, second.json()["code"]) == (409, "already_invited")
    assert (known.status_code, known.json()["code"]) == (409, "email_taken")


async def test_the_invited_may_no_more_than_their_inviter_still_may(
    signed_in, sign_in_as, nobody, *, mailer: NoticeMailer, mailbox: Mailbox, sessions: Sessions
):
    admin = await sign_in_as()
    await admin.client.post(f"{API}/invitations", json=INVITED)
    token = await _token(mailer, mailbox)
    path = f"{API}/users/{admin.user.id}"
    await signed_in.client.patch(path, json={"permissions": {"inbox.messages": "view"}})

    assert (await _accept(nobody, token)).status_code == 204

    async with sessions.begin() as session:
        assert await session.scalar(select(User.inbox_messages).where(User.email == EMAIL)) == "view"


async def test_the_invitations_of_whoever_is_disabled_end(signed_in, sign_in_as, nobody, mailer, mailbox):
    admin = await sign_in_as()
    await admin.client.post(f"{API}/invitations", json=INVITED)
    token = await _token(mailer, mailbox)

    await signed_in.client.post(f"{API}/users/{admin.user.id}/disable")

    assert (await _accept(nobody, token)).json()["code"] == "invitation_invalid"


def test_an_invitation_lasts_72_hours():
    assert timedelta(hours=72) == LIFETIME


@pytest.mark.parametrize(
    "email",
    ["erika", "erika@seller", "a@b.example,c@d.example", "<a@b.example>", "a b@c.example", "a@b..example"],
)
async def test_only_one_address_is_invited(signed_in, email: str):
    answer = await signed_in.client.post(f"{API}/invitations", json=INVITED | {"email": email})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "email")


async def test_replies_are_given_to_people_with_the_inbox_alone(signed_in):
    answer = await signed_in.client.post(
        f"{API}/invitations", json=INVITED | {"permissions": {"inbox.replies": "edit"}}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
