"""PostgreSQL is away for a while under load, and all four roles tell of it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import httpx2
import psutil

from deploy.demo.postgres import EmbeddedPostgres
from tests.conftest import Database, Keys
from tests.faults.mailrelay.load import Load, make_address
from tests.no_tls import NO_AUTHORITIES
from tests.roles import ROLES, Replica, replica, running


class Outage(NamedTuple):
    """How PostgreSQL goes away, how it comes back, and after how long."""

    end: Callable[[EmbeddedPostgres], None]
    begin: Callable[[EmbeddedPostgres], None]
    seconds: float


@dataclass(frozen=True, slots=True)
class Told:
    """What the roles have logged of an outage, all together; `is_right` if each told it once, its end once, and nothing as an error."""

    roles: int
    unavailable: int
    back: int
    errors: list[str]
    failures: int
    refused_status: int | None

    @property
    def is_right(self) -> bool:
        return (
            self.unavailable == self.back == self.roles
            and not self.errors
            and self.failures > self.roles
            and self.refused_status in {None, httpx2.codes.SERVICE_UNAVAILABLE}
        )


def _freeze(server: EmbeddedPostgres) -> None:
    for process in _processes(server):
        process.suspend()


def _thaw(server: EmbeddedPostgres) -> None:
    for process in _processes(server):
        process.resume()


def _processes(server: EmbeddedPostgres) -> list[psutil.Process]:
    pid = server.server.get_pid()
    assert pid is not None
    postmaster = psutil.Process(pid)
    return [postmaster, *postmaster.children(recursive=True)]


# Longer than a worker takes to try three times, and a relay to give up a commit.
STOPPED: Final = Outage(EmbeddedPostgres.stop, EmbeddedPostgres.start_again, 8.0)
# As when its machine has lost its network: connections stay, and nothing answers. Longer than a statement and then a connection may take.
SILENT: Final = Outage(_freeze, _thaw, 22.0)


async def lived_through(
    database: Database, keys: Keys, folder: Path, outage: Outage, *, roles: Sequence[str] = ROLES
) -> Told:
    """Each role meets the outage by what it does anyway, the connector by one request. The relay is among them."""
    await make_address(database, keys)
    replicas = [replica(database, keys, folder, role, commit_timeout_seconds="3") for role in roles]
    ports = {each.role: each.port for each in replicas}
    refused_status = None
    async with (
        running(*replicas),
        httpx2.AsyncClient(timeout=60, trust_env=False, verify=NO_AUTHORITIES) as client,
    ):
        async with Load(ports["relay"], clients=2, pause_seconds=0.05) as load:
            await load.more("data 250", 20)
            await asyncio.to_thread(outage.end, database.postgres)
            try:
                for each in replicas:
                    await each.says("database_unavailable")
                if "connector" in ports:
                    url = f"http://127.0.0.1:{ports['connector']}/api/v1/password-resets"
                    refused_status = (
                        await client.post(url, json={"email": "anna@seller.example"})
                    ).status_code
                await asyncio.sleep(outage.seconds)
            finally:
                await asyncio.to_thread(outage.begin, database.postgres)
            for each in replicas:
                await each.says("database_back")
        await asyncio.gather(*(each.ready() for each in replicas))
    return Told(
        roles=len(replicas),
        unavailable=sum(len(each.said("database_unavailable")) for each in replicas),
        back=sum(len(each.said("database_back")) for each in replicas),
        errors=[error for each in replicas for error in _errors(each)],
        failures=sum(line["failures"] for each in replicas for line in each.said("database_back")),
        refused_status=refused_status,
    )


def _errors(each: Replica) -> list[str]:
    return [
        f"{each.role}: {line['event']}" for line in each.lines() if line["level"] in {"error", "critical"}
    ]
