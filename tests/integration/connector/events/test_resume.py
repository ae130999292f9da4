"""Who was cut off goes on where he was: `Last-Event-ID` brings what he has missed, or says that he must read anew."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from services.connector.dependencies import SESSION_COOKIE
from services.connector.events.bounds import StreamBounds
from services.connector.maintenance import jobs as housekeeping
from shared.database import Sessions
from shared.driver import new_id
from shared.events import EventKind, announce
from shared.tables import EventRow
from tests.factories import make_account
from tests.integration.connector.events.conftest import connected


async def tell(
    sessions: Sessions, account_id: UUID, kind: EventKind = EventKind.MESSAGE_RECEIVED, *, takes: float = 0
) -> UUID:
    """Announce in a transaction that commits after `takes` seconds; the id by which a listener recognises it."""
    message_id = new_id()
    async with sessions.begin() as session:
        await announce(session, account_id, kind, message_id=message_id)
        await asyncio.sleep(takes)
    return message_id


def resuming(running, who, last_id: object):
    return connected(running, cookies={SESSION_COOKIE: who.token}, headers={"Last-Event-ID": str(last_id)})


async def last_stored(sessions: Sessions) -> UUID:
    async with sessions() as session:
        return (await session.scalars(select(EventRow.id).order_by(EventRow.id.desc()).limit(1))).one()


async def test_who_comes_back_is_told_what_he_missed_and_then_what_happens(
    running, listen, signed_in, sessions
):
    async with listen(signed_in) as listener:
        await tell(sessions, signed_in.account.id)
        last_id = (await listener.told())["id"]
    missed = [await tell(sessions, signed_in.account.id) for _ in range(2)]

    async with resuming(running, signed_in, last_id) as listener:
        assert await listener.event() == ("resumed", "{}")
        # The last one that he knows comes again: what committed around it could have been overtaken by it.
        again = await listener.told()
        told = [(await listener.told())["data"] for _ in missed]
        live = await tell(sessions, signed_in.account.id)

        assert again["id"] == last_id
        assert [str(message_id) in data for message_id, data in zip(missed, told, strict=True)] == [
            True,
            True,
        ]
        assert str(live) in (await listener.told())["data"]


async def test_what_committed_late_is_told_though_its_id_is_smaller(running, listen, signed_in, sessions):
    async with listen(signed_in) as listener, sessions.begin() as slow:
        late = new_id()
        await announce(slow, signed_in.account.id, EventKind.MESSAGE_RECEIVED, message_id=late)
        await tell(sessions, signed_in.account.id)
        last_id = (await listener.told())["id"]
        await listener.response.aclose()

    async with resuming(running, signed_in, last_id) as listener:
        assert await listener.event() == ("resumed", "{}")
        assert str(late) in (await listener.told())["data"]


async def test_a_replay_shows_nobody_more_than_the_stream(running, sign_in_as, sessions, keyring):
    agent = await sign_in_as(general_admin="none", inbox_messages="view")
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
    await tell(sessions, agent.account.id)
    last_id = await last_stored(sessions)
    await tell(sessions, agent.account.id, EventKind.INTEGRATION_CHANGED)
    await tell(sessions, other.id)
    mine = await tell(sessions, agent.account.id)

    async with resuming(running, agent, last_id) as listener:
        told = [await listener.told() for _ in range(3)]

    assert [one["event"] for one in told] == ["resumed", "message.received", "message.received"]
    assert str(mine) in told[2]["data"]


async def test_another_accounts_event_is_unknown(running, signed_in, sessions, keyring):
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
    await tell(sessions, other.id)

    async with resuming(running, signed_in, await last_stored(sessions)) as listener:
        assert await listener.event() == ("resync", "{}")


@pytest.mark.parametrize(
    "last_id",
    [
        "",
        "x",
        "7",
        "0e9d4a3c-6f1b-4c52-9d0a-2b7c8e5f1a34",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "01a20b44-601a-769c-bd94-c8c9b164a199",
    ],
)
async def test_an_id_that_we_do_not_know_means_read_anew(running, signed_in, sessions, last_id):
    async with resuming(running, signed_in, last_id) as listener:
        assert await listener.event() == ("resync", "{}")
        sent = await tell(sessions, signed_in.account.id)
        assert str(sent) in (await listener.told())["data"]


async def test_who_was_away_for_too_long_reads_anew(running, signed_in, sessions):
    await tell(sessions, signed_in.account.id)
    long_ago = UUID(int=int((datetime.now(UTC) - timedelta(hours=13)).timestamp() * 1000) << 80)
    async with sessions.begin() as session:
        await session.execute(update(EventRow).values(id=long_ago))

    async with resuming(running, signed_in, long_ago) as listener:
        assert await listener.event() == ("resync", "{}")


@pytest.mark.parametrize("stream_bounds", [StreamBounds(most_replayed=3)], ids=["three"])
async def test_who_missed_too_much_reads_anew(running, signed_in, sessions):
    await tell(sessions, signed_in.account.id)
    first = await last_stored(sessions)
    for _ in range(2):
        await tell(sessions, signed_in.account.id)
    async with resuming(running, signed_in, first) as listener:
        assert await listener.event() == ("resumed", "{}")
    await tell(sessions, signed_in.account.id)

    async with resuming(running, signed_in, first) as listener:
        assert await listener.event() == ("resync", "{}")


async def test_events_are_kept_for_a_day_after_webhooks_were_told(sessions, account):
    now = datetime.now(UTC)
    for _ in range(3):
        await tell(sessions, account.id)
    async with sessions() as session:
        old, waiting, young = await session.scalars(select(EventRow.id).order_by(EventRow.id))
    before = UUID(int=int((now - timedelta(hours=25)).timestamp() * 1000) << 80)
    async with sessions.begin() as session:
        for event_id, new in ((old, before), (waiting, UUID(int=before.int + 1))):
            await session.execute(update(EventRow).where(EventRow.id == event_id).values(id=new))
        for event_id in (before, young):
            fanned_out_at = now - timedelta(hours=24, minutes=1)
            await session.execute(
                update(EventRow).where(EventRow.id == event_id).values(fanned_out_at=fanned_out_at)
            )

    # One at a time, as after a long rest.
    await housekeeping.keep_house(sessions, now, batch=1)

    async with sessions() as session:
        assert set(await session.scalars(select(EventRow.id))) == {UUID(int=before.int + 1), young}


async def test_nothing_is_missed_by_a_listener_who_is_cut_off_again_and_again(
    running, listen, signed_in, sessions
):
    """Many transactions at once, each as long as it likes: their ids and their commits are in different orders."""
    told: set[str] = set()

    async def write() -> list[UUID]:
        return [
            await tell(sessions, signed_in.account.id, takes=secrets.randbelow(40) / 1000) for _ in range(12)
        ]

    async with listen(signed_in) as listener:
        writers = [asyncio.create_task(write()) for _ in range(6)]
        first = await listener.told()
        told.add(first["data"])
        last_id = first["id"]
    while not all(writer.done() for writer in writers):
        async with resuming(running, signed_in, last_id) as listener:
            assert await listener.event() == ("resumed", "{}")
            for _ in range(secrets.randbelow(30)):
                try:
                    one = await listener.told(within=0.2)
                except TimeoutError:
                    break
                told.add(one["data"])
                last_id = one["id"]
    written = {str(message_id) for writer in writers for message_id in writer.result()}
    assert len(written) == 72
    # The last time he listens until he has been told everything.
    async with resuming(running, signed_in, last_id) as listener:
        assert await listener.event() == ("resumed", "{}")
        while not all(any(message_id in data for data in told) for message_id in written):
            told.add((await listener.told())["data"])

    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(EventRow)) == 72
