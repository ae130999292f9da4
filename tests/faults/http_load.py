"""Programs that use the REST API again and again, none of which repeats a request, and one that keeps an event stream open."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import httpx2

from deploy.demo.postgres import OWNER
from services.connector.accounts.service import add_api_key
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from shared.permissions import Level, Permission
from tests.conftest import Database, Keys
from tests.factories import make_account, make_conversation, make_integration, make_user
from tests.no_tls import NO_AUTHORITIES

_PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Program:
    """What a program may use: its key, and a conversation to write notes in, if there is one."""

    key: str
    conversation_id: UUID | None = None

    @classmethod
    async def make(cls, database: Database, keys: Keys) -> Self:
        """In an account of its own."""
        engine = create_engine(database.url(OWNER), application_name="tests")
        keyring = Keyring(KeyFile.load(keys.key_file))
        async with create_sessions(engine).begin() as session:
            account = await make_account(session, keyring)
            user = await make_user(session, account.id)
            conversation = await make_conversation(
                session, keyring, await make_integration(session, account.id)
            )
            key, _ = await add_api_key(
                session,
                account.id,
                user.id,
                name="load",
                levels={Permission.INBOX_MESSAGES: Level.EDIT},
                expires_at=None,
                now=datetime.now(UTC),
            )
        await engine.dispose()
        return cls(key, conversation.id)


class HttpLoad:
    """`answers` counts answers by status, `errors` requests that got none, by what was raised, `streams` how event streams ended:
    `ended` as an answer ends, or by what was raised.
    """

    def __init__(self, port: int, program: Program, *, clients: int, pause_seconds: float = 0.02) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"
        self._program = program
        self._clients = clients
        self._pause_seconds = pause_seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False
        self.answers: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.streams: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        self._tasks.append(asyncio.create_task(self._listen()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Each request under way is answered first; the stream is broken off."""
        self._is_over = True
        self._tasks[-1].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def wrong(self) -> list[str]:
        """What no client should have met."""
        answers = {
            f"{status} x {count}"
            for status, count in self.answers.items()
            if not status.endswith(("200", "201"))
        }
        broken = {f"stream {how} x {count}" for how, count in self.streams.items() if how != "ended"}
        return sorted(answers | broken | {f"{error} x {count}" for error, count in self.errors.items()})

    def _open(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self._program.key}"}
        return httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False, verify=NO_AUTHORITIES)

    async def _client(self) -> None:
        notes = f"{self._url}/conversations/{self._program.conversation_id}/notes"
        async with self._open() as client:
            while not self._is_over:
                await self._ask(client, "GET", f"{self._url}/conversations")
                if self._program.conversation_id is not None:
                    await self._ask(client, "POST", notes)
                await asyncio.sleep(self._pause_seconds)

    async def _ask(self, client: httpx2.AsyncClient, method: str, url: str) -> None:
        try:
            answer = await client.request(method, url, json={"text": "load"} if method == "POST" else None)
        except httpx2.TransportError as error:
            self.errors[f"{method} {type(error).__name__}"] += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            self.answers[f"{method} {answer.status_code}"] += 1

    async def _listen(self) -> None:
        async with self._open() as client:
            while not self._is_over:
                try:
                    async with client.stream("GET", f"{self._url}/events") as stream:
                        if stream.status_code != httpx2.codes.OK:
                            self.streams[str(stream.status_code)] += 1
                        async for _ in stream.aiter_raw():
                            pass
                except httpx2.TransportError as error:
                    self.streams[type(error).__name__] += 1
                else:
                    self.streams["ended"] += 1
                await asyncio.sleep(_PAUSE_SECONDS)
