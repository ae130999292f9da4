"""The commands `trace` and `status`: the way of one mail, and what waits and fails now."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from services.connector.operations import queries
from services.connector.operations.queries import Trouble, Waiting
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.process import FAILED, give_up, settings_or_exit
from shared.settings import CommonSettings
from shared.version import version


def trace(
    mail_id: Annotated[UUID, typer.Argument(help="As in the relay's answer: 250 2.0.0 accepted as ….")],
) -> None:
    """Follow an accepted mail: its place in the queue, its message, replies to it, and what webhooks were told. Ids and codes only."""

    async def run(sessions: Sessions) -> list[tuple[str, dict[str, object]]]:
        async with sessions.begin() as session:
            return await queries.read_way_of_mail(session, mail_id)

    steps = run_with_database(settings_or_exit(CommonSettings), "connector-trace", run)
    if not steps:
        give_up(
            f"No accepted mail has the id {mail_id}: it was never accepted, or its time is over.", code=FAILED
        )
    for step, facts in steps:
        print(step)
        for name, value in facts.items():
            if value is not None:
                print(f"  {name:20}{_as_text(value)}")
    if len(steps) == 1:
        print(
            "no message\n  The mail waits, is held, was a second copy of one that is here, or its message was deleted."
        )


def status() -> None:
    """Say what waits and for how long, and what fails now."""

    async def run(sessions: Sessions) -> tuple[str | None, dict[str, Waiting], list[Trouble]]:
        async with sessions.begin() as session:
            waiting = {queue: await queries.read_waiting(session, queue) for queue in queries.QUEUES}
            return await queries.read_schema_revision(session), waiting, await queries.read_troubles(session)

    revision, waiting, troubles = run_with_database(settings_or_exit(CommonSettings), "connector-status", run)
    print(f"version {version()}, tables {revision}")
    for queue, found in waiting.items():
        age = "" if found.oldest_seconds is None else f"  the first for {found.oldest_seconds:.0f} s"
        print(f"{queue:32}{found.count:>8}{age}")
    for trouble in troubles:
        print(f"failing: {trouble.what} {trouble.code} ({trouble.count})")


def _as_text(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}Z" if isinstance(value, datetime) else str(value)
