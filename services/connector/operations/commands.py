"""The command `trace`: the way of one mail."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from services.connector.operations import queries
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.process import FAILED, give_up, settings_or_exit
from shared.settings import CommonSettings


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


def _as_text(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}Z" if isinstance(value, datetime) else str(value)
