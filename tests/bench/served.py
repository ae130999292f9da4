"""The connector as a process of its own, and the smallest client that can ask it something."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from services.connector.accounts.credentials import hash_secret, new_api_key
from shared.tables import ApiKey
from tests.conftest import Keys

_UP_WITHIN_SECONDS: Final = 30


def bench_key(account_id: UUID, created_by: UUID) -> tuple[str, ApiKey]:
    """An API key that may read everything, and its row."""
    key = new_api_key()
    row = ApiKey(
        account_id=account_id,
        name="Bench",
        hint=key[-4:],
        secret_hash=hash_secret(key),
        general_admin="view",
        inbox_messages="view",
        inbox_orders="view",
        created_by=created_by,
    )
    return key, row


def settings_of(database_url: str, keys: Keys, port: int) -> dict[str, str]:
    """What `serve` needs, without limits that a benchmark would meet."""
    return {
        "REPLYCO_DATABASE_URL": database_url,
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_BLOB_URL": keys.blob_url,
        "REPLYCO_PORT": str(port),
        "REPLYCO_SIDE_PORT": "0",
        "REPLYCO_REQUESTS_PER_MINUTE": "100000000",
        "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.bench",
        "REPLYCO_AMAZON_CLIENT_ID": "amzn1.application-oa2-client.bench",
        "REPLYCO_AMAZON_CLIENT_SECRET": "bench",
    }


@contextmanager
def running(arguments: list[str], settings: dict[str, str]) -> Iterator[None]:
    """A process until the end of the block; its output goes nowhere."""
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={"PATH": os.defpath, **settings},
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Client:
    """One connection, kept open, and opened anew where the server has closed it because nobody asked for so long."""

    def __init__(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, api_key: str
    ) -> None:
        self._port = port
        self._reader = reader
        self._writer = writer
        self._api_key = api_key

    @classmethod
    async def connect(cls, port: int, api_key: str) -> "Client":
        """Waits until the server is up."""
        deadline = time.monotonic() + _UP_WITHIN_SECONDS
        while True:
            try:
                return cls(port, *await asyncio.open_connection("127.0.0.1", port), api_key)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def get(self, path: str) -> bytes:
        """The body of the answer. Raises RuntimeError for anything but 200."""
        if self._reader.at_eof():
            self._writer.close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._api_key}\r\n\r\n".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode())
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        return await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()
