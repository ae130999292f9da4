"""What says that it is Amazon's is held to it before anybody sees it, and nobody's DNS holds up a mail for ever."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, update

from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.authenticity.nameservers import UNANSWERED_SECONDS, NameServers
from services.mailrelay.authenticity.verdict import Verdict
from services.mailrelay.delivery.authentication import PATIENCE, recheck_at, wait_before_storing
from services.mailrelay.delivery.queue import requeue_for_recheck
from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.crypto.envelope import AccountKeys, Place
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import (
    AcceptedMail,
    Authenticity,
    Conversation,
    ConversationOrder,
    Integration,
    JobRow,
    MailState,
    Message,
)
from tests.integration.mailrelay.delivery.conftest import Accept, Store, mail
from tests.signing import NameServer, name_server, signed

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TEMPORARY = Verdict(Authenticity.UNCHECKABLE, "dns_unavailable", is_temporary=True)
# How long a name server that is there may take on a busy machine.
_ANSWER_SECONDS = 20.0


class Dns:
    """A name server that a test changes, and what asks it."""

    def __init__(self, server: NameServer) -> None:
        self.zone = server.zone
        self._now = 1000.0
        self.resolver = NameServers(
            [server.address],
            DnsMetrics(CollectorRegistry()),
            question_seconds=_ANSWER_SECONDS,
            now=lambda: self._now,
        )

    def goes_away(self) -> None:
        """It answers no more. To wait for it would tell nothing."""
        self.zone.is_dead = True
        self._wait_for_answers(0.1)

    async def comes_back(self) -> None:
        """It answers again, and what was asked meanwhile is forgotten."""
        await asyncio.gather(*self.resolver._pending.values())
        self.zone.is_dead = False
        self._wait_for_answers(_ANSWER_SECONDS)
        self._now += 60

    def _wait_for_answers(self, seconds: float) -> None:
        self.resolver._question_seconds = seconds
        self.resolver._resolver.timeout = min(2.0, seconds)


@pytest.fixture
async def dns() -> AsyncIterator[Dns]:
    with name_server() as server:
        dns = Dns(server)
        yield dns
        await dns.resolver.close()


@pytest.fixture
async def watched(delivery: Delivery, dns: Dns) -> Delivery:
    """A worker with a name server that this test changes."""
    return replace(delivery, resolver=dns.resolver)


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    return owner_sessions


async def only_message(sessions: Sessions) -> tuple[Message, Conversation]:
    async with sessions() as session:
        message = (await session.scalars(select(Message))).one()
        conversation = await session.get_one(Conversation, message.conversation_id)
        return message, conversation


async def waiting(sessions: Sessions, mail_id: UUID) -> tuple[str, int, str | None]:
    async with sessions() as session:
        row = (await session.scalars(select(AcceptedMail).where(AcceptedMail.id == mail_id))).one()
        return row.state, row.attempts, row.failure_code


async def make_old(owner: Sessions, age: timedelta) -> None:
    """As if the mails had been accepted so long ago, and their next attempt were due."""
    async with owner.begin() as session:
        await session.execute(
            update(AcceptedMail).values(next_attempt_at=func.now(), accepted_at=func.now() - age)
        )


async def set_messages(owner: Sessions, **columns: Any) -> None:
    async with owner.begin() as session:
        await session.execute(update(Message).values(columns))


async def test_a_signed_mail_is_authentic_and_says_why(
    delivery: Delivery, accept: Accept, sessions: Sessions, keyring: Keyring, store: Store
):
    await accept(mail("buyer-question"))
    await deliver_due(delivery)

    message, conversation = await only_message(sessions)
    keys: AccountKeys = await keyring.of(sessions, store.account_id)
    assert (message.authenticity, message.authenticity_reason) == ("authentic", "signed_by_amazon")
    assert message.authentication_results is not None
    results = keys.open_text(
        Place("messages", "authentication_results", message.id), message.authentication_results
    )
    assert results.startswith("mailrelay; dkim=pass header.d=amazon.de")
    assert (conversation.status, message.recheck_at) == ("open", None)
    assert delivery.metrics.judged.labels("authentic", "signed_by_amazon")._value.get() == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("buyer-question", "not_signed"),
        ("lookalike-domain", "lookalike_domain"),
        ("two-from-headers", "two_senders"),
        ("lookalike-display-name", "display_name"),
    ],
)
async def test_what_only_claims_to_be_amazons_is_kept_apart(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions, name: str, reason: str
):
    await accept_forged(mail(name))
    await deliver_due(delivery)

    message, conversation = await only_message(sessions)
    assert (message.authenticity, message.authenticity_reason) == ("forged", reason)
    assert conversation.status == "quarantine"
    async with sessions() as session:
        integration = (await session.scalars(select(Integration))).one()
    assert (integration.first_authentic_mail_at, integration.last_message_at) == (None, None)


async def test_a_changed_mail_is_kept_apart(delivery: Delivery, accept_forged: Accept, sessions: Sessions):
    await accept_forged(signed(mail("buyer-question")).replace(b"zu grob", b"zu fein"))
    await deliver_due(delivery)

    message, _ = await only_message(sessions)
    assert (message.authenticity, message.authenticity_reason) == ("forged", "body_changed")


async def test_a_stranger_asks_nothing_of_the_dns(
    watched: Delivery, dns: Dns, accept: Accept, sessions: Sessions
):
    await accept(b"From: shop@stranger.example\r\nSubject: Hello\r\n\r\nHello\r\n")
    await deliver_due(watched)

    message, conversation = await only_message(sessions)
    assert (message.authenticity, conversation.status) == ("stranger", "open")
    assert dns.zone.asked == []


async def test_a_second_mail_of_a_signer_asks_nothing(watched: Delivery, dns: Dns, accept: Accept):
    await accept(mail("buyer-question"))
    await deliver_due(watched)
    asked = len(dns.zone.asked)

    await accept(mail("buyer-question-quotes-markers"))
    await deliver_due(watched)

    assert asked > 0
    assert len(dns.zone.asked) == asked


async def test_a_mail_waits_for_a_dns_that_is_away_and_spends_no_attempt(
    watched: Delivery, dns: Dns, accept: Accept, sessions: Sessions, owner: Sessions
):
    dns.goes_away()
    mail_id = await accept(mail("buyer-question"))
    await deliver_due(watched)
    assert await waiting(sessions, mail_id) == (MailState.ACCEPTED, 0, "authenticity_unchecked")

    await dns.comes_back()
    await make_old(owner, timedelta(seconds=30))
    await deliver_due(watched)

    message, _ = await only_message(sessions)
    assert message.authenticity == "authentic"


async def test_a_whole_batch_finds_out_once_that_the_dns_is_away(
    watched: Delivery, dns: Dns, accept: Accept, sessions: Sessions
):
    dns.goes_away()
    for number in range(30):
        await accept(mail("buyer-question") + b"%d\r\n" % number)

    await deliver_due(watched)

    async with sessions() as session:
        codes = list(await session.scalars(select(AcceptedMail.failure_code)))
    assert codes == ["authenticity_unchecked"] * 30


async def test_after_ten_minutes_it_is_shown_as_what_could_not_be_checked(
    watched: Delivery, dns: Dns, accept: Accept, sessions: Sessions, owner: Sessions
):
    dns.goes_away()
    mail_id = await accept(mail("buyer-question"))
    await make_old(owner, PATIENCE)

    await deliver_due(watched)

    message, conversation = await only_message(sessions)
    assert (message.authenticity, message.authenticity_reason) == ("uncheckable", "dns_unavailable")
    assert message.recheck_at is not None
    assert conversation.status == "quarantine"
    assert (await waiting(sessions, mail_id))[0] == MailState.DELIVERED


class _NoRecords:
    async def ask(self, name: str, kind: str, *, proves: bool = True) -> tuple[str, ...]:
        return ()


async def test_a_copy_that_proves_nothing_does_not_swallow_the_true_mail_behind_it(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    await accept(mail("buyer-question"))
    await deliver_due(replace(delivery, resolver=_NoRecords()))
    before, quarantine = await only_message(sessions)

    await accept(mail("buyer-question"))
    await deliver_due(delivery)

    after, conversation = await only_message(sessions)
    assert (before.authenticity, quarantine.status) == ("forged", "quarantine")
    assert (after.authenticity, conversation.status) == ("authentic", "open")
    assert conversation.answer_due_at is not None


async def test_a_true_copy_that_nobody_can_check_yet_is_checked_until_it_proves_the_message(
    watched: Delivery, dns: Dns, accept: Accept, sessions: Sessions, owner: Sessions
):
    await accept(mail("buyer-question"))
    await deliver_due(replace(watched, resolver=_NoRecords()))
    dns.goes_away()
    true_copy = await accept(mail("buyer-question"))
    await make_old(owner, PATIENCE)

    await deliver_due(watched)
    meanwhile, quarantine = await only_message(sessions)
    still_waits = await waiting(sessions, true_copy)
    await dns.comes_back()
    await make_old(owner, PATIENCE)
    await deliver_due(watched)

    after, conversation = await only_message(sessions)
    assert (meanwhile.authenticity, quarantine.status) == ("forged", "quarantine")
    assert still_waits == (MailState.ACCEPTED, 0, "authenticity_unchecked")
    assert (after.id, after.authenticity, conversation.status) == (meanwhile.id, "authentic", "open")
    assert (await waiting(sessions, true_copy))[0] == MailState.DELIVERED
    assert await deliver_due(watched) == 0


async def test_a_copy_that_nobody_could_check_for_a_week_is_checked_no_more(
    watched: Delivery, dns: Dns, accept: Accept, sessions: Sessions, owner: Sessions
):
    await accept(mail("buyer-question"))
    await deliver_due(replace(watched, resolver=_NoRecords()))
    dns.goes_away()
    copy = await accept(mail("buyer-question"))
    await make_old(owner, timedelta(days=8))

    await deliver_due(watched)

    message, conversation = await only_message(sessions)
    assert (message.authenticity, conversation.status) == ("forged", "quarantine")
    assert (await waiting(sessions, copy))[0] == MailState.DELIVERED


@pytest.fixture
async def unchecked(watched: Delivery, dns: Dns, accept: Accept, owner: Sessions) -> Delivery:
    """A worker that has put a true mail into quarantine, because the DNS was away; now it is back."""
    dns.goes_away()
    await accept(mail("buyer-question"))
    await make_old(owner, PATIENCE)
    await deliver_due(watched)
    await dns.comes_back()
    return watched


async def recheck(delivery: Delivery, owner: Sessions) -> int:
    """As if the time for it had come."""
    async with owner.begin() as session:
        await session.execute(
            update(Message).where(Message.recheck_at.is_not(None)).values(recheck_at=func.now())
        )
    async with delivery.sessions.begin() as session:
        requeued = await requeue_for_recheck(session)
    await deliver_due(delivery)
    return requeued


async def test_a_second_look_lets_a_true_mail_out(unchecked: Delivery, sessions: Sessions, owner: Sessions):
    assert await recheck(unchecked, owner) == 1

    message, conversation = await only_message(sessions)
    assert (message.authenticity, message.authenticity_reason) == ("authentic", "signed_by_amazon")
    assert (conversation.status, message.recheck_at) == ("open", None)
    assert conversation.answer_due_at == message.answer_due_at
    async with sessions() as session:
        integration = (await session.scalars(select(Integration))).one()
    assert integration.last_message_at == message.received_at
    assert integration.first_authentic_mail_at == message.received_at
    async with owner() as session:
        assert set(await session.scalars(select(ConversationOrder.is_proven))) == {True}
        jobs = select(JobRow.subject_id).where(JobRow.kind == "fetch_orders_of_conversation")
        assert await session.scalar(jobs) == message.conversation_id
    assert await recheck(unchecked, owner) == 0


async def test_a_second_look_keeps_a_forged_mail_in(
    unchecked: Delivery, dns: Dns, sessions: Sessions, owner: Sessions
):
    dns.zone.text("test._domainkey.amazon.de", "v=DKIM1; p=")

    await recheck(unchecked, owner)

    message, conversation = await only_message(sessions)
    assert (message.authenticity, message.authenticity_reason) == ("forged", "key_revoked")
    assert (conversation.status, message.recheck_at) == ("quarantine", None)


async def test_a_second_look_that_is_not_answered_is_followed_by_a_third(
    unchecked: Delivery, dns: Dns, sessions: Sessions, owner: Sessions
):
    dns.goes_away()

    await recheck(unchecked, owner)

    message, conversation = await only_message(sessions)
    assert (message.authenticity, conversation.status) == ("uncheckable", "quarantine")
    assert message.recheck_at is not None
    assert message.recheck_at > datetime.now(UTC) + timedelta(minutes=5)


async def test_what_an_agent_has_let_out_is_not_looked_at_again(
    unchecked: Delivery, sessions: Sessions, owner: Sessions
):
    async with owner.begin() as session:
        await session.execute(update(Conversation).values(status="open"))

    assert await recheck(unchecked, owner) == 0

    message, _ = await only_message(sessions)
    assert (message.authenticity, message.recheck_at) == ("uncheckable", None)


async def test_a_second_look_that_dies_is_made_again(unchecked: Delivery, owner: Sessions):
    await set_messages(owner, recheck_at=func.now())
    async with unchecked.sessions.begin() as session:
        assert await requeue_for_recheck(session) == 1

    async with unchecked.sessions() as session:
        left = (await session.scalars(select(Message.recheck_at))).one()
    assert left is not None
    assert left > datetime.now(UTC)


def test_the_waits_grow_and_end():
    waits = [
        wait_before_storing(TEMPORARY, NOW, NOW + timedelta(seconds=age))
        for age in (0, 20, 60, 300, 599, 600)
    ]

    assert [wait and wait.total_seconds() for wait in waits] == [5, 10, 30, 60, 60, None]
    assert wait_before_storing(Verdict(Authenticity.FORGED, "not_signed"), NOW, NOW) is None
    assert wait_before_storing(Verdict(Authenticity.UNCHECKABLE, "check_failed"), NOW, NOW) is None


def test_the_looks_become_rarer_and_end_after_a_week():
    ages = [timedelta(minutes=10), timedelta(minutes=20), timedelta(hours=2), timedelta(hours=13)]
    looks = [recheck_at(TEMPORARY, NOW, NOW + age) for age in (*ages, timedelta(days=7))]

    assert [
        look and look - NOW - age for look, age in zip(looks, (*ages, timedelta(days=7)), strict=True)
    ] == [
        timedelta(minutes=10),
        timedelta(hours=1),
        timedelta(hours=6),
        timedelta(days=1),
        None,
    ]
    assert recheck_at(Verdict(Authenticity.UNCHECKABLE, "check_failed"), NOW, NOW) is None
    assert UNANSWERED_SECONDS <= 5  # the first wait finds the question asked again


UNSIGNED = (
    b"X-Pad: 1",
    b"X-Forwarded-For: shop@mail.example",
    b"X-Gm-Message-State: AOJu",
    b"X-Spam-Status: No",
    b"List-Id: <x>",
)


async def test_copies_with_other_unsigned_lines_are_one_message(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions
):
    true = signed(mail("buyer-question"))
    for line in UNSIGNED:
        await accept_forged(line + b"\r\n" + true)
    await deliver_due(delivery)
    await accept_forged(true)
    await accept_forged(true.replace(b"\r\n\r\n", b"\r\nX-Pad: 2\r\n\r\n", 1))

    await deliver_due(delivery)

    message, conversation = await only_message(sessions)
    assert (message.authenticity, conversation.message_count) == ("authentic", 1)
    assert delivery.metrics.duplicates._value.get() == len(UNSIGNED) + 1


@pytest.mark.parametrize(
    "line",
    [
        b"Auto-Submitted: auto-replied",
        b"Content-Transfer-Encoding: base64",
        b"X-Marketplace-ID: A1RKKUPIHCS9HS",
    ],
)
async def test_a_line_that_nobody_has_signed_changes_nothing(
    *,
    delivery: Delivery,
    accept_forged: Accept,
    sessions: Sessions,
    keyring: Keyring,
    store: Store,
    line: bytes,
):
    await accept_forged(line + b"\r\n" + signed(mail("buyer-question")))

    await deliver_due(delivery)

    message, conversation = await only_message(sessions)
    keys = await keyring.of(sessions, store.account_id)
    text = keys.open_text(Place("messages", "body_text", message.id), message.body_text)
    assert "zu grob" in text
    assert (message.kind, message.country, message.language) == ("buyer_message", "DE", "de")
    assert conversation.answer_due_at == message.answer_due_at is not None


def with_a_wrong_signature(raw: bytes, *names: bytes) -> bytes:
    """Signed over the right lines, and these, but not with Amazon's key."""
    own = signed(raw, *names)
    value = re.search(rb" b=([A-Za-z0-9+/=\s]+?)\r\n(?=\S)", own)
    assert value is not None
    return own[: value.start(1)] + base64.b64encode(bytes(64)) + own[value.end(1) :]


@pytest.mark.parametrize("is_forged_first", [True, False])
async def test_a_forged_copy_and_the_true_mail_are_one_message_in_either_order(
    *,
    delivery: Delivery,
    accept_forged: Accept,
    sessions: Sessions,
    keyring: Keyring,
    store: Store,
    is_forged_first: bool,
):
    forged = b"Auto-Submitted: auto-replied\r\n" + with_a_wrong_signature(mail("buyer-question"))
    copies = [forged, signed(mail("buyer-question"))]
    for raw in copies if is_forged_first else reversed(copies):
        await accept_forged(raw)
        await deliver_due(delivery)

    message, conversation = await only_message(sessions)
    assert (message.authenticity, conversation.status) == ("authentic", "open")
    assert (message.kind, conversation.answer_due_at) == ("buyer_message", message.answer_due_at)


async def test_a_forged_signature_above_the_true_one_covers_nothing(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions
):
    """It would have covered a line that the true one does not."""
    true = signed(mail("buyer-question"))
    with_line = b"Auto-Submitted: auto-replied\r\n" + mail("buyer-question")
    forged = with_a_wrong_signature(with_line, b"auto-submitted").removesuffix(mail("buyer-question"))
    await accept_forged(forged + true)
    await accept_forged(true)

    await deliver_due(delivery)

    message, _ = await only_message(sessions)
    assert (message.authenticity, message.kind) == ("authentic", "buyer_message")
