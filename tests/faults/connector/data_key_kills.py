"""Data keys are changed by a command that is killed again and again, while others read and write; then everything is counted."""

import asyncio
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, text

from deploy.demo.postgres import OWNER
from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import AccountKey, Conversation, Message, Note, User
from tests.conftest import Database, Keys
from tests.factories import make_account, make_conversation, make_integration, make_message, make_user
from tests.processes import command

_CHANGER = "tests.faults.connector.data_key_changer"
_SEALED = re.compile(r"([0-9]+) sealed anew")
_ACCOUNTS = 3
# Less than what the changer waits for.
_REREAD_SECONDS = 0.2
_READ_AT_ONCE = 20
_COLUMNS = {
    "messages": ("raw_key", "subject", "sender_name", "sender_address", "body_text", "snippet"),
    "notes": ("body_text",),
    "conversations": ("buyer_name", "buyer_address", "subject"),
}


@dataclass(frozen=True, slots=True)
class Count:
    """`opened`: values that open with the new key alone, of `there`; `failed`: reads and writes of others that went wrong; `written` by them
    meanwhile; `killed`: changers; `changed`: accounts that have exactly one new key.
    """

    there: int
    opened: int
    failed: int
    written: int
    killed: int
    changed: int

    @property
    def is_right(self) -> bool:
        return (
            self.opened == self.there and not self.failed and self.written > 0 and self.changed == _ACCOUNTS
        )


async def changed_through_kills(
    database: Database, keys: Keys, folder: Path, *, messages: int, kills: int
) -> Count:
    """`messages` for each of three accounts; the changer is killed before keys are in use, and `kills` times while it seals anew."""
    engine = create_engine(database.url(OWNER), application_name="data-key-kills")
    try:
        sessions = create_sessions(engine)
        conversations = await _stores(sessions, keys, messages)
        traffic = _Traffic(sessions, Keyring(KeyFile.load(keys.key_file), reread_seconds=_REREAD_SECONDS))
        stop = asyncio.Event()
        clients = [asyncio.create_task(traffic.run(stop, conversation)) for conversation in conversations]
        environment = {
            "DATABASE_URL": database.url(OWNER),
            "KEY_FILE": str(keys.key_file),
            "BLOBS": str(folder / "blobs"),
            "LEARNED_AFTER_SECONDS": "2",
        }
        # So long that the second one cannot be through with it before the first is killed.
        waiting = environment | {"LEARNED_AFTER_SECONDS": "3600"}
        killed = [await _change(waiting, told) for told in ("data keys are made", "every process knows")]
        # Each seals a part of what the one before has left.
        rows = max(_ACCOUNTS * messages // (kills + 2), 1)
        killed += [await _change(environment, rows) for _ in range(kills)]
        ended = not await _change(environment, None)
        stop.set()
        await asyncio.gather(*clients)
        opened, there, changed = await _counted(sessions, keys, [each.account_id for each in conversations])
        assert ended
        return Count(there, opened, traffic.failed, traffic.written, sum(killed), changed)
    finally:
        await engine.dispose()


async def _stores(sessions: Sessions, keys: Keys, messages: int) -> list[Conversation]:
    keyring = Keyring(KeyFile.load(keys.key_file))
    conversations = []
    for _ in range(_ACCOUNTS):
        async with sessions.begin() as session:
            account = await make_account(session, keyring)
            await make_user(session, account.id)
            conversation = await make_conversation(
                session, keyring, await make_integration(session, account.id)
            )
            for number in range(messages):
                await make_message(session, keyring, conversation, text=f"{number}", snippet=f"{number}")
            conversations.append(conversation)
    async with sessions.begin() as session:
        await session.execute(text("UPDATE account_keys SET created_at = now() - interval '400 days'"))
        await session.execute(
            text("""
            UPDATE conversations SET (snippet, snippet_message_id) = (SELECT snippet, id FROM messages
            WHERE messages.conversation_id = conversations.id ORDER BY id DESC LIMIT 1)""")
        )
    return conversations


async def _change(environment: Mapping[str, str], until: str | int | None) -> bool:
    """Run the changer until it says this, or has sealed so many rows anew, and kill it then. Returns whether it was killed before its end."""
    process = await asyncio.create_subprocess_exec(
        *command(_CHANGER),
        env={"PATH": os.defpath, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while told := (await process.stdout.readline()).decode():
                sealed = _SEALED.search(told)
                if isinstance(until, int) and sealed is not None and int(sealed[1]) >= until:
                    return True
                if isinstance(until, str) and until in told:
                    return True
                if told.startswith("done"):
                    return False
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    raise AssertionError("the changer ended without a word")


class _Traffic:
    """Reads what is there and writes notes, as a process that goes on all the time."""

    def __init__(self, sessions: Sessions, keyring: Keyring) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self.failed = 0
        self.written = 0

    async def run(self, stop: asyncio.Event, conversation: Conversation) -> None:
        account_id = conversation.account_id
        while not stop.is_set():
            keys = await self._keyring.of(self._sessions, account_id)
            async with self._sessions.begin() as session:
                user_id = await session.scalar(select(User.id).where(User.account_id == account_id))
                rows = (
                    await session.execute(
                        select(Message.id, Message.body_text)
                        .where(Message.account_id == account_id)
                        .order_by(text("random()"))
                        .limit(_READ_AT_ONCE)
                    )
                ).all()
                note_id = new_id()
                session.add(
                    Note(
                        id=note_id,
                        account_id=account_id,
                        conversation_id=conversation.id,
                        written_by=user_id,
                        body_text=keys.seal_text(Place("notes", "body_text", note_id), "note"),
                    )
                )
            self.written += 1
            for row in rows:
                try:
                    keys.open(Place("messages", "body_text", row.id), row.body_text)
                except SealBroken:
                    self.failed += 1
            await asyncio.sleep(0.2)


async def _counted(sessions: Sessions, keys: Keys, account_ids: list[UUID]) -> tuple[int, int, int]:
    """How many values open with the account's newest key alone, of how many, and how many accounts have two keys."""
    opened = there = changed = 0
    keyring = Keyring(KeyFile.load(keys.key_file))
    for account_id in account_ids:
        all_keys = await keyring.of(sessions, account_id)
        current = all_keys.current_id
        newest = AccountKeys(account_id, current, {current: all_keys.data_keys[current]}, all_keys.lookup_key)
        async with sessions.begin() as session:
            ids = await session.scalars(
                select(AccountKey.id).where(AccountKey.account_id == account_id, AccountKey.purpose == "seal")
            )
            changed += len(ids.all()) == 2
            values = list(
                _sealed(await session.scalars(select(Message).where(Message.account_id == account_id)))
            )
            values += _sealed(await session.scalars(select(Note).where(Note.account_id == account_id)))
            [conversation] = (
                await session.scalars(select(Conversation).where(Conversation.account_id == account_id))
            ).all()
            assert conversation.snippet_message_id is not None
            values += _sealed([conversation])
            values.append(
                (Place("messages", "snippet", conversation.snippet_message_id), conversation.snippet)
            )
        for place, sealed in values:
            if sealed is None:
                continue
            there += 1
            try:
                newest.open(place, sealed)
                opened += 1
            except SealBroken:
                pass
    return opened, there, changed


def _sealed(rows: Iterable[Message | Note | Conversation]) -> Iterator[tuple[Place, Sealed | None]]:
    for row in rows:
        for column in _COLUMNS[row.__tablename__]:
            yield Place(row.__tablename__, column, row.id), getattr(row, column)
