"""The simplest honest program that does what the pipeline does for one mail: aiosmtpd as it is, the standard library's parser, one
INSERT, and COMMIT before `250`.

It seals nothing, proves nothing and threads nothing; what it has accepted it has also parsed and shown. A process of its own, as
ours are: `python -m tests.bench.pipeline_peer --port PORT --dsn DSN`.
"""

import argparse
import asyncio
from email import message_from_bytes
from email.policy import default
from typing import Final
from uuid import UUID

import asyncpg
from aiosmtpd.smtp import SMTP, Envelope, Session
from uuid_utils.compat import uuid7

# As many as the benchmark has sessions: none waits for a connection.
_CONNECTIONS: Final = 20
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS mails (id uuid PRIMARY KEY, recipient text NOT NULL, sender text, subject text, body text,"
    " attachments int NOT NULL, raw bytea NOT NULL, received_at timestamptz NOT NULL DEFAULT now())"
)
_INSERT: Final = "INSERT INTO mails (id, recipient, sender, subject, body, attachments, raw) VALUES ($1, $2, $3, $4, $5, $6, $7)"


class Handler:
    """Parses and stores a mail when its DATA is over."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=default)
        body = message.get_body(("plain", "html"))
        mail_id: UUID = uuid7()
        await self._pool.execute(
            _INSERT,
            mail_id,
            envelope.rcpt_tos[0],
            str(message["from"]),
            str(message["subject"]),
            None if body is None else body.get_content(),
            sum(1 for _ in message.iter_attachments()),
            content,
        )
        return f"250 OK {mail_id}"


async def serve(port: int, dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=_CONNECTIONS, max_size=_CONNECTIONS) as pool:
        await pool.execute(_TABLE)
        handler = Handler(pool)
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(handler, hostname="peer.example"), "127.0.0.1", port
        )
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dsn", required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.dsn))
