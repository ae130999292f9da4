"""Events on their way: soon, to those who may know, never for what did not happen, and said when some were missed."""

import asyncio
import json
import socket
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, select, update

from deploy.demo.postgres import CONNECTOR, OWNER, RELAY
from services.connector.accounts.callers import Caller
from services.connector.dependencies import SESSION_COOKIE
from services.connector.events.bounds import StreamBounds
from services.connector.events.hub import (
    MAX_STREAMS_PER_CALLER,
    MAX_WAITING,
    RESYNC,
    Hub,
    StreamsExhausted,
)
from shared.channels import EVENT_CHANNEL
from shared.database import Sessions
from shared.driver import asyncpg_dsn, new_id
from shared.events import EventKind, announce
from shared.permissions import Level, Permission
from shared.tables import ApiKey, EventRow, User, UserSession
from tests.conftest import Database
from tests.factories import make_account
from tests.integration.connector.events.conftest import Running, connected


async def _announce(
    sessions: Sessions, account_id: UUID, kind: EventKind = EventKind.MESSAGE_RECEIVED
) -> tuple[str, str]:
    message_id = new_id()
    async with sessions.begin() as session:
        await announce(session, account_id, kind, message_id=message_id)
    return kind.value, json.dumps({"ids": {"message_id": str(message_id)}})


async def _cut(database: Database) -> int:
    """End the hub's connection as an administrator would; returns how many it were."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        rows = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'connector-events' AND datname = current_database()"
        )
    finally:
        await connection.close()
    return len(rows)


async def _until_open(running: Running, count: int) -> None:
    async with asyncio.timeout(20):
        while running.hub.open_streams != count:  # noqa: ASYNC110 - the server tells nobody when it has seen a client leave
            await asyncio.sleep(0.01)


async def test_an_event_arrives_within_a_second_of_its_commit(listen, signed_in, sessions):
    """The quickest of three: the machine may have stalled with the others."""
    taken = []
    async with listen(signed_in) as listener:
        for _ in range(3):
            sent = await _announce(sessions, signed_in.account.id)
            began = time.monotonic()
            assert await listener.event() == sent
            taken.append(time.monotonic() - began)

    assert min(taken) < 1


async def test_a_stream_is_neither_kept_nor_held_back_on_its_way(listen, signed_in):
    async with listen(signed_in) as listener:
        headers = listener.response.headers

    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"


async def test_what_was_rolled_back_is_not_told(listen, signed_in, sessions):
    async with listen(signed_in) as listener:
        async with sessions() as session:
            await announce(session, signed_in.account.id, EventKind.MESSAGE_RECEIVED, message_id=new_id())
            await session.rollback()
        committed = await _announce(sessions, signed_in.account.id)

        assert await listener.event() == committed


async def test_another_accounts_events_are_not_told(listen, signed_in, sessions, keyring):
    async with sessions.begin() as session:
        other = await make_account(session, keyring)

    async with listen(signed_in) as listener:
        await _announce(sessions, other.id)
        own = await _announce(sessions, signed_in.account.id)

        assert await listener.event() == own


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        (
            {
                "general_admin": "view",
                "general_programs": "none",
                "inbox_messages": "none",
                "inbox_orders": "none",
            },
            ["authorization.changed", "integration.changed"],
        ),
        (
            {
                "general_admin": "none",
                "general_programs": "view",
                "inbox_messages": "none",
                "inbox_orders": "none",
            },
            ["webhook.disabled"],
        ),
        (
            {
                "general_admin": "none",
                "general_programs": "none",
                "inbox_messages": "view",
                "inbox_orders": "view",
            },
            ["conversation.changed", "message.received", "order.changed"],
        ),
        ({"general_admin": "edit", "inbox_messages": "edit"}, [kind.value for kind in EventKind]),
    ],
)
async def test_each_is_told_what_he_may_see(listen, sign_in_as, sessions, levels, told):
    who = await sign_in_as(**levels)
    async with listen(who) as listener:
        for kind in EventKind:
            await _announce(sessions, who.account.id, kind)

        assert [(await listener.event())[0] for _ in told] == told


async def test_an_api_key_may_follow_too(running, api_key_client, account, sessions):
    key = (await api_key_client(general_admin="none", inbox_messages="view")).headers["authorization"]

    async with connected(running, headers={"authorization": key}) as listener:
        assert await listener.event() == ("ready", "{}")
        sent = await _announce(sessions, account.id)

        assert await listener.event() == sent


async def test_nobody_follows_unknown(running):
    async with connected(running) as listener:
        assert listener.response.status_code == 401


async def test_a_cut_connection_is_followed_by_resync_and_by_later_events(
    listen, signed_in, sessions, database
):
    async with listen(signed_in) as listener:
        assert await _cut(database) == 1

        assert await listener.event() == ("resync", "{}")
        sent = await _announce(sessions, signed_in.account.id)
        assert await listener.event() == sent


async def test_a_listener_who_is_too_slow_is_told_to_read_again(running, signed_in):
    levels = {Permission.INBOX_MESSAGES: Level.VIEW}
    caller = Caller(signed_in.account.id, signed_in.user.id, levels, session_id=signed_in.session_id)

    with running.hub.subscribe(caller) as subscription:
        for number in range(MAX_WAITING + 3):
            subscription.tell(f"{number} ")

        assert await subscription.next() == RESYNC + f"{MAX_WAITING + 1} {MAX_WAITING + 2} "


async def test_a_payload_that_cannot_be_read_ends_nothing(listen, signed_in, sessions, database):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with listen(signed_in) as listener:
        for payload in ("", "[]", '{"account_id": "x"}', '{"account_id": null, "kind": "order.changed"}'):
            await connection.execute("SELECT pg_notify($1, $2)", EVENT_CHANNEL, payload)
        sent = await _announce(sessions, signed_in.account.id)

        assert await listener.event() == sent
    await connection.close()


async def test_a_forged_notification_shows_nothing(listen, signed_in, sessions, keyring, database):
    """A relay that was taken over may connect, so it may notify: of what never happened, of what is another account's, of nonsense."""
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
    ids = {"message_id": str(new_id())}
    as_before = {"account_id": str(signed_in.account.id), "kind": "message.received", "ids": ids}
    intruder = await asyncpg.connect(asyncpg_dsn(database.url(RELAY)))
    async with listen(signed_in) as listener:
        await _announce(sessions, other.id)
        async with sessions.begin() as session:
            foreign = (await session.scalars(select(EventRow.id))).one()
        for payload in (
            str(new_id()),
            str(foreign),
            json.dumps({"id": str(new_id()), **as_before}),
            json.dumps({"id": str(foreign), **as_before}),
            json.dumps(as_before),
            "x" * 7_999,
        ):
            await intruder.execute("SELECT pg_notify($1, $2)", EVENT_CHANNEL, payload)
        await intruder.execute(
            "SELECT pg_notify($1, CAST(uuidv7() AS text)) FROM generate_series(1, 3000)", EVENT_CHANNEL
        )
        sent = await _announce(sessions, signed_in.account.id)

        assert await listener.event() == sent
    await intruder.close()


async def test_the_version_before_is_understood(listen, signed_in, sessions, database):
    """It notifies with all of the event. Beside us for the time of an update, it is believed no more than others."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with listen(signed_in) as listener:
        event_id, ids = new_id(), {"message_id": str(new_id())}
        await connection.execute(
            "INSERT INTO events (id, account_id, kind, ids) VALUES ($1, $2, 'message.received', $3)",
            event_id,
            signed_in.account.id,
            json.dumps(ids),
        )
        payload = json.dumps({"id": str(event_id), "account_id": str(new_id()), "kind": "x", "ids": {}})
        await connection.execute("SELECT pg_notify($1, $2)", EVENT_CHANNEL, payload)

        assert await listener.event() == ("message.received", json.dumps({"ids": ids}))
    await connection.close()


async def test_a_flood_of_notifications_costs_a_resync_and_no_memory(signed_in, sessions, database):
    hub = Hub(database.url(CONNECTOR), CollectorRegistry(), StreamBounds(most_heard=100))
    hub.start()
    await hub.wait_until_listening()
    caller = Caller(signed_in.account.id, signed_in.user.id, {Permission.INBOX_MESSAGES: Level.VIEW})
    flooding = await asyncpg.connect(asyncpg_dsn(database.url(RELAY)))
    with hub.subscribe(caller) as subscription:
        await flooding.execute(
            "SELECT pg_notify($1, CAST(uuidv7() AS text)) FROM generate_series(1, 5000)", EVENT_CHANNEL
        )
        told, sent = "", "nothing yet"
        async with asyncio.timeout(20):
            while sent not in told:
                _, sent = await _announce(sessions, signed_in.account.id)
                told += await subscription.next() or ""

        assert told.startswith(RESYNC)
        assert told.count(RESYNC) <= 3
    await flooding.close()
    await hub.stop()


async def test_a_process_without_streams_does_not_listen_and_refuses_them(signed_in, database):
    hub = Hub(database.url(CONNECTOR), CollectorRegistry(), StreamBounds(most_streams=0))
    tasks = asyncio.all_tasks()
    hub.start()

    assert asyncio.all_tasks() == tasks
    with pytest.raises(StreamsExhausted):
        hub.subscribe(Caller(signed_in.account.id, signed_in.user.id, {}))
    await hub.stop()


async def test_a_session_has_a_bounded_number_of_streams_and_a_closed_one_is_free_at_once(
    running, listen, signed_in
):
    cookies = {SESSION_COOKIE: signed_in.token}
    async with AsyncExitStack() as open_streams:
        for _ in range(MAX_STREAMS_PER_CALLER - 1):
            await open_streams.enter_async_context(listen(signed_in))
        async with listen(signed_in), connected(running, cookies=cookies) as refused:
            assert refused.response.status_code == 429
            assert json.loads(await refused.response.aread())["code"] == "too_many_streams"

        await _until_open(running, MAX_STREAMS_PER_CALLER - 1)
        async with listen(signed_in):
            assert running.hub.open_streams == MAX_STREAMS_PER_CALLER
    await _until_open(running, 0)


# Keep-alives and checks every moment.
soon = pytest.mark.parametrize("stream_bounds", [StreamBounds(keep_alive_seconds=0.1)], ids=["soon"])


@soon
async def test_a_silent_stream_is_kept_alive(listen, signed_in):
    async with listen(signed_in) as listener, asyncio.timeout(20):
        assert await listener.block() == [": keep-alive"]
        assert await listener.block() == [": keep-alive"]


@soon
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda who: delete(UserSession).where(UserSession.id == who.session_id), id="signed out"
        ),
        pytest.param(
            lambda who: (
                update(UserSession)
                .where(UserSession.id == who.session_id)
                .values(expires_at=datetime.now(UTC) - timedelta(minutes=1))
            ),
            id="session over",
        ),
        pytest.param(
            lambda who: update(User).where(User.id == who.user.id).values(disabled_at=datetime.now(UTC)),
            id="disabled",
        ),
        pytest.param(
            lambda who: update(User).where(User.id == who.user.id).values(inbox_messages="none"),
            id="may do less",
        ),
    ],
)
async def test_a_stream_ends_with_what_let_its_listener_in(listen, signed_in, sessions, change):
    async with listen(signed_in) as listener:
        async with sessions.begin() as session:
            await session.execute(change(signed_in))

        assert await listener.has_ended()


@soon
async def test_a_revoked_api_keys_stream_ends(running, api_key_client, sessions):
    key = (await api_key_client()).headers["authorization"]

    async with connected(running, headers={"authorization": key}) as listener:
        assert await listener.event() == ("ready", "{}")
        async with sessions.begin() as session:
            await session.execute(update(ApiKey).values(revoked_at=datetime.now(UTC)))

        assert await listener.has_ended()


@pytest.mark.parametrize(
    "stream_bounds", [StreamBounds(keep_alive_seconds=0.1, send_seconds=0.2)], ids=["soon"]
)
async def test_a_listener_who_takes_nothing_loses_his_place(running, signed_in):
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        cookie = f"{SESSION_COOKIE}={signed_in.token}"
        client.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        await _until_open(running, 1)
        # More than the buffers of both sides hold; the next keep-alive waits behind it.
        for subscription in running.hub.subscriptions():
            subscription.tell("x" * 30_000_000)

        await _until_open(running, 0)


async def test_a_hub_without_a_database_keeps_trying_and_stops_when_told(signed_in):
    with socket.create_server(("127.0.0.1", 0)) as nobody_answers:
        port = nobody_answers.getsockname()[1]
    hub = Hub(f"postgresql://user@127.0.0.1:{port}/nowhere", CollectorRegistry())
    hub.start()
    with hub.subscribe(Caller(signed_in.account.id, signed_in.user.id, {})) as subscription:
        async with asyncio.timeout(20):
            await hub.stop()

            assert await subscription.next() is None


@soon
async def test_an_open_stream_does_not_prolong_its_session(listen, signed_in, sessions):
    async with sessions.begin() as session:
        before = await session.get_one(UserSession, signed_in.session_id)

    async with listen(signed_in) as listener, asyncio.timeout(20):
        await listener.block()
        await listener.block()

    async with sessions.begin() as session:
        after = await session.get_one(UserSession, signed_in.session_id)
    assert (after.expires_at, after.last_seen_at) == (before.expires_at, before.last_seen_at)


async def test_open_streams_do_not_hold_up_a_stop(running, listen, signed_in):
    async with listen(signed_in) as listener:
        async with asyncio.timeout(15):
            await running.stop()

        assert await listener.has_ended()
