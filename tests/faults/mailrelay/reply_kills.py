"""Whoever sends replies, and PostgreSQL once, are killed at random moments; then the mails at the peer are counted."""

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from deploy.demo.postgres import MAIL_WORKER, OWNER
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.integration.mailrelay.outbound.conftest import make_shop
from tests.integration.mailrelay.outbound.peer import Peer, listening
from tests.processes import command

_REPLIES_A_CONVERSATION = 3
_MOST_MAILS_BETWEEN_KILLS = 40
# One on each connection of a sender that is killed: these are never sent again, so that their mails may never come.
_MOST_IN_DOUBT = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """What is there in the end. Right is: nothing is lost, twice, out of its order, or said to be handed over without being so."""

    replies: int
    handed_over: int
    perhaps_sent: int
    handed_over_and_not_at_the_peer: int
    twice_at_the_peer: int
    out_of_order: int
    kills: int

    @property
    def is_right(self) -> bool:
        return (
            self.handed_over + self.perhaps_sent == self.replies
            and not self.handed_over_and_not_at_the_peer + self.twice_at_the_peer + self.out_of_order
        )


async def replied_though_killed(
    database: Database, keys: Keys, keyring: Keyring, *, replies: int, kills: int, finishers: int = 2
) -> Sent:
    """Write replies, kill a sender after the other while they go out, let others finish, and count."""
    written = await _write(database, keys, keyring, replies)
    async with listening(Peer(end_seconds=0.003)) as peer:
        for kill in range(kills):
            enough = min(
                len(peer.mails) + 1 + secrets.randbelow(_MOST_MAILS_BETWEEN_KILLS),
                len(written) - _MOST_IN_DOUBT * (kill + 1),
            )
            async with sending(database, keys, peer) as sender:
                await peer.until_mails(enough, seconds=60)
                if kill == kills // 2:
                    database.postgres.kill()
                    database.postgres.start_again()
                    await asyncio.sleep(secrets.randbelow(1000) / 1000)
                sender.kill()
                await sender.wait()
        async with AsyncExitStack() as finishing:
            for _ in range(finishers):
                await finishing.enter_async_context(sending(database, keys, peer))
            states = await until_none_is_under_way(database)
        return count_sent(written, states, peer, kills)


async def _write(database: Database, keys: Keys, keyring: Keyring, replies: int) -> dict[UUID, UUID]:
    """The replies in the order in which they were written, each with its conversation."""
    engine = create_engine(database.url(OWNER), application_name="tests")
    shop = await make_shop(create_sessions(engine), keyring, keys)
    written: dict[UUID, UUID] = {}
    while len(written) < replies:
        question = await shop.question()
        for _ in range(min(_REPLIES_A_CONVERSATION, replies - len(written))):
            written[await shop.reply(question)] = question.conversation_id
    await engine.dispose()
    return written


@asynccontextmanager
async def sending(database: Database, keys: Keys, peer: Peer) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command(
            "tests.faults.mailrelay.replying", database.url(MAIL_WORKER), str(keys.key_file), str(peer.port)
        ),
        stdin=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def until_none_is_under_way(database: Database) -> dict[UUID, str]:
    """The state of each reply. What is perhaps sent makes no event that is heard without the connector, so this looks again and again."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        async with asyncio.timeout(120):
            while await connection.fetchval(
                "SELECT EXISTS (SELECT FROM outbound_messages WHERE state IN ('queued', 'sending', 'delayed'))"
            ):
                # What was put off is due now.
                await connection.execute(
                    "UPDATE outbound_messages SET due_at = now() WHERE state = 'delayed'"
                )
                await asyncio.sleep(0.2)
        rows = await connection.fetch("SELECT id, state FROM outbound_messages")
    finally:
        await connection.close()
    return {UUID(str(row["id"])): row["state"] for row in rows}


def count_sent(written: dict[UUID, UUID], states: dict[UUID, str], peer: Peer, kills: int) -> Sent:
    arrived = [UUID(hex=mail.raw.partition(b"Message-ID: <")[2][:32].decode()) for mail in peer.mails]
    times = Counter(arrived)
    in_order = {
        conversation: [r for r in written if written[r] == conversation] for conversation in written.values()
    }
    return Sent(
        replies=len(written),
        handed_over=sum(state == "handed_over" for state in states.values()),
        perhaps_sent=sum(state == "perhaps_sent" for state in states.values()),
        handed_over_and_not_at_the_peer=sum(
            state == "handed_over" and times[reply] == 0 for reply, state in states.items()
        ),
        twice_at_the_peer=sum(count > 1 for count in times.values()),
        out_of_order=sum(
            (came := [r for r in arrived if written[r] == conversation]) != [r for r in order if r in came]
            for conversation, order in in_order.items()
        ),
        kills=kills,
    )
