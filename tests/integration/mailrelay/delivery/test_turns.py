"""Whose mail comes next: whatever waits for one address, an account or a network keeps nobody else's mail waiting."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import product
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import func, insert, select, text

from deploy.demo.postgres import MAIL_WORKER, OWNER, RELAY
from services.mailrelay.delivery.queue import QueuedMail, queue_age_seconds
from services.mailrelay.delivery.queue_start import QueueStart
from services.mailrelay.delivery.service import MAX_BATCH, MAX_BATCH_BYTES, Delivery, deliver_due
from services.mailrelay.delivery.turns import Turns, claim_due
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.lanes import Lane
from shared.tables import AcceptedMail, MailState
from tests.cases import every_case
from tests.conftest import Database, Keys
from tests.factories import make_integration, make_relay_address
from tests.integration.mailrelay.delivery.conftest import FrozenParsers, Store, accepted_row, mail, make_store
from tests.integration.mailrelay.delivery.test_delivery import all_messages, state_of
from tests.signing import signed

QUESTION = mail("buyer-question")


async def accept_for(
    database: Database,
    keys: Keys,
    store: Store,
    mails: Sequence[bytes],
    *,
    lane: Lane = Lane.QUICK,
    peer: str = "192.0.2.1",
) -> list[UUID]:
    """Mails in this order, stored with the relay's rights."""
    engine = create_engine(database.url(RELAY), application_name="tests-relay")
    rows = [accepted_row(store, keys.mail_public_key, raw) for raw in mails]
    async with create_sessions(engine).begin() as session:
        for row in rows:
            await session.execute(
                insert(AcceptedMail).values(row | {"lane": lane.value, "peer_address": peer})
            )
    await engine.dispose()
    return [row["id"] for row in rows]


async def other_store(sessions: Sessions, keyring: Keyring, number: int = 0) -> Store:
    """A store of another account."""
    return await make_store(sessions, keyring, local_part=f"nefpotda{'bcdfghk'[number]}")


async def another_address(sessions: Sessions, store: Store, number: int) -> Store:
    """Another store of the same account."""
    async with sessions.begin() as session:
        integration = await make_integration(session, store.account_id, name=f"Another {number}")
        return Store(
            integration,
            await make_relay_address(session, integration, local_part=f"rabtekru{'bcdfghk'[number]}"),
        )


async def claimed(
    delivery: Delivery, turns: Turns, stack: AsyncExitStack, *, limit: int = MAX_BATCH
) -> list[QueuedMail]:
    return await stack.enter_async_context(
        claim_due(delivery.sessions, turns, lane=delivery.lane, limit=limit, max_bytes=MAX_BATCH_BYTES)
    )


async def _fail_with_a_claim_whose_connection_is_gone(delivery: Delivery, owner: Sessions) -> None:
    async with AsyncExitStack() as stack:
        await claimed(delivery, Turns(), stack)
        async with owner() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE usename = 'replyco_mail_worker' AND datname = current_database()"
                )
            )
        raise ZeroDivisionError


async def test_what_ended_a_claim_is_told_also_if_its_connection_is_gone(
    delivery: Delivery, owner_sessions: Sessions
):
    """A dead session can let nothing go: that must not stand in place of what happened to it."""
    with pytest.raises(ZeroDivisionError):
        await _fail_with_a_claim_whose_connection_is_gone(delivery, owner_sessions)


async def test_a_batch_holds_a_mail_of_each_account_before_a_second_of_any(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, store: Store
):
    others = [await other_store(sessions, keyring, number) for number in range(3)]
    await accept_for(database, keys, store, [QUESTION] * 300)
    for other in others:
        await accept_for(database, keys, other, [QUESTION] * 2)

    async with AsyncExitStack() as stack:
        mails = await claimed(delivery, Turns(), stack)

    accounts = {store.account_id, *(other.account_id for other in others)}
    assert len(mails) <= MAX_BATCH
    assert {each.account_id for each in mails[:4]} == accounts
    assert {each.account_id for each in mails[4:8]} == accounts
    assert {each.account_id for each in mails[8:]} == {store.account_id}


async def test_with_hundreds_due_for_one_address_another_accounts_mail_is_delivered_with_the_first(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, store: Store
):
    other = await other_store(sessions, keyring)
    await accept_for(database, keys, store, [QUESTION] * 300)
    (mail_id,) = await accept_for(database, keys, other, [QUESTION])

    await deliver_due(delivery)

    assert await state_of(sessions, mail_id) == (MailState.DELIVERED, 0, None)
    async with sessions() as session:
        delivered = select(func.count()).where(AcceptedMail.state == MailState.DELIVERED)
        assert (await session.scalar(delivered) or 0) <= MAX_BATCH


@pytest.mark.usefixtures("short_tables")
async def test_a_claim_looks_through_as_many_rows_however_many_wait(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, store: Store
):
    """What PostgreSQL knows of the table is from a time when nothing waited, as it nearly always is."""
    addresses = [store, *[await another_address(sessions, store, number) for number in range(4)]]
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests-worker")
    worker = replace(delivery, sessions=create_sessions(engine))

    async def rows_read() -> int:
        async with AsyncExitStack() as stack:
            for _ in range(2):
                connection = await stack.enter_async_context(worker.sessions.reading())
                await connection.execute(text("SELECT pg_stat_force_next_flush()"))
        read: int = await owner.fetchval(
            "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables"
            " WHERE relname ~ '^accepted_mail'"
        )
        return read

    async def rows_of_a_claim(waiting: int) -> int:
        for each in addresses:
            await accept_for(database, keys, each, [QUESTION] * waiting)
        before = await rows_read()
        async with AsyncExitStack() as stack:
            assert len(await claimed(worker, Turns(), stack, limit=10)) == 10
        return await rows_read() - before

    await accept_for(database, keys, store, [QUESTION] * 20)
    await owner.execute("UPDATE accepted_mail SET state = 'delivered'; ANALYZE accepted_mail")
    few, many = await rows_of_a_claim(4), await rows_of_a_claim(60)
    await owner.close()
    await engine.dispose()

    assert 0 < many <= few
    assert many < 100


async def test_within_an_account_each_address_has_its_turn(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, store: Store
):
    addresses = [store, *[await another_address(sessions, store, number) for number in range(4)]]
    other = await other_store(sessions, keyring)
    for each in addresses:
        await accept_for(database, keys, each, [QUESTION] * 20)
    await accept_for(database, keys, other, [QUESTION])

    async with AsyncExitStack() as stack:
        mails = await claimed(delivery, Turns(), stack)

    # Five addresses give an account no more turns than one.
    assert other.account_id in {each.account_id for each in mails[:2]}
    of_account = [each.relay_address_id for each in mails if each.account_id == store.account_id]
    assert set(of_account[:5]) == {each.address.id for each in addresses}


async def test_more_accounts_than_fit_a_batch_come_one_after_the_other(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    stores = [await other_store(sessions, keyring, number) for number in range(7)]
    for each in stores:
        await accept_for(database, keys, each, [QUESTION] * 4)
    turns = Turns()
    served: list[UUID] = []
    for _ in range(7):
        async with AsyncExitStack() as stack:  # let go undelivered: the turn is over all the same
            served += [each.account_id for each in await claimed(delivery, turns, stack, limit=3)]

    assert sorted(served) == sorted([each.account_id for each in stores] * 3)


async def test_what_others_have_in_hand_is_passed_over(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    stores = [await other_store(sessions, keyring, number) for number in range(6)]
    for each in stores:
        await accept_for(database, keys, each, [QUESTION])

    async with AsyncExitStack() as stack:
        # Each knows nothing of the other's turns, as in two processes.
        first = await claimed(delivery, Turns(), stack, limit=3)
        second = await claimed(delivery, Turns(), stack, limit=3)

    assert len({each.account_id for each in [*first, *second]}) == 6


@pytest.mark.usefixtures("short_tables")
async def test_a_backlog_costs_a_claim_no_more_rows(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, store: Store
):
    other = await other_store(sessions, keyring)
    await accept_for(database, keys, store, [QUESTION])
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute(
        "INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id,"
        " content_key, envelope, raw) SELECT uuidv7(), account_id, relay_address_id, session_id, peer_address, size,"
        " mail_key_id, content_key, envelope, envelope FROM accepted_mail, generate_series(1, 20000)"
    )
    await accept_for(database, keys, other, [QUESTION])
    await owner.execute("VACUUM ANALYZE accepted_mail")
    read = "SELECT sum(idx_tup_read + seq_tup_read) FROM pg_stat_user_tables JOIN pg_stat_user_indexes USING (relid)"
    read += " WHERE pg_stat_user_tables.relname LIKE 'accepted_mail%'"
    # Connections that earlier tests have used have plans of empty tables, and tell late what they read for those.
    await delivery.sessions.kw["bind"].dispose()
    await owner.execute("SELECT pg_stat_reset()")

    async with AsyncExitStack() as stack:
        mails = await claimed(delivery, Turns(), stack)
        await delivery.sessions.kw["bind"].dispose()  # a session that ends has told what it read
    entries = await owner.fetchval(read)
    await owner.close()

    assert {each.account_id for each in mails} == {store.account_id, other.account_id}
    assert entries is not None
    assert int(entries) < 2000


@pytest.fixture
async def owner(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection with the rights of the tables' owner; there are months of a year ago."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await connection.execute("SELECT ensure_partitions(now() - interval '1 year')")
    yield connection
    await connection.close()


async def age_by(owner: "asyncpg.Connection[asyncpg.Record]", mail_id: UUID, age: str) -> UUID:
    """Let a mail have been accepted so long ago, and be delivered; the answer is its new id."""
    aged = await owner.fetchval(
        "UPDATE accepted_mail SET id = uuidv7(-$2::text::interval), state = 'delivered' WHERE id = $1 RETURNING id",
        mail_id,
        age,
    )
    assert isinstance(aged, UUID)
    return aged


async def test_mail_of_any_month_that_is_due_again_is_taken_and_counts_for_the_age(
    delivery: Delivery,
    database: Database,
    keys: Keys,
    store: Store,
    owner: "asyncpg.Connection[asyncpg.Record]",
):
    """In one database, for the months of a year ago take longer to make than all that follows."""
    with every_case() as case:
        for age, is_put_off in product(("9 days", "40 days", "1 year", "30 years"), (False, True)):
            with case((age, is_put_off)):
                await owner.execute("DELETE FROM accepted_mail")
                mail_id = await age_by(owner, (await accept_for(database, keys, store, [QUESTION]))[0], age)
                (recent,) = await accept_for(database, keys, store, [QUESTION])
                turns, measured = Turns(QueueStart(look_seconds=0)), QueueStart(look_seconds=0)
                async with AsyncExitStack() as stack:
                    assert [each.id for each in await claimed(delivery, turns, stack)] == [recent]

                await owner.execute(
                    "UPDATE accepted_mail SET state = 'accepted', next_attempt_at = now() - interval '1 day', is_put_off = $2"
                    " WHERE id = $1",
                    mail_id,
                    is_put_off,
                )

                async with AsyncExitStack() as stack:
                    assert {each.id for each in await claimed(delivery, turns, stack)} == {mail_id, recent}
                async with delivery.sessions.begin() as session:
                    assert await queue_age_seconds(session, measured) >= 24 * 60 * 60


async def test_older_months_in_which_nothing_waits_are_not_touched_until_it_is_time_to_look_again(
    *,
    delivery: Delivery,
    database: Database,
    keys: Keys,
    store: Store,
    owner: "asyncpg.Connection[asyncpg.Record]",
):
    old = await age_by(owner, (await accept_for(database, keys, store, [QUESTION]))[0], "1 year")
    (recent,) = await accept_for(database, keys, store, [QUESTION])
    turns, measured = Turns(QueueStart(look_seconds=3600)), QueueStart(look_seconds=3600)

    async def look() -> None:
        async with AsyncExitStack() as stack:
            assert [each.id for each in await claimed(delivery, turns, stack)] == [recent]
        async with delivery.sessions.begin() as session:
            await queue_age_seconds(session, measured)

    await look()
    month = await owner.fetchval("SELECT tableoid::regclass::text FROM accepted_mail WHERE id = $1", old)
    async with owner.transaction():
        await owner.execute(f"LOCK TABLE {month} IN ACCESS EXCLUSIVE MODE")
        # As often as it takes until PostgreSQL keeps a plan for any values. Whatever touches the month waits until it is refused.
        for _ in range(10):
            await look()


@pytest.mark.parametrize("lane", [Lane.QUICK, Lane.LARGE, Lane.OTHER])
async def test_what_takes_too_long_is_put_aside_and_the_next_of_its_network_with_it(
    *,
    delivery: Delivery,
    database: Database,
    keys: Keys,
    sessions: Sessions,
    keyring: Keyring,
    store: Store,
    lane: Lane,
):
    other = await other_store(sessions, keyring)
    flood = await accept_for(database, keys, store, [QUESTION] * 60, lane=lane)
    hurried = FrozenParsers()
    impatient = replace(delivery, lane=lane, parser=hurried)

    await deliver_due(impatient)
    hurried.close()
    patient = replace(impatient, parser=delivery.parser)
    (from_elsewhere,) = await accept_for(
        database, keys, store, [signed(QUESTION)], lane=lane, peer="198.51.100.7"
    )
    (for_another,) = await accept_for(database, keys, other, [signed(QUESTION)], lane=lane)
    while await deliver_due(patient):
        pass

    slow = delivery.metrics.slow
    assert slow.labels(lane.value, "parsing_took_too_long")._value.get() == 1
    assert slow.labels(lane.value, "suspect")._value.get() == len(flood) - 1
    for mail_id in (from_elsewhere, for_another):
        assert await state_of(sessions, mail_id) == (MailState.DELIVERED, 0, None)
    async with sessions() as session:
        lanes = set(await session.scalars(select(AcceptedMail.lane).where(AcceptedMail.id.in_(flood))))
    assert lanes == {Lane.SLOW}


async def test_what_costs_much_is_delivered_and_the_next_of_its_network_is_put_aside(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, store: Store
):
    other = await other_store(sessions, keyring)
    flood = await accept_for(database, keys, store, [QUESTION] * (MAX_BATCH + 20))
    await deliver_due(replace(delivery, costly_seconds=0.0))
    (for_another,) = await accept_for(database, keys, other, [QUESTION])
    while await deliver_due(delivery):
        pass

    states = [(await state_of(sessions, mail_id))[0] for mail_id in flood]
    assert states == [MailState.DELIVERED] * MAX_BATCH + [MailState.ACCEPTED] * 20
    assert delivery.metrics.slow.labels(Lane.QUICK.value, "suspect")._value.get() == 20
    assert await state_of(sessions, for_another) == (MailState.DELIVERED, 0, None)


async def test_mail_in_the_slow_lane_is_delivered_whole_if_it_can_be(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, store: Store
):
    (mail_id,) = await accept_for(database, keys, store, [signed(QUESTION)])
    hurried = FrozenParsers()
    await deliver_due(replace(delivery, parser=hurried))
    hurried.close()
    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, None)

    assert await deliver_due(delivery) == 0
    assert await deliver_due(replace(delivery, lane=Lane.SLOW)) == 1

    (message,) = await all_messages(sessions)
    assert (message.kind, message.truncated) == ("buyer_message", False)


async def test_a_network_from_which_amazons_mail_comes_is_written_down_once(
    *, delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, store: Store
):
    forged = QUESTION.replace(b"Frage", b"Frag")
    await accept_for(database, keys, store, [signed(QUESTION)], peer="192.0.2.9")
    await accept_for(database, keys, store, [signed(QUESTION + b"again\r\n")], peer="2001:db8:1:2::3")
    await accept_for(database, keys, store, [forged], peer="198.51.100.7")
    while await deliver_due(delivery):
        pass

    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    networks = {str(row["network"]) for row in await owner.fetch("SELECT network FROM proven_networks")}
    await owner.close()
    assert networks == {"192.0.2.9/32", "2001:db8:1:2::/64"}
