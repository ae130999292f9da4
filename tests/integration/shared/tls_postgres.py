"""A PostgreSQL that is reached over TCP with TLS alone, under a certificate of a CA that is made on the spot.

The tests' PostgreSQL is built without TLS. A front speaks it, as PostgreSQL does: to the same bytes of the same protocol.
"""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.driver import asyncpg_dsn
from tests.conftest import TEMPLATE, start_copy
from tests.integration.mailrelay.certificates import CertificateFiles

PASSWORD = "the-right-one"
WITHOUT_CREATEROLE = "owner_without_createrole"
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_NO_ENCRYPTION = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for host, no encryption\0\0"


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
        database: str = TEMPLATE,
        password: str = PASSWORD,
        options: str | None = None,
    ) -> str:
        options = f"sslmode=verify-full&sslrootcert={self.ca_file}" if options is None else options
        return f"postgresql://{role}:{password}@{host}:{self.port}/{database}?{options}"


@asynccontextmanager
async def tls_postgres(folder: Path, migrated_server: Path) -> AsyncIterator[TlsPostgres]:
    """An installation's database, and another one whose owner may make no roles."""
    server = start_copy(migrated_server, folder / "data")
    connection = await asyncpg.connect(asyncpg_dsn(server.url(OWNER, TEMPLATE)))
    await connection.execute(f"ALTER ROLE {CONNECTOR} PASSWORD '{PASSWORD}'")
    await connection.execute(f"CREATE ROLE {WITHOUT_CREATEROLE} LOGIN")
    await connection.execute(f"CREATE DATABASE of_another OWNER {WITHOUT_CREATEROLE}")
    access = folder / "data" / "pg_hba.conf"
    access.write_text(f"local all {CONNECTOR} scram-sha-256\nlocal all all trust\n")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()

    (folder / "own").mkdir()
    (folder / "other").mkdir()
    own = CertificateFiles(folder / "own", host="localhost")
    other = CertificateFiles(folder / "other", host="localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own.certificate_file, own.key_file)
    path = str(server.server.get_postmaster_info().socket_dir) + "/.s.PGSQL.5432"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Clients that break off, as those do that do not trust us.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            if await reader.readexactly(8) != _SSL_REQUEST:
                writer.write(b"E" + struct.pack("!i", 4 + len(_NO_ENCRYPTION)) + _NO_ENCRYPTION)
                await writer.drain()
                return
            writer.write(b"S")
            await writer.start_tls(context)
            behind, to_behind = await asyncio.open_unix_connection(path)
            with contextlib.closing(to_behind):
                copying = [
                    asyncio.create_task(_copy(reader, to_behind)),
                    asyncio.create_task(_copy(behind, writer)),
                ]
                await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
                for task in copying:
                    task.cancel()
                await asyncio.gather(*copying, return_exceptions=True)

    # At every address of this machine, so that one is not in the certificate.
    front = await asyncio.start_server(serve, "0.0.0.0", 0)
    port = int(front.sockets[0].getsockname()[1])
    try:
        yield TlsPostgres(port, own.certificate_file, other.certificate_file)
    finally:
        front.close()
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
