"""A second server that repeats the first one, as its operator sets it up, and the change to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from tests.conftest import Database
from tests.faults.mailrelay.backups import ask, output_of, tell

_NAME = "standby"


@dataclass(frozen=True, slots=True)
class Pair:
    """Every commit of `primary` waits until `standby` has it on its disk."""

    primary: Database
    standby: Database

    def url(self, role: str) -> str:
        """Of whichever of the two may be written to."""
        folders = [
            str(each.postgres.server.get_postmaster_info().socket_dir)
            for each in (self.primary, self.standby)
        ]
        hosts = quote(",".join(folders), safe="")
        return f"postgresql://{role}@/{self.primary.name}?host={hosts}&target_session_attrs=primary"

    async def promote(self) -> None:
        [[is_done]] = await ask(self.standby.postgres, "SELECT pg_promote()")
        assert is_done

    async def is_followed(self) -> None:
        """Wait until commits wait for the standby. PostgreSQL tells nobody."""
        question = (
            f"SELECT 1 FROM pg_stat_replication WHERE application_name = '{_NAME}' AND sync_state = 'sync'"
        )
        async with asyncio.timeout(20):
            while not await ask(self.primary.postgres, question):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.05)


@asynccontextmanager
async def with_standby(primary: Database, folder: Path) -> AsyncIterator[Pair]:
    """The folder does not exist yet."""
    server = primary.postgres.server
    owner = server.pgdata.stat()
    sockets = server.get_postmaster_info().socket_dir
    await output_of(
        f"{server.bin_path}/pg_basebackup",
        f"--pgdata={folder}",
        "--write-recovery-conf",
        "--checkpoint=fast",
        f"--dbname=host={sockets} user={OWNER} application_name={_NAME}",
    )
    # This server's socket lies in its data.
    (folder / ".s.PGSQL.5432.lock").unlink()
    await output_of("chown", "-R", f"{owner.st_uid}:{owner.st_gid}", str(folder))
    standby = await asyncio.to_thread(EmbeddedPostgres.start, folder)
    try:
        await tell(
            primary.postgres,
            f"ALTER SYSTEM SET synchronous_standby_names = '{_NAME}'",
            "SELECT pg_reload_conf()",
        )
        pair = Pair(primary, Database(standby, primary.name))
        await pair.is_followed()
        yield pair
    finally:
        await asyncio.to_thread(standby.stop)
