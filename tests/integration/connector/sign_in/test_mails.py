"""Mails about signing in, as they arrive."""

import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, text, update

from services.connector.integrations.owner_mails import MailServer, NoticeMailer
from services.connector.sign_in.mails import SignInMails
from services.connector.sign_in.password_service import RESET_LIFETIME
from shared.database import Sessions
from shared.tables import Notice, PasswordReset, User
from tests.authenticators import Authenticator
from tests.integration.connector.conftest import PASSWORD, SignedIn
from tests.integration.connector.integrations.test_owner_mails import Mailbox, mailbox, send_due
from tests.integration.connector.second_factors.conftest import add_passkey, device, set_up_app

__all__ = ["device", "mailbox"]

API = "/api/v1"
NEW = "vier Lampen im Keller"
URL = "https://app.example"
FIREFOX = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"}


@pytest.fixture
def mailer(sessions: Sessions, mailbox: Mailbox) -> NoticeMailer:
    return NoticeMailer(
        sessions,
        MailServer("127.0.0.1", mailbox.port, "none", None, None, "no-reply@replyco.example"),
        URL,
        CollectorRegistry(),
        mail_domain="replyco.email",
        composers=SignInMails(sessions, URL, support_contact="help@replyco.example").composers(),
    )


def _text(mail: EmailMessage) -> str:
    return str(mail.get_content())


async def test_the_link_of_a_mail_sets_a_new_password(
    signed_in: SignedIn, nobody, new_client, *, mailer: NoticeMailer, mailbox: Mailbox, sessions: Sessions
):
    await nobody.post(f"{API}/password-resets", json={"email": signed_in.user.email.upper()})
    await nobody.post(f"{API}/password-resets", json={"email": "nobody@seller.example"})
    await send_due(mailer, datetime.now(UTC))

    (mail,) = mailbox.mails
    link = re.search(rf"{URL}/reset-password#(\S+)", _text(mail))
    assert link is not None
    assert (mail["To"], mail["Subject"]) == (signed_in.user.email, "Neues Passwort für Replyco")
    assert _text(mail).splitlines()[-1] == "Hilfe: help@replyco.example"
    async with sessions.begin() as session:
        stored = (await session.execute(text("SELECT row_to_json(n)::text FROM notices n"))).scalars().all()
        reset = (await session.scalars(select(PasswordReset))).one()
    assert link[1] not in "".join(stored)
    assert reset.token_hash is not None
    assert link[1].encode() not in reset.token_hash

    used = await nobody.post(
        f"{API}/password-resets/use", json={"token": link[1], "new": NEW}, headers=FIREFOX
    )
    await send_due(mailer, datetime.now(UTC))

    assert used.status_code == 204
    assert mailbox.mails[1]["Subject"] == "Das Passwort für Replyco wurde geändert"
    assert "Firefox, Windows" in _text(mailbox.mails[1])
    body = {"email": signed_in.user.email, "password": NEW}
    assert (await new_client().post(f"{API}/sessions", json=body)).status_code == 201


async def test_a_link_that_is_over_is_not_sent(
    signed_in: SignedIn, nobody, mailer: NoticeMailer, mailbox: Mailbox
):
    await nobody.post(f"{API}/password-resets", json={"email": signed_in.user.email})

    await send_due(mailer, datetime.now(UTC) + RESET_LIFETIME + timedelta(seconds=1))

    assert mailbox.mails == []


async def test_a_new_browser_is_told_but_not_the_first_one(
    signed_in: SignedIn, nobody, new_client, *, mailer: NoticeMailer, mailbox: Mailbox, sessions: Sessions
):
    body = {"email": signed_in.user.email, "password": PASSWORD}
    first = await nobody.post(f"{API}/sessions", json=body)
    again = await nobody.post(f"{API}/sessions", json=body)
    await send_due(mailer, datetime.now(UTC))
    assert (first.status_code, again.status_code, mailbox.mails) == (201, 201, [])
    async with sessions.begin() as session:
        await session.execute(update(User).values(language="en"))

    other = new_client(address="203.0.113.7", **FIREFOX)
    await other.post(f"{API}/sessions", json=body)
    await send_due(mailer, datetime.now(UTC))

    (mail,) = mailbox.mails
    assert mail["Subject"] == "A sign-in to Replyco with a new browser"
    for word in ("Firefox, Windows", "203.0.113.7/32", f"{URL}/profile", signed_in.user.name):
        assert word in _text(mail)


async def test_whoever_changes_second_factors_is_told(
    signed_in: SignedIn,
    sign_in_as,
    mailer: NoticeMailer,
    mailbox: Mailbox,
    device: Authenticator,
):
    colleague = await sign_in_as()
    await set_up_app(colleague)
    await add_passkey(colleague, device)
    await signed_in.client.delete(f"{API}/users/{colleague.user.id}/second-factor")

    await send_due(mailer, datetime.now(UTC))

    assert {mail["To"] for mail in mailbox.mails} == {colleague.user.email}
    assert sorted(mail["Subject"] for mail in mailbox.mails) == [
        "Der zweite Faktor für Replyco wurde geändert",
        "Der zweite Faktor für Replyco wurde geändert",
        "Der zweite Faktor für Replyco wurde zurückgesetzt",
    ]


async def test_a_disabled_user_gets_no_mail(
    signed_in: SignedIn, nobody, mailer: NoticeMailer, mailbox: Mailbox, sessions: Sessions
):
    await nobody.post(f"{API}/password-resets", json={"email": signed_in.user.email})
    async with sessions.begin() as session:
        await session.execute(update(User).values(disabled_at=datetime.now(UTC)))

    await send_due(mailer, datetime.now(UTC))

    assert mailbox.mails == []
    async with sessions.begin() as session:
        assert (await session.scalars(select(Notice.state))).all() == ["sent"]
