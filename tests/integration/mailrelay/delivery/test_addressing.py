"""A true mail of Amazon's counts only where Amazon has sent it: whoever sends it on, unchanged, gains nothing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import func, insert, select, text, update
from typing_extensions import override

from services.mailrelay.delivery.parser_pool import ParsedTurn, ParserPool
from services.mailrelay.delivery.queue import count_stores_addressed_elsewhere, requeue_for_recheck
from services.mailrelay.delivery.service import Delivery, deliver_due
from services.mailrelay.settings import AddressedElsewhere
from shared.crypto.envelope import Place
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import (
    AcceptedMail,
    Conversation,
    ForwardedMailbox,
    Integration,
    JobRow,
    Message,
    SeenSignature,
    SetupStep,
)
from tests.conftest import Keys
from tests.integration.mailrelay.delivery.conftest import Accept, Store, accepted_row, mail, make_store
from tests.signing import signed

SHOP = "shop@mail.example"

AcceptFor = Callable[[Store, bytes], Awaitable[None]]


def sent_to(recipient: str, name: str = "buyer-question") -> bytes:
    """A mail that Amazon has signed, to this recipient."""
    return signed(mail(name).replace(b"mabtekrud@replyco.email", recipient.encode()))


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    return owner_sessions


@pytest.fixture
async def accept_for(owner: Sessions, keys: Keys) -> AcceptFor:
    """Accept a mail for any store's address."""

    async def accept(store: Store, raw: bytes) -> None:
        async with owner.begin() as session:
            await session.execute(insert(AcceptedMail).values(accepted_row(store, keys.mail_public_key, raw)))

    return accept


async def confirm(owner: Sessions, keyring: Keyring, store: Store, address: str) -> None:
    """As an administrator does it."""
    keys = await keyring.of(owner, store.account_id)
    mailbox_id = new_id()
    async with owner.begin() as session:
        session.add(
            ForwardedMailbox(
                id=mailbox_id,
                account_id=store.account_id,
                integration_id=store.integration.id,
                address=keys.seal_text(Place("forwarded_mailboxes", "address", mailbox_id), address),
                address_key=keys.lookup_hash("mailbox", address),
            )
        )


async def messages(sessions: Sessions) -> list[tuple[str, str | None, str]]:
    """Verdict, reason, and the state of the conversation, in the order in which they came."""
    async with sessions() as session:
        rows = await session.execute(
            select(Message.authenticity, Message.authenticity_reason, Conversation.status)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .order_by(Message.received_at, Message.id)
        )
        return [(row.authenticity, row.authenticity_reason, row.status) for row in rows]


async def integration_of(sessions: Sessions, store: Store) -> Integration:
    async with sessions() as session:
        return await session.get_one(Integration, store.integration.id)


async def nothing_has_counted(sessions: Sessions, store: Store) -> bool:
    integration = await integration_of(sessions, store)
    async with sessions() as session:
        rows = [*await session.scalars(select(SetupStep)), *await session.scalars(select(JobRow))]
        due = list(await session.scalars(select(Conversation.answer_due_at)))
    return (integration.last_message_at, integration.first_authentic_mail_at, rows, set(due)) == (
        None,
        None,
        [],
        {None},
    )


@pytest.mark.parametrize(
    "to",
    [
        "mabtekrud@replyco.email",
        "MabTekRud@Replyco.Email",
        "mabtekrud+shop@replyco.email",
        "Lampen <mabtekrud@replyco.email>",
        f"{SHOP}, mabtekrud@replyco.email",
        f"{SHOP}\r\nCc: mabtekrud@replyco.email",
    ],
)
async def test_a_mail_that_names_this_address_counts(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions, store: Store, to: str
):
    raw = mail("buyer-question").replace(b"mabtekrud@replyco.email", to.encode())
    await accept_forged(signed(raw, b"cc") if "Cc:" in to else signed(raw))

    await deliver_due(delivery)

    assert await messages(sessions) == [("authentic", "signed_by_amazon", "open")]
    integration = await integration_of(sessions, store)
    assert integration.first_authentic_mail_at is not None
    assert (integration.misdirected_mail_at, integration.forwarded_mail_at) == (None, None)
    async with sessions() as session:
        message = (await session.scalars(select(Message))).one()
    assert (message.sent_to, message.sent_to_keys) == (None, [])


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("nefpotdak@replyco.email", "replayed"),
        ("NefPotDak+x@REPLYCO.email", "replayed"),
        (f"{SHOP}, nefpotdak@replyco.email", "replayed"),
        (SHOP, "not_addressed_here"),
        ("mabtekrud@replyco.email.evil.example", "not_addressed_here"),
        ('"mabtekrud@replyco.email" <shop@mail.example>', "not_addressed_here"),
        ("shop@mail.example (mabtekrud@replyco.email)", "not_addressed_here"),
        ("undisclosed-recipients:;", "not_addressed_here"),
    ],
)
async def test_a_true_mail_to_somebody_else_turns_nothing_green(
    *, delivery: Delivery, accept_forged: Accept, sessions: Sessions, store: Store, to: str, reason: str
):
    await accept_forged(sent_to(to))

    await deliver_due(delivery)

    assert await messages(sessions) == [("misdirected", reason, "quarantine")]
    assert await nothing_has_counted(sessions, store)
    assert delivery.metrics.judged.labels("misdirected", reason)._value.get() == 1


async def test_an_unsigned_line_does_not_address_a_mail(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions, store: Store
):
    added = b"Cc: mabtekrud@replyco.email\r\nDelivered-To: mabtekrud@replyco.email\r\n"
    await accept_forged(added + sent_to(SHOP))
    without_to = mail("order-notice").replace(b"To: mabtekrud@replyco.email\r\n", b"")
    await accept_forged(b"To: mabtekrud@replyco.email\r\n" + signed(without_to))

    await deliver_due(delivery)

    assert await messages(sessions) == [("misdirected", "not_addressed_here", "quarantine")] * 2
    assert await nothing_has_counted(sessions, store)


async def test_whom_it_was_sent_to_is_kept_sealed(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions, keyring: Keyring, store: Store
):
    await accept_forged(sent_to("Shop <Shop@Mail.Example>, b@mail.example"))

    await deliver_due(delivery)

    keys = await keyring.of(sessions, store.account_id)
    async with sessions() as session:
        message = (await session.scalars(select(Message))).one()
    assert message.sent_to is not None
    assert keys.open_text(Place("messages", "sent_to", message.id), message.sent_to) == (
        "shop@mail.example\nb@mail.example"
    )
    assert message.sent_to_keys == [
        keys.lookup_hash("mailbox", one) for one in ("shop@mail.example", "b@mail.example")
    ]


async def test_a_mail_to_a_mailbox_that_is_forwarded_here_counts(
    *,
    delivery: Delivery,
    accept_forged: Accept,
    sessions: Sessions,
    owner: Sessions,
    keyring: Keyring,
    store: Store,
):
    await confirm(owner, keyring, store, SHOP)
    await accept_forged(sent_to(SHOP.upper()))

    await deliver_due(delivery)

    assert await messages(sessions) == [("authentic", "signed_by_amazon", "open")]
    integration = await integration_of(sessions, store)
    assert integration.first_authentic_mail_at == integration.forwarded_mail_at is not None
    assert integration.misdirected_mail_at is None


async def test_a_mailbox_that_another_store_has_confirmed_says_nothing_here(
    *,
    delivery: Delivery,
    accept_forged: Accept,
    sessions: Sessions,
    owner: Sessions,
    keyring: Keyring,
    store: Store,
):
    other = await make_store(sessions, keyring, local_part="nefpotdak")
    await confirm(owner, keyring, other, SHOP)
    await accept_forged(sent_to(SHOP))

    await deliver_due(delivery)

    assert await messages(sessions) == [("misdirected", "not_addressed_here", "quarantine")]


async def test_what_another_account_had_before_is_a_replay(
    *, delivery: Delivery, accept_for: AcceptFor, sessions: Sessions, keyring: Keyring, store: Store
):
    other = await make_store(sessions, keyring, local_part="nefpotdak")
    await accept_for(other, sent_to(SHOP))
    await deliver_due(delivery)
    await accept_for(store, b"X-Pad: 1\r\n" + sent_to(SHOP))

    await deliver_due(delivery)

    assert await messages(sessions) == [
        ("misdirected", "not_addressed_here", "quarantine"),
        ("misdirected", "replayed", "quarantine"),
    ]


async def test_of_two_accounts_at_once_one_is_the_first(
    *, delivery: Delivery, accept_for: AcceptFor, sessions: Sessions, keyring: Keyring, store: Store
):
    other = await make_store(sessions, keyring, local_part="nefpotdak")
    await accept_for(other, sent_to(SHOP))
    await accept_for(store, sent_to(SHOP))

    await deliver_due(delivery)

    assert sorted(reason or "" for _, reason, _ in await messages(sessions)) == [
        "not_addressed_here",
        "replayed",
    ]


async def test_whoever_had_it_first_does_not_hurt_whom_it_is_for(
    *,
    delivery: Delivery,
    accept_for: AcceptFor,
    sessions: Sessions,
    owner: Sessions,
    keyring: Keyring,
    store: Store,
):
    """Neither a mail that names the address, nor one to a mailbox that is confirmed."""
    thief = await make_store(sessions, keyring, local_part="nefpotdak")
    direct, forwarded = sent_to("mabtekrud@replyco.email"), sent_to(SHOP, "order-notice")
    await accept_for(thief, direct)
    await accept_for(thief, forwarded)
    await deliver_due(delivery)
    await confirm(owner, keyring, store, SHOP)
    await accept_for(store, direct)
    await accept_for(store, forwarded)

    await deliver_due(delivery)

    found = await messages(sessions)
    assert [verdict for verdict, _, _ in found] == ["misdirected", "misdirected", "authentic", "authentic"]


async def test_a_mail_that_names_us_is_not_remembered_across_accounts(
    delivery: Delivery, accept_forged: Accept, owner: Sessions
):
    await accept_forged(sent_to("mabtekrud@replyco.email"))
    await deliver_due(delivery)

    async with owner.begin() as session:
        assert (await session.scalars(select(SeenSignature))).all() == []


async def test_the_rule_can_be_a_mark(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions, store: Store
):
    await accept_forged(sent_to(SHOP))
    await accept_forged(sent_to("nefpotdak@replyco.email", "order-notice"))

    await deliver_due(replace(delivery, addressed_elsewhere=AddressedElsewhere.MARK))

    assert sorted(await messages(sessions)) == [
        ("authentic", "not_addressed_here", "open"),
        ("misdirected", "replayed", "quarantine"),
    ]
    integration = await integration_of(sessions, store)
    assert integration.first_authentic_mail_at is not None
    assert integration.forwarded_mail_at is not None


async def test_whoever_sends_a_true_mail_on_is_not_taken_for_amazon(
    *,
    delivery: Delivery,
    accept_forged: Accept,
    sessions: Sessions,
    owner: Sessions,
    keyring: Keyring,
    store: Store,
):
    """A seller who forwards Amazon's mail from a host of their own would have it let through as Amazon's are."""
    await confirm(owner, keyring, store, SHOP)
    await accept_forged(sent_to(SHOP))
    await accept_forged(sent_to("elsewhere@mail.example", "order-notice"))

    marking = replace(delivery, addressed_elsewhere=AddressedElsewhere.MARK)
    while await deliver_due(marking):
        pass

    assert sorted(await messages(sessions)) == [
        ("authentic", "not_addressed_here", "open"),
        ("authentic", "signed_by_amazon", "open"),
    ]
    async with owner.begin() as session:
        assert (await session.execute(text("SELECT network FROM proven_networks"))).all() == []


async def recheck(delivery: Delivery, owner: Sessions) -> int:
    """As the connector's worker asks for it, for every message that is misdirected."""
    async with owner.begin() as session:
        await session.execute(
            update(Message).where(Message.authenticity == "misdirected").values(recheck_at=func.now())
        )
    async with delivery.sessions.begin() as session:
        requeued = await requeue_for_recheck(session)
    await deliver_due(delivery)
    return requeued


async def test_what_waited_becomes_an_ordinary_message_once_its_mailbox_is_confirmed(
    *,
    delivery: Delivery,
    accept_forged: Accept,
    sessions: Sessions,
    owner: Sessions,
    keyring: Keyring,
    store: Store,
):
    await accept_forged(sent_to(SHOP))
    await deliver_due(delivery)
    await confirm(owner, keyring, store, SHOP)

    assert await recheck(delivery, owner) == 1

    assert await messages(sessions) == [("authentic", "signed_by_amazon", "open")]
    async with sessions() as session:
        message = (await session.scalars(select(Message))).one()
        conversation = (await session.scalars(select(Conversation))).one()
    assert conversation.answer_due_at == message.answer_due_at is not None
    integration = await integration_of(sessions, store)
    assert integration.first_authentic_mail_at == integration.last_message_at == message.received_at
    assert await recheck(delivery, owner) == 0


async def test_what_still_names_a_stranger_stays_where_it_is(
    delivery: Delivery, accept_forged: Accept, sessions: Sessions, owner: Sessions, store: Store
):
    await accept_forged(sent_to(SHOP))
    await deliver_due(delivery)

    await recheck(delivery, owner)

    assert await messages(sessions) == [("misdirected", "not_addressed_here", "quarantine")]
    assert await nothing_has_counted(sessions, store)


async def test_a_mailbox_that_is_confirmed_while_its_mail_is_stored_is_noticed(
    *,
    delivery: Delivery,
    accept_forged: Accept,
    sessions: Sessions,
    owner: Sessions,
    keyring: Keyring,
    store: Store,
):
    """The worker has asked before, and stores after: the message asks for a second look by itself."""
    await accept_forged(sent_to(SHOP))
    with_late_confirmation = replace(
        delivery, parser=_ParsesAfter(delivery.parser, lambda: confirm(owner, keyring, store, SHOP))
    )

    await deliver_due(with_late_confirmation)

    async with sessions() as session:
        message = (await session.scalars(select(Message))).one()
    assert (message.authenticity, message.recheck_at is not None) == ("misdirected", True)
    async with delivery.sessions.begin() as session:
        assert await requeue_for_recheck(session) == 1
    await deliver_due(delivery)
    assert await messages(sessions) == [("authentic", "signed_by_amazon", "open")]


class _ParsesAfter(ParserPool):
    """The parser, after something that happens at this moment."""

    def __init__(self, parser: ParserPool, before: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._parser = parser
        self._before = before

    @override
    async def parse_for(self, mails: Sequence[bytes], *, turn_seconds: float) -> ParsedTurn:
        await self._before()
        return await self._parser.parse_for(mails, turn_seconds=turn_seconds)


async def test_stores_that_get_nothing_else_are_counted(
    *,
    delivery: Delivery,
    accept_for: AcceptFor,
    sessions: Sessions,
    owner: Sessions,
    keyring: Keyring,
    store: Store,
):
    healthy = await make_store(sessions, keyring, local_part="nefpotdak")
    await accept_for(store, sent_to(SHOP))
    await accept_for(healthy, sent_to("other@mail.example"))
    await accept_for(healthy, sent_to("nefpotdak@replyco.email"))
    await deliver_due(delivery)

    async with delivery.sessions() as session:
        assert await count_stores_addressed_elsewhere(session) == 1
    async with owner.begin() as session:
        await session.execute(
            update(Integration).values(misdirected_mail_at=func.now() - func.make_interval(0, 0, 0, 2))
        )
    async with delivery.sessions() as session:
        assert await count_stores_addressed_elsewhere(session) == 0
