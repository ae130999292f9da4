"""What becomes of accepted mail."""

import asyncio
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from deploy.demo.postgres import MAIL_WORKER, OWNER
from services.mailrelay.delivery.parser_pool import (
    PARSING_SECONDS,
    ParserDied,
    ParserPool,
    ParsingTookTooLong,
)
from services.mailrelay.delivery.queue import queue_age_seconds
from services.mailrelay.delivery.queue_start import QueueStart
from services.mailrelay.delivery.service import (
    CONTENTION_DELAY,
    DELAYS,
    LONGEST_CONTENTION_DELAY,
    MAX_BATCH,
    Delivery,
    deliver_due,
)
from shared.channels import EVENT_CHANNEL
from shared.crypto.envelope import AccountKeys, Place
from shared.crypto.key_provider import KeyFile
from shared.crypto.raw_mail import ContentKey
from shared.database import Sessions, create_engine, create_sessions, is_unavailable
from shared.driver import asyncpg_dsn
from shared.events import EventKind
from shared.jobs import Job
from shared.keyring import Keyring
from shared.tables import (
    AcceptedMail,
    Attachment,
    Conversation,
    Integration,
    JobRow,
    Lock,
    MailState,
    Message,
    SetupStep,
)
from tests.cases import every_case
from tests.conftest import Database, Keys
from tests.factories import make_user
from tests.integration.mailrelay.delivery.conftest import (
    MAILS,
    Accept,
    FrozenParsers,
    Store,
    accepted_row,
    deliver_in_each_lane,
    freeze,
    mail,
    make_store,
)
from tests.signing import signed


@pytest.fixture
async def account_keys(sessions: Sessions, keyring: Keyring, store: Store) -> AccountKeys:
    return await keyring.of(sessions, store.account_id)


async def all_messages(sessions: Sessions) -> list[Message]:
    async with sessions() as session:
        return list(await session.scalars(select(Message).order_by(Message.id)))


async def all_conversations(sessions: Sessions) -> list[Conversation]:
    async with sessions() as session:
        return list(await session.scalars(select(Conversation).order_by(Conversation.id)))


async def state_of(sessions: Sessions, mail_id: UUID) -> tuple[str, int, str | None]:
    async with sessions() as session:
        row = (await session.scalars(select(AcceptedMail).where(AcceptedMail.id == mail_id))).one()
        return row.state, row.attempts, row.failure_code


async def integration_of(sessions: Sessions, store: Store) -> Integration:
    async with sessions() as session:
        return (
            await session.scalars(select(Integration).where(Integration.id == store.integration.id))
        ).one()


async def make_due(database: Database) -> None:
    """As if the wait for the next attempt were over."""
    engine = create_engine(database.url(OWNER), application_name="tests-owner")
    async with create_sessions(engine).begin() as session:
        await session.execute(update(AcceptedMail).values(next_attempt_at=func.now()))
    await engine.dispose()


async def test_buyer_message_is_stored_sealed(
    delivery: Delivery, accept: Accept, sessions: Sessions, account_keys: AccountKeys, store: Store
):
    raw = signed(mail("buyer-question"))
    mail_id = await accept(raw)

    assert await deliver_due(delivery) == 1

    (message,) = await all_messages(sessions)
    assert message.body_html is not None
    assert message.subject is not None
    words = account_keys.open_text(Place("messages", "body_text", message.id), message.body_text)
    assert words == "Guten Tag,\n\ndie Mühle mahlt zu grob. Was kann ich tun?\n\nRobin"
    subject = account_keys.open_text(Place("messages", "subject", message.id), message.subject)
    assert subject == "Frage zur Mühle (Bestellung: 302-7654321-1234567)"
    assert (message.kind, message.from_amazon_domain, message.size) == ("buyer_message", True, len(raw))
    assert (message.integration_id, message.accepted_mail_id) == (store.integration.id, mail_id)
    assert message.sent_at == datetime(2026, 11, 2, 8, tzinfo=UTC)
    assert await state_of(sessions, mail_id) == (MailState.DELIVERED, 0, None)


async def test_raw_mail_opens_with_the_key_that_the_message_keeps(
    delivery: Delivery, accept: Accept, sessions: Sessions, account_keys: AccountKeys
):
    raw = signed(mail("buyer-question"))
    mail_id = await accept(raw)
    await deliver_due(delivery)

    (message,) = await all_messages(sessions)
    key = account_keys.open(Place("messages", "raw_key", message.id), message.raw_key)

    async with sessions() as session:
        accepted = (await session.scalars(select(AcceptedMail).where(AcceptedMail.id == mail_id))).one()
    assert accepted.raw is not None
    assert ContentKey(message.account_id, mail_id, key).open("raw", accepted.raw) == raw


async def test_conversation_names_order_and_buyer(
    delivery: Delivery, accept: Accept, sessions: Sessions, account_keys: AccountKeys
):
    await accept(mail("buyer-question"))
    await deliver_due(delivery)

    (conversation,) = await all_conversations(sessions)
    assert (conversation.order_id, conversation.country) == ("302-7654321-1234567", "DE")
    assert conversation.buyer_address is not None
    address = account_keys.open_text(
        Place("conversations", "buyer_address", conversation.id), conversation.buyer_address
    )
    assert address == "k3j4h5g6f7d8s9a@marketplace.amazon.de"
    assert conversation.buyer_key == account_keys.lookup_hash("buyer", address)


async def test_second_message_about_an_order_joins_its_conversation(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    await accept(mail("buyer-question"))
    await deliver_due(delivery)
    await accept(mail("buyer-question-quotes-markers"))
    await deliver_due(delivery)

    (conversation,) = await all_conversations(sessions)
    messages = await all_messages(sessions)
    assert conversation.message_count == 2
    assert {message.conversation_id for message in messages} == {conversation.id}
    assert conversation.last_message_at == messages[1].received_at


async def test_two_messages_of_a_batch_count_twice(delivery: Delivery, accept: Accept, sessions: Sessions):
    await accept(mail("buyer-question"))
    await accept(mail("buyer-question-quotes-markers"))

    assert await deliver_due(delivery) == 2

    (conversation,) = await all_conversations(sessions)
    assert conversation.message_count == 2


@pytest.mark.parametrize("in_one_batch", [True, False], ids=["in one batch", "later"])
async def test_redelivered_mail_is_no_second_message(
    delivery: Delivery, accept: Accept, sessions: Sessions, in_one_batch: bool
):
    first = await accept(mail("buyer-question"))
    if not in_one_batch:
        await deliver_due(delivery)
    again = await accept(b"Received: by another hop\r\n" + signed(mail("buyer-question")))

    await deliver_due(delivery)

    assert len(await all_messages(sessions)) == 1
    assert (await all_conversations(sessions))[0].message_count == 1
    assert {(await state_of(sessions, mail_id))[0] for mail_id in (first, again)} == {MailState.DELIVERED}


async def test_attachments_are_stored_under_a_safe_name(
    delivery: Delivery, accept: Accept, sessions: Sessions, account_keys: AccountKeys
):
    await accept(mail("buyer-question-cut-words-and-names"))
    await deliver_due(delivery)

    async with sessions() as session:
        rows = list(await session.scalars(select(Attachment).order_by(Attachment.position)))
    names = [account_keys.open_text(Place("attachments", "filename", row.id), row.filename) for row in rows]
    contents = [
        account_keys.open(Place("attachments", "content", row.id), row.content)
        for row in rows
        if row.content is not None
    ]
    assert names == ["färg.jpg", "räkning fdp.exe"]
    assert contents == [b"\xff\xd8\xff\xe0", b"%PDF-1.4\n"]
    assert (await all_messages(sessions))[0].attachment_count == 2


async def test_every_mail_of_the_folder_becomes_a_message(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    names = sorted(path.stem for path in MAILS.glob("*.eml"))
    for name in names:
        await accept(mail(name))

    while await deliver_due(delivery):
        pass

    assert len(await all_messages(sessions)) == len(names)


@pytest.mark.parametrize("lock", [Lock.PENDING, Lock.RED])
async def test_the_first_message_is_kept_as_a_fact_and_the_lock_is_left_to_the_connector(
    *, delivery: Delivery, accept: Accept, sessions: Sessions, store: Store, lock: Lock
):
    async with sessions.begin() as session:
        await session.execute(update(Integration).values(lock=lock))
    await accept(mail("buyer-question"))
    await deliver_due(delivery)

    integration = await integration_of(sessions, store)
    received_at = (await all_messages(sessions))[0].received_at
    assert (integration.first_authentic_mail_at, integration.last_message_at) == (received_at, received_at)
    assert integration.lock == lock
    assert await asked_for(sessions) == [(Job.RECOMPUTE_LOCK, integration.id, 1)]


async def test_that_amazon_confirms_the_address_is_kept_as_a_fact_once(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store
):
    await accept(mail("verification"))
    await deliver_due(delivery)
    [message] = await all_messages(sessions)
    await accept(mail("verification").replace(b"Message-ID: <1@", b"Message-ID: <2@"))
    await deliver_due(delivery)

    integration = await integration_of(sessions, store)
    assert (integration.verification_mail_at, integration.last_message_at) == (message.received_at, None)
    assert [requests for _, _, requests in await asked_for(sessions)] == [1]


async def test_later_messages_ask_for_nothing(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store
):
    await accept(mail("buyer-question"))
    await deliver_due(delivery)
    first = await integration_of(sessions, store)
    await accept(mail("order-notice"))
    await deliver_due(delivery)

    again = await integration_of(sessions, store)
    assert again.first_authentic_mail_at == first.first_authentic_mail_at
    assert [requests for _, _, requests in await asked_for(sessions)] == [1]


async def test_each_store_of_a_batch_gets_its_own_facts(
    *,
    delivery: Delivery,
    accept: Accept,
    sessions: Sessions,
    keyring: Keyring,
    keys: Keys,
    database: Database,
    store: Store,
):
    other = await make_store(sessions, keyring, local_part="nefpotdak")
    to_other = mail("order-notice").replace(b"mabtekrud@", b"nefpotdak@")
    owner = create_engine(database.url(OWNER), application_name="tests")
    async with create_sessions(owner).begin() as session:
        row = accepted_row(other, keys.mail_public_key, signed(to_other))
        await session.execute(insert(AcceptedMail).values(row))
    await owner.dispose()
    await accept(mail("buyer-question"))

    assert await deliver_due(delivery) == 2

    received_at = {message.integration_id: message.received_at for message in await all_messages(sessions)}
    ours, theirs = await integration_of(sessions, store), await integration_of(sessions, other)
    assert (ours.last_message_at, ours.first_authentic_mail_at) == (received_at[ours.id],) * 2
    assert (theirs.last_message_at, theirs.first_authentic_mail_at) == (None, received_at[theirs.id])
    assert {subject_id for _, subject_id, _ in await asked_for(sessions)} == {ours.id, theirs.id}


async def asked_for(sessions: Sessions) -> list[tuple[str, UUID, int]]:
    """The jobs that wait for the connector's worker, without those for the orders that the mails name."""
    async with sessions.begin() as session:
        rows = await session.execute(
            select(JobRow.kind, JobRow.subject_id, JobRow.requests).where(
                JobRow.kind != Job.FETCH_ORDERS_OF_CONVERSATION
            )
        )
        return [(kind, subject_id, requests) for kind, subject_id, requests in rows]


@pytest.mark.parametrize(
    "name", ["lookalike-domain", "two-from-headers", "not-a-mail", "delivery-failure-report"]
)
async def test_a_strangers_mail_proves_nothing(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store, name: str
):
    await accept(mail(name))
    await deliver_due(delivery)

    integration = await integration_of(sessions, store)
    assert (integration.first_authentic_mail_at, integration.last_message_at) == (None, None)


async def test_buyers_message_ticks_the_step_of_its_country(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store
):
    await accept(mail("buyer-question"))
    await accept(mail("buyer-question-two-orders-tag-in-link"))  # from Spain, where this store does not sell
    await deliver_due(delivery)

    async with sessions() as session:
        steps = list(await session.scalars(select(SetupStep)))
    assert [(step.step, step.country, step.done_by) for step in steps] == [
        ("notification_preferences", "DE", None)
    ]


async def test_a_step_that_somebody_has_ticked_becomes_one_that_was_seen(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database, store: Store
):
    owner = create_engine(database.url(OWNER), application_name="tests")
    async with create_sessions(owner).begin() as session:
        user = await make_user(session, store.account_id)
        session.add(
            SetupStep(
                integration_id=store.integration.id,
                step="notification_preferences",
                country="DE",
                account_id=store.account_id,
                done_by=user.id,
            )
        )
    await owner.dispose()

    await accept(mail("buyer-question"))
    await deliver_due(delivery)

    async with sessions() as session:
        assert [step.done_by for step in await session.scalars(select(SetupStep))] == [None]


async def test_message_is_announced_with_ids_only(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database, store: Store
):
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await connection.add_listener(EVENT_CHANNEL, lambda *args: heard.put_nowait(str(args[-1])))
    await accept(mail("buyer-question"))

    await deliver_due(delivery)

    event_id = UUID(await asyncio.wait_for(heard.get(), 60))
    row = await connection.fetchrow("SELECT kind, ids FROM events WHERE id = $1", event_id)
    await connection.close()
    (message,) = await all_messages(sessions)
    assert row is not None
    assert row["kind"] == EventKind.MESSAGE_RECEIVED
    assert json.loads(row["ids"]) == {
        "integration_id": str(store.integration.id),
        "conversation_id": str(message.conversation_id),
        "message_id": str(message.id),
    }


async def test_more_than_a_batch_is_taken_in_batches(delivery: Delivery, accept: Accept, sessions: Sessions):
    for number in range(MAX_BATCH + 1):
        await accept(mail("buyer-question") + b"%d\r\n" % number)

    assert [await deliver_due(delivery) for _ in range(3)] == [MAX_BATCH, 1, 0]

    assert len(await all_messages(sessions)) == MAX_BATCH + 1


async def test_two_workers_deliver_each_mail_once(
    delivery: Delivery, accept: Accept, sessions: Sessions, store: Store
):
    for number in range(40):
        await accept(mail("buyer-question") + b"%d\r\n" % (number // 2))

    async def work() -> None:
        while await deliver_due(delivery):
            pass

    await asyncio.gather(*(work() for _ in range(4)))

    assert len(await all_messages(sessions)) == 20
    assert (await all_conversations(sessions))[0].message_count == 20


async def replace_mail_key(database: Database, mail_id: UUID, key_id: str) -> None:
    """As if the mail had been sealed to another key."""
    engine = create_engine(database.url(OWNER), application_name="tests-owner")
    async with create_sessions(engine).begin() as session:
        await session.execute(
            update(AcceptedMail).where(AcceptedMail.id == mail_id).values(mail_key_id=key_id)
        )
    await engine.dispose()


SLOW_MAIL = b"From: Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: Slow\r\n\r\nToo slow for parsers that stand still"


@pytest.fixture
def hurried_delivery(delivery: Delivery) -> Iterator[Delivery]:
    """A worker whose parser is never given the time that it needs."""
    parser = FrozenParsers()
    yield replace(delivery, parser=parser)
    parser.close()


@pytest.mark.batches_fail
async def test_one_bad_mail_does_not_hold_up_its_batch(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    bad = await accept(mail("buyer-question"))
    good = await accept(mail("order-notice"))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute("UPDATE accepted_mail SET raw = envelope WHERE id = $1", bad)
    await owner.close()

    await deliver_due(delivery)

    assert await state_of(sessions, good) == (MailState.DELIVERED, 0, None)
    assert await state_of(sessions, bad) == (MailState.ACCEPTED, 1, "seal_broken")


async def test_mails_of_several_known_conversations_are_stored_in_one_transaction(
    delivery: Delivery, accept: Accept, sessions: Sessions
):
    for message_id in (b"<1@example>", b"<2@example>"):
        for number in range(3):
            await accept(
                mail("buyer-question")
                .replace(b"<1@example>", message_id)
                .replace(b"k3j4h5g6f7d8s9a", b"b%014d" % number)
                .replace(b"302-7654321-1234567", b"302-7654321-%07d" % number)
                .replace(b"11111111-2222-4333-8444-555555555555", b"11111111-2222-4333-8444-%012d" % number)
            )
        await deliver_due(delivery)

    async with sessions.begin() as session:
        transactions = await session.scalar(
            select(func.count(func.distinct(text("messages.xmin::text")))).select_from(Message)
        )
        counts = (await session.scalars(select(Conversation.message_count))).all()
    assert counts == [2, 2, 2]
    assert transactions == 2


async def test_mail_that_cannot_be_parsed_is_shown_with_its_header(
    hurried_delivery: Delivery,
    accept: Accept,
    sessions: Sessions,
    account_keys: AccountKeys,
    database: Database,
):
    mail_id = await accept(SLOW_MAIL)

    for _ in range(3):
        await make_due(database)
        await deliver_in_each_lane(hurried_delivery)

    (message,) = await all_messages(sessions)
    assert message.kind == "unparseable"
    assert message.subject is not None
    subject = account_keys.open_text(Place("messages", "subject", message.id), message.subject)
    assert subject == "Slow"
    assert await state_of(sessions, mail_id) == (MailState.DELIVERED, 2, None)


async def test_mail_for_a_key_that_is_missing_waits_for_ever_and_is_whole_when_the_key_is_there(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    key_id = delivery.private_keys.current.key_id
    mail_id = await accept(mail("buyer-question"))
    await replace_mail_key(database, mail_id, "another")

    for _ in range(len(DELAYS) + 2):
        await make_due(database)
        await deliver_due(delivery)
        assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, "mail_key_missing")
    assert await deliver_due(delivery) == 0

    await replace_mail_key(database, mail_id, key_id)
    await make_due(database)
    await deliver_due(delivery)
    assert [message.kind for message in await all_messages(sessions)] == ["buyer_message"]


async def test_accounts_key_that_does_not_open_costs_no_attempt(
    delivery: Delivery, accept: Accept, sessions: Sessions, scratch: Path
):
    mail_id = await accept(mail("buyer-question"))
    other = scratch / f"{uuid4()}.json"
    KeyFile.create(other)

    await deliver_due(replace(delivery, keyring=Keyring(KeyFile.load(other))))

    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, "seal_broken")


async def test_missing_grant_costs_no_attempt(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    mail_id = await accept(mail("buyer-question"))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute(f"REVOKE INSERT ON messages FROM {MAIL_WORKER}")

    await deliver_due(delivery)

    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, "unexpected")
    await owner.close()


async def fail_each_insert(database: Database, sqlstate: str) -> None:
    """Let PostgreSQL end every INSERT of a message with this error."""
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute(
        "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$;"
        " CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fail()"
    )
    await owner.close()


async def test_what_passes_by_itself_costs_no_attempt_and_no_more_than_seconds(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    errors = {
        "deadlock": "40P01",
        "serialization failure": "40001",
        "cancelled statement": "57014",
        "lock not available": "55P03",
    }
    with every_case() as case:
        for name, sqlstate in errors.items():
            with case(name):
                mail_id = await accept(mail("buyer-question"))
                await fail_each_insert(database, sqlstate)

                await deliver_due(delivery)

                assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, "unexpected")
                async with sessions() as session:
                    due_at, now = (
                        await session.execute(
                            select(AcceptedMail.next_attempt_at, func.now()).where(AcceptedMail.id == mail_id)
                        )
                    ).one()
                assert due_at is not None
                assert due_at - now <= CONTENTION_DELAY


async def test_a_mail_whose_statement_is_always_cancelled_is_tried_ever_more_seldom(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    """It must not take the workers from the others every few seconds."""
    await accept(mail("buyer-question"))
    await fail_each_insert(database, "57014")
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute("UPDATE accepted_mail SET accepted_at = now() - interval '1 hour'")
    await owner.close()

    await deliver_due(delivery)

    async with sessions() as session:
        waits = await session.scalar(select(AcceptedMail.next_attempt_at - func.now()))
    assert waits is not None
    assert CONTENTION_DELAY < waits <= LONGEST_CONTENTION_DELAY


async def test_a_database_that_goes_costs_no_attempt(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    mail_id = await accept(mail("buyer-question"))
    await fail_each_insert(database, "57P01")

    with pytest.raises(DBAPIError) as ended:
        await deliver_due(delivery)

    assert is_unavailable(ended.value)
    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, None)


async def test_statement_that_takes_too_long_holds_up_no_other_mail(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    slow = await accept(mail("buyer-question"))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    # What waits for nobody takes a small part of it.
    impatient = create_engine(database.url(MAIL_WORKER), application_name="tests", statement_seconds=2)
    hurried = replace(delivery, sessions=create_sessions(impatient))
    async with owner.transaction():
        await owner.execute("LOCK TABLE messages")
        await deliver_due(hurried)

    assert await state_of(sessions, slow) == (MailState.ACCEPTED, 0, "unexpected")
    good = await accept(mail("order-notice"))
    await deliver_due(hurried)
    assert (await state_of(sessions, good))[0] == MailState.DELIVERED
    await impatient.dispose()
    await owner.close()


async def test_mail_that_does_not_open_with_its_key_is_held_at_last(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    mail_id = await accept(mail("buyer-question"))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute("UPDATE accepted_mail SET raw = envelope")
    await owner.close()

    seen = []
    for _ in range(len(DELAYS) + 1):
        await make_due(database)
        await deliver_in_each_lane(delivery)
        seen.append((await state_of(sessions, mail_id))[0])

    assert seen == [*[MailState.ACCEPTED] * len(DELAYS), MailState.HELD]


async def test_mail_that_fails_for_an_unknown_reason_is_tried_for_ever(
    delivery: Delivery, accept: Accept, sessions: Sessions, database: Database
):
    mail_id = await accept(mail("buyer-question"))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute("ALTER TABLE messages ADD CONSTRAINT none CHECK (size < 0) NOT VALID")

    await owner.execute("UPDATE accepted_mail SET attempts = 100")

    await deliver_due(delivery)

    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 101, "unexpected")
    assert await deliver_in_each_lane(delivery) == 0
    await owner.close()


async def test_mail_that_was_put_off_is_not_due(
    delivery: Delivery, hurried_delivery: Delivery, accept: Accept
):
    await accept(SLOW_MAIL)
    await deliver_in_each_lane(hurried_delivery)

    assert await deliver_in_each_lane(delivery) == 0


async def test_age_of_the_queue_is_that_of_the_mail_that_is_due_longest(delivery: Delivery, accept: Accept):
    async def age() -> float:
        async with delivery.sessions.begin() as session:
            return await queue_age_seconds(session, QueueStart())

    async def move(mail_id: UUID, by: timedelta) -> None:
        async with delivery.sessions.begin() as session:
            await session.execute(
                update(AcceptedMail)
                .where(AcceptedMail.id == mail_id)
                .values(next_attempt_at=AcceptedMail.next_attempt_at + by)
            )

    assert await age() == 0
    first, second = await accept(mail("buyer-question")), await accept(mail("order-notice"))
    await move(first, timedelta(minutes=-2))
    await move(second, timedelta(hours=1))
    assert 120 <= await age() < 180

    await deliver_due(delivery)
    assert await age() == 0


async def test_parsing_that_takes_too_long_is_ended():
    parser = ParserPool()
    await parser.parse([mail("buyer-question")])
    (frozen,) = parser._idle
    freeze(frozen)

    parser._seconds = 0.0
    with pytest.raises(ParsingTookTooLong):
        await parser.parse([mail("buyer-question")])
    assert frozen.process.returncode == -signal.SIGKILL

    parser._seconds = PARSING_SECONDS
    (parsed,) = await parser.parse([mail("buyer-question")])
    parser.close()
    assert parsed.kind == "buyer_message"


async def test_parser_that_was_killed_is_started_again():
    parser = ParserPool()
    await parser.parse([mail("buyer-question")])
    (running,) = parser._idle
    running.process.kill()
    running.process.wait()

    with pytest.raises(ParserDied):
        await parser.parse([mail("buyer-question")])

    (parsed,) = await parser.parse([mail("buyer-question")])
    parser.close()
    assert parsed.kind == "buyer_message"
