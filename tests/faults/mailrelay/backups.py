"""The scripts of deploy/backup beside a server, as its operator sets them up."""

import asyncio
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import asyncpg

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from shared.driver import asyncpg_dsn
from tests.conftest import Database, Keys

_SCRIPTS = Path(__file__).parents[3] / "deploy" / "backup"


@dataclass(frozen=True, slots=True)
class Backups:
    """Of one server. `folder` holds the scripts, the private keys, and what is kept."""

    server: EmbeddedPostgres
    folder: Path
    environment: dict[str, str]

    @classmethod
    async def set_up(cls, database: Database, keys: Keys, folder: Path) -> Self:
        """Make the keys, and let the server archive its log."""
        server = database.postgres
        for name in ("kept", "kept/wal", "kept-keys"):
            (folder / name).mkdir(parents=True)
        for name in ("backup.sh", "restore.sh"):
            shutil.copy(_SCRIPTS / name, folder)
        for whose in ("data", "keys"):
            made = await output_of("age-keygen", "--output", str(folder / f"{whose}.identity"))
            (folder / f"{whose}.recipients").write_text(made.split()[-1] + "\n")
        environment = {
            "PATH": f"{server.server.bin_path}:{os.defpath}",
            "PGHOST": str(server.server.get_postmaster_info().socket_dir),
            "PGUSER": OWNER,
            "REPLYCO_BACKUP_FOLDER": str(folder / "kept"),
            "REPLYCO_BACKUP_RECIPIENTS_FILE": str(folder / "data.recipients"),
            "REPLYCO_BACKUP_IDENTITY_FILE": str(folder / "data.identity"),
            "REPLYCO_BACKUP_BLOB_FOLDER": str(keys.blob_folder),
            "REPLYCO_BACKUP_KEY_FILES": " ".join(
                str(file) for file in (keys.key_file, keys.mail_private_key_file, keys.mail_public_key_file)
            ),
            "REPLYCO_BACKUP_KEYS_FOLDER": str(folder / "kept-keys"),
            "REPLYCO_BACKUP_KEYS_RECIPIENTS_FILE": str(folder / "keys.recipients"),
            "REPLYCO_BACKUP_KEYS_IDENTITY_FILE": str(folder / "keys.identity"),
        }
        backups = cls(server, folder, environment)
        # The server runs as another user, if a test runs as root.
        for name in (".", "kept", "data.recipients", "backup.sh", "restore.sh"):
            (folder / name).chmod(0o755)
        backups.give_to_server(folder / "kept" / "wal")
        backups.give_to_server(folder / "data.identity")
        archive = " ".join(
            f"{name}={environment[name]}"
            for name in ("REPLYCO_BACKUP_FOLDER", "REPLYCO_BACKUP_RECIPIENTS_FILE")
        )
        await tell(
            server,
            "ALTER SYSTEM SET archive_mode = on",
            f"ALTER SYSTEM SET archive_command = 'env {archive} {folder}/backup.sh wal %p'",
        )
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start_again)
        return backups

    def give_to_server(self, path: Path) -> None:
        """Let it belong to the user as whom the server runs."""
        owner = self.server.server.pgdata.stat()
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", path], check=True)

    async def backup(self, *arguments: str, **settings: str) -> str:
        """What `backup.sh` prints."""
        return await output_of(
            str(self.folder / "backup.sh"), *arguments, environment=self.environment | settings
        )

    async def restore(self, *arguments: str) -> str:
        return await output_of(str(self.folder / "restore.sh"), *arguments, environment=self.environment)

    async def restored_server(self, time: str) -> EmbeddedPostgres:
        """A second server, as it was at that time."""
        folder = self.folder / "pg"
        await self.restore("database", str(folder), time)
        self.give_to_server(folder)
        server = await asyncio.to_thread(EmbeddedPostgres.start, folder)
        async with asyncio.timeout(20):
            # PostgreSQL tells nobody when it is open for writing.
            while (await ask(server, "SELECT pg_is_in_recovery()"))[0][0]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return server

    async def archive_everything(self) -> None:
        """Until the log is kept up to now."""
        [[name]] = await ask(self.server, "SELECT pg_walfile_name(pg_switch_wal())")
        async with asyncio.timeout(20):
            while not (self.folder / "kept" / "wal" / f"{name}.gz.age").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.1)


class ScriptFailed(Exception):
    """What it said."""


async def output_of(*command: str, environment: dict[str, str] | None = None) -> str:
    """What a command prints. Raises ScriptFailed."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    if process.returncode:
        raise ScriptFailed(output)
    return output


async def tell(server: EmbeddedPostgres, *statements: str) -> None:
    connection = await asyncpg.connect(asyncpg_dsn(server.url(OWNER)))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def ask(server: EmbeddedPostgres, question: str, database: str = "postgres") -> list[asyncpg.Record]:
    connection = await asyncpg.connect(asyncpg_dsn(server.url(OWNER, database)))
    try:
        return await connection.fetch(question)
    finally:
        await connection.close()
