"""The connector is killed while agents write replies through it; then replies, mails, files and drafts are counted."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import httpx2
from sqlalchemy import func, update

from deploy.demo.postgres import OWNER
from services.connector.accounts.credentials import csrf_token, hash_secret, new_session_token
from services.connector.accounts.session_lifetime import USUAL
from services.connector.dependencies import CSRF_HEADER, IDEMPOTENCY_HEADER, SESSION_COOKIE
from shared.database import Sessions, create_engine, create_sessions, is_unavailable
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import IdempotencyKey, UserSession
from tests.conftest import Database, Keys
from tests.factories import make_user
from tests.faults.mailrelay.reply_kills import Sent, count_sent, sending, until_none_is_under_way
from tests.integration.mailrelay.outbound.conftest import Shop, make_shop
from tests.integration.mailrelay.outbound.peer import Peer, listening
from tests.no_tls import NO_AUTHORITIES
from tests.roles import Replica, replica, running

Victim = Literal["connector", "sender", "postgresql"]

_AGENTS: Final = 6
_REPLIES_A_CONVERSATION: Final = 3
_SENDER: Final = "k3x9example0abc+A2TAGOFTHETHREAD@marketplace.amazon.de"
# Every so many replies one has a file that lies in the blob store.
_LARGE_EVERY: Final = 20


@dataclass
class Written:
    """What one agent writes: everything of it can be told from everybody else's."""

    number: int
    path: str
    key: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def text(self) -> str:
        return f"Guten Tag, Ihre Lampe {self.number} ist unterwegs."

    @property
    def file(self) -> bytes:
        size = 300_000 if self.number % _LARGE_EVERY == 0 else 1
        return b"%PDF-1.7\n% Lampe " + str(self.number).encode() + b"\n" * size


@dataclass(frozen=True, slots=True)
class Answered:
    """What is there in the end. Right is: each key has one reply with its file, and at most one mail; no draft is left or lost."""

    sent: Sent
    keys: int
    rows: int
    keys_without_their_one_reply: int
    files_not_whole: int
    drafts_left: int
    drafts_lost: int
    interrupted: int
    found_in_the_list: int

    @property
    def is_right(self) -> bool:
        wrong = self.keys_without_their_one_reply + self.files_not_whole + self.drafts_left + self.drafts_lost
        return self.sent.is_right and self.rows == self.keys and not wrong


@dataclass
class Agent:
    """Writes replies one after another, and repeats what was not answered."""

    client: httpx2.AsyncClient
    sessions: Sessions
    is_up: asyncio.Event
    arrived: asyncio.Queue[None]
    written: list[Written] = field(default_factory=list)
    interrupted: int = 0
    found_in_the_list: int = 0
    drafts_lost: int = 0

    async def write_all(self) -> None:
        for written in self.written:
            await self.ask("PUT", f"{written.path}/draft", json={"text": written.text})
            name = {"filename": f"Lampe {written.number}.pdf"}
            uploaded = await self.ask("POST", f"{written.path}/files", params=name, content=written.file)
            await self._reply(written, uploaded.json()["id"])
            self.arrived.put_nowait(None)

    async def _reply(self, written: Written, file_id: str) -> None:
        etag = (await self.ask("GET", written.path)).headers["ETag"]
        body = {"text": written.text, "file_ids": [file_id]}
        while True:
            headers = {IDEMPOTENCY_HEADER: written.key, "If-Match": etag}
            answer = await self.ask("POST", f"{written.path}/replies", json=body, headers=headers)
            if answer.status_code == 201:
                return
            match answer.json()["code"]:
                case "idempotency_in_progress":
                    await self._end_claim(written.key)
                case "conversation_changed":
                    # The version comes before the list: what is stored after this look would be a change again.
                    etag = answer.headers["ETag"]
                    if await self._is_listed(written):
                        self.found_in_the_list += 1
                        return
                    draft = (await self.ask("GET", f"{written.path}/draft")).json()
                    self.drafts_lost += draft["text"] != written.text
                case _:
                    raise AssertionError(answer.text)

    async def _is_listed(self, written: Written) -> bool:
        listed = (await self.ask("GET", f"{written.path}/replies")).json()["items"]
        return any(reply["text"] == written.text for reply in listed)

    async def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """The first answer to this request. One that was not answered, or found no database, is sent again as it was."""
        while True:
            await self.is_up.wait()
            try:
                answer = await self.client.request(method, path, **request)
            except httpx2.TransportError:
                self.interrupted += 1
                await asyncio.sleep(0.05)
                continue
            if answer.status_code not in {429, 503}:
                assert answer.status_code < 500, (method, path, answer.text)
                return answer
            self.interrupted += 1
            await asyncio.sleep(float(answer.headers.get("Retry-After", "0.2")))

    async def _end_claim(self, key: str) -> None:
        """As if two minutes had passed since the kill."""
        try:
            async with self.sessions.begin() as session:
                await session.execute(
                    update(IdempotencyKey)
                    .where(IdempotencyKey.key == key, IdempotencyKey.status.is_(None))
                    .values(locked_until=func.now())
                )
        except Exception as error:
            if not is_unavailable(error):
                raise
            await asyncio.sleep(0.2)


async def answered_though_killed(
    database: Database,
    keys: Keys,
    keyring: Keyring,
    folder: Path,
    *,
    replies: int,
    victims: Sequence[Victim],
) -> Answered:
    """Let agents write replies, kill a victim after the other meanwhile, wait until all is sent, and count."""
    engine = create_engine(database.url(OWNER), application_name="tests")
    sessions = create_sessions(engine)
    connector = replica(database, keys, folder, "connector", reply_undo_seconds="0")
    shop = await make_shop(sessions, keyring, keys)
    arrived = asyncio.Queue[None]()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        peer = await stack.enter_async_context(listening(Peer(end_seconds=0.003)))
        processes = _Processes(database, keys, peer, connector, stack)
        agents = [
            Agent(
                await stack.enter_async_context(await _signed_in(shop, connector.port)),
                sessions,
                processes.is_up,
                arrived,
            )
            for _ in range(_AGENTS)
        ]
        for first in range(0, replies, _REPLIES_A_CONVERSATION):
            question = await shop.question(sender_address=_SENDER)
            path = f"/api/v1/conversations/{question.conversation_id}"
            for number in range(first, min(first + _REPLIES_A_CONVERSATION, replies)):
                agents[number % _AGENTS].written.append(Written(number, path))
        async with asyncio.TaskGroup() as group:
            for agent in agents:
                group.create_task(agent.write_all())
            await processes.kill_while(arrived, replies, victims)
        states = await until_none_is_under_way(database)
        rows = {row.id: row.conversation_id for row in await shop.rows()}
        left = [await _left_wrong(agent, written) for agent in agents for written in agent.written]
        return Answered(
            sent=count_sent(rows, states, peer, len(victims)),
            keys=replies,
            rows=len(rows),
            keys_without_their_one_reply=sum(replies_wrong for replies_wrong, _, _ in left),
            files_not_whole=sum(files_wrong for _, files_wrong, _ in left),
            drafts_left=sum(draft_left for _, _, draft_left in left),
            drafts_lost=sum(agent.drafts_lost for agent in agents),
            interrupted=sum(agent.interrupted for agent in agents),
            found_in_the_list=sum(agent.found_in_the_list for agent in agents),
        )


@dataclass
class _Processes:
    """A connector and a sender, of which there is always one, or one that starts."""

    database: Database
    keys: Keys
    peer: Peer
    connector: Replica
    stack: AsyncExitStack
    is_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def kill_while(self, arrived: asyncio.Queue[None], replies: int, victims: Sequence[Victim]) -> None:
        """Each victim at a random moment in its part of the replies; in the end all replies are written."""
        part = replies // (len(victims) + 1)
        await self.stack.enter_async_context(running(self.connector))
        sender = await self._sender()
        self.is_up.set()
        for victim in victims:
            await _come(arrived, part)
            await asyncio.sleep(secrets.randbelow(40) / 1000)
            match victim:
                case "connector":
                    self.is_up.clear()
                    await self.connector.kill()
                    await self.connector.start()
                    await self.connector.ready()
                    self.is_up.set()
                case "sender":
                    sender.kill()
                    await sender.wait()
                    sender = await self._sender()
                case "postgresql":
                    self.database.postgres.kill()
                    await asyncio.to_thread(self.database.postgres.start_again)
        await _come(arrived, replies - part * len(victims))

    async def _sender(self) -> asyncio.subprocess.Process:
        return await self.stack.enter_async_context(sending(self.database, self.keys, self.peer))


async def _come(arrived: asyncio.Queue[None], count: int) -> None:
    for _ in range(count):
        await asyncio.wait_for(arrived.get(), 120)


async def _signed_in(shop: Shop, port: int) -> httpx2.AsyncClient:
    """The client of a new user of the shop's account."""
    token, now = new_session_token(), datetime.now(UTC)
    async with shop.sessions.begin() as session:
        user = await make_user(session, shop.integration.account_id)
        session.add(
            UserSession(
                id=new_id(),
                account_id=user.account_id,
                user_id=user.id,
                token_hash=hash_secret(token),
                created_at=now,
                last_seen_at=now,
                expires_at=now + USUAL.idle,
                authenticated_at=now,
            )
        )
    return httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={CSRF_HEADER: csrf_token(token), "Cookie": f"{SESSION_COOKIE}={token}"},
        timeout=30,
        verify=NO_AUTHORITIES,
    )


async def _left_wrong(agent: Agent, written: Written) -> tuple[bool, bool, bool]:
    """Of a key: whether it has not its one reply, whether that one's file is not as it was, and whether the draft is still there."""
    listed = (await agent.ask("GET", f"{written.path}/replies")).json()["items"]
    mine = [reply for reply in listed if reply["text"] == written.text]
    files = [file["id"] for reply in mine for file in reply["files"]]
    contents = [(await agent.ask("GET", f"/api/v1/files/{file_id}")).content for file_id in files]
    draft = (await agent.ask("GET", f"{written.path}/draft")).json()
    return len(mine) != 1, contents != [written.file], draft["text"] != ""
