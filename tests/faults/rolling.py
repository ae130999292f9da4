"""Every replica is told to stop and replaced by a new one, one after the other, while programs and senders are at work."""

import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from deploy.demo.postgres import OWNER
from shared.driver import asyncpg_dsn
from tests.conftest import Database, Keys
from tests.faults.balancer import Balancer
from tests.faults.http_load import HttpLoad, Program
from tests.faults.mailrelay.counting import Count, counted
from tests.faults.mailrelay.load import Load, make_address
from tests.roles import Replica, replica, running

# Longer than the balancer takes to notice, on a machine that is busy with many times the work that it has processors for, too.
_DRAIN_SECONDS: Final = 5
_CLIENTS: Final = 4
_SENDERS: Final = 4


@dataclass(frozen=True, slots=True)
class Rolled:
    """What programs and senders met, and what became of it.

    `sessions_ended`: 421 between two mails, as a relay that has drained says to whoever stays; the next mail goes by a new connection, and
    nothing was refused. `put_off`: 451, `not_greeted`: connections that ended before a greeting, `not_taken`: those that a replica did not take
    although it had been ready, so that the balancer tried another one, `turned_away`: those for which no replica was ready.
    """

    replaced: int
    requests: int
    wrong: list[str]
    notes_written: int
    notes_kept: int
    streams_ended: int
    sessions_ended: int
    put_off: int
    not_greeted: int
    not_taken: int
    turned_away: int
    exit_codes: set[int]
    mails: Count

    @property
    def is_right(self) -> bool:
        return (
            not self.wrong
            and self.notes_written == self.notes_kept > 0
            and not (self.put_off or self.not_greeted or self.not_taken or self.turned_away)
            and self.exit_codes == {0}
            and self.mails.is_right
            and self.mails.accepted > 0
        )


async def rolled(
    database: Database,
    keys: Keys,
    folder: Path,
    *,
    roles: Sequence[str],
    replaced_each: int,
    mails_between: int = 20,
    pause_seconds: float = 0.01,
) -> Rolled:
    """Two replicas of each role. `replaced_each`: how many of a role, 1 or 2. `mails_between`: accepted before the first and after each. `pause_seconds`: of each client and sender."""
    await make_address(database, keys)
    program = await Program.make(database, keys)
    replicas = {
        role: [
            replica(database, keys, folder, role, number, drain_seconds=str(_DRAIN_SECONDS))
            for number in range(2)
        ]
        for role in roles
    }
    connectors, relays = Balancer(replicas["connector"]), Balancer(replicas["relay"])
    exit_codes = set()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(*(each for several in replicas.values() for each in several)))
        await stack.enter_async_context(connectors.running())
        await stack.enter_async_context(relays.running())
        mail = await stack.enter_async_context(
            Load(relays.port, clients=_SENDERS, pause_seconds=pause_seconds)
        )
        await mail.more("data 250", mails_between)
        http = await stack.enter_async_context(
            HttpLoad(connectors.port, program, clients=_CLIENTS, pause_seconds=pause_seconds)
        )
        for role in roles:
            for each in replicas[role][:replaced_each]:
                exit_codes.add(await _replaced(each))
                await mail.more("data 250", mails_between)
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    notes = await owner.fetchval("SELECT count(*) FROM notes")
    await owner.close()
    return Rolled(
        replaced=replaced_each * len(roles),
        requests=http.answers.total() + http.errors.total(),
        wrong=http.wrong,
        notes_written=http.answers["POST 201"],
        notes_kept=notes,
        streams_ended=http.streams["ended"],
        sessions_ended=sum(count for code, count in mail.codes.items() if code.endswith(" 421")),
        put_off=sum(count for code, count in mail.codes.items() if code.endswith(" 451")),
        not_greeted=mail.refused,
        not_taken=connectors.refused + relays.refused,
        turned_away=connectors.turned_away + relays.turned_away,
        exit_codes=exit_codes,
        mails=await counted(database, keys, mail),
    )


async def _replaced(old: Replica) -> int:
    """Its exit code; its successor is ready."""
    old.send(signal.SIGTERM)
    exit_code = await old.ended()
    await old.start()
    await old.ready()
    return exit_code
