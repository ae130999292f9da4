"""An upgrade as it rolls: the version before the last migration goes on, on tables that are newer than it, and this version waits for its own."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.driver import asyncpg_dsn
from shared.schema_revision import packaged_revisions
from tests.conftest import Database, Keys
from tests.faults.http_load import HttpLoad, Program
from tests.faults.mailrelay.counting import Count, counted
from tests.faults.mailrelay.load import Load
from tests.faults.mailrelay.migrating import STORE, STORE_ROWS
from tests.roles import ROLES, Replica, replica, running

_ROOT: Final = Path(__file__).parents[2]
_CODE: Final = ("services", "shared", "migrations", "deploy", "alembic.ini", "pyproject.toml")
_MAILS: Final = 20
_WAITS: Final = 20


class NoHistory(Exception):
    """There is no version before this one here: the files come without their history."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What senders and programs met while the tables were upgraded under both versions.

    `not_ready`: roles of this version that said before it that the tables are too old. `waited`: recipients that its relay answered 451
    meanwhile. `put_off`: mails or recipients that the old one did. `by_old`, `by_new`: mails that each accepted after it.
    """

    not_ready: int
    waited: int
    accepted_too_early: int
    workers_waited: int
    put_off: int
    by_old: int
    by_new: int
    old_ready: int
    requests: int
    wrong: list[str]
    mails: Count

    @property
    def is_right(self) -> bool:
        return (
            self.not_ready == self.old_ready == len(ROLES)
            and self.waited >= _WAITS
            and self.workers_waited == sum(role.endswith("worker") for role in ROLES)
            and not (self.accepted_too_early or self.put_off or self.wrong)
            and min(self.by_old, self.by_new) >= _MAILS
            and self.requests > 0
            and self.mails.is_right
        )


def extract_version_before(folder: Path) -> None:
    """The code as it was before the last migration was added, from this repository's own history. Raises NoHistory."""
    [migration] = (_ROOT / "migrations" / "versions").glob(f"{packaged_revisions().head}_*.py")
    added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", str(migration)).decode().strip()
    if not added:
        raise NoHistory
    code = _git("archive", f"{added}~1", *_CODE)
    subprocess.run(["tar", "--extract", "--directory", folder], input=code, check=True)


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", _ROOT, *arguments], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoHistory from error


async def upgraded(database: Database, folder: Path, code: Path) -> Upgraded:
    """`database` is empty; `code` is what `extract_version_before` has extracted."""
    owner_url = {"REPLYCO_DATABASE_URL": database.url(OWNER)}
    await _run(code, owner_url, "migrations", "upgrade")
    await _run(code, {}, "services.connector", "keys", "create", "--directory", str(folder))
    keys = Keys(folder / "account-keys.json", folder / "mail-private.json", folder / "mail-public.json")
    program = await _prepare(database, keys, code)
    old = {role: replica(database, keys, folder, role) for role in ROLES}
    new = {role: replica(database, keys, folder, role, 1) for role in ROLES}
    for each in old.values():
        each.code = code
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(*old.values()))
        mail = await stack.enter_async_context(
            Load(old["relay"].port, clients=2, name="old", pause_seconds=0.02)
        )
        http = await stack.enter_async_context(HttpLoad(old["connector"].port, program, clients=2))
        await mail.more("data 250", _MAILS)
        for each in new.values():
            stack.push_async_callback(each.kill)
            await each.start()
        not_ready = [await _not_ready(each) for each in new.values()]
        early = await stack.enter_async_context(
            Load(new["relay"].port, clients=2, name="new", pause_seconds=0.02)
        )
        await early.more("RCPT 451", _WAITS)
        workers_waited = sum(
            bool(new[role].said("waits_for_database")) for role in ROLES if role.endswith("worker")
        )
        waited, too_early = early.codes["RCPT 451"], len(early.accepted)
        await _run(_ROOT, owner_url, "migrations", "upgrade")
        before = len(mail.accepted)
        await mail.more("data 250", _MAILS)
        await early.more("data 250", _MAILS)
        await asyncio.gather(*(each.ready() for each in new.values()))
        old_ready = [(await each.readiness())[0] for each in old.values()]
        await mail.more("data 250", _MAILS)
    return Upgraded(
        not_ready=sum("python -m migrations upgrade" in text for text in not_ready),
        waited=waited,
        accepted_too_early=too_early,
        workers_waited=workers_waited,
        put_off=sum(count for code_, count in mail.codes.items() if code_.endswith(" 451")) + mail.refused,
        by_old=len(mail.accepted) - before,
        by_new=len(early.accepted),
        old_ready=old_ready.count(200),
        requests=http.answers.total() + http.errors.total(),
        wrong=http.wrong,
        mails=await counted(database, keys, mail, early),
    )


async def _prepare(database: Database, keys: Keys, code: Path) -> Program:
    """An account, its key and its relay address, all as the version before makes them."""
    connector = {"REPLYCO_DATABASE_URL": database.url(CONNECTOR), "REPLYCO_KEY_FILE": str(keys.key_file)}
    said = await _run(
        code,
        connector | {"REPLYCO_ADMIN_PASSWORD": "a long enough password"},
        *("services.connector", "accounts", "create", "--name", "Lampenladen"),
        *("--admin-email", "anna@seller.example", "--second-factor", "optional"),
    )
    account_id = re.findall(r"^account (\S+)$", said, re.MULTILINE)[0]
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute(STORE, account_id)
    await owner.execute(STORE_ROWS + "UPDATE relay_addresses SET local_part = 'mabtekrud'")
    await owner.close()
    said = await _run(
        code,
        connector,
        *("services.connector", "api-keys", "create", "--user", "anna@seller.example"),
        *("--name", "load", "--permission", "inbox.messages=view"),
    )
    return Program(re.findall(r"^key (\S+)$", said, re.MULTILINE)[0])


async def _not_ready(each: Replica) -> str:
    """What it says of itself once it answers."""
    async with asyncio.timeout(90):
        while not (answer := await each.readiness())[0]:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)
    return answer[1] if answer[0] != 200 else ""


async def _run(code: Path, environment: Mapping[str, str], module: str, *arguments: str) -> str:
    """What a command of that code prints; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=code,
        env={"PATH": os.defpath, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said
