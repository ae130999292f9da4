"""The `amazon` commands: all calls to Amazon are stopped, go on again, or the operators ask which."""

from typing import Annotated

import typer
from pydantic import Field

from services.connector.amazon_pauses import service
from services.connector.amazon_pauses.service import Pause
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.process import operator_name, settings_or_exit
from shared.settings import CommonSettings

amazon = typer.Typer(help="The calls to Amazon: stop all of them, and let them go on.", no_args_is_help=True)


class PauseSettings(CommonSettings):
    """What these commands need."""

    amazon_client_id: str = Field(min_length=1, description="the LWA client id of the application")


@amazon.command()
def pause(
    reason: Annotated[str | None, typer.Option(help="For other operators; no seller sees it.")] = None,
) -> None:
    """Stop all calls to Amazon of this application, in every process, within seconds. Mail is still accepted and shown."""
    settings = settings_or_exit(PauseSettings)

    async def run(sessions: Sessions) -> Pause:
        return await service.pause(
            sessions, settings.amazon_client_id, reason=reason, paused_by=operator_name()
        )

    _print(run_with_database(settings, "connector-amazon", run))
    print("Calls that were under way end; no new one begins. `amazon resume` lets them go on.")


@amazon.command()
def resume() -> None:
    """Let the calls to Amazon go on. What was put off is done within a minute or so."""
    settings = settings_or_exit(PauseSettings)

    async def run(sessions: Sessions) -> bool:
        return await service.resume(sessions, settings.amazon_client_id)

    was_paused = run_with_database(settings, "connector-amazon", run)
    print("The calls to Amazon go on." if was_paused else "The calls to Amazon were not paused.")


@amazon.command()
def status() -> None:
    """Say whether the calls to Amazon are paused, since when, by whom and why."""
    settings = settings_or_exit(PauseSettings)

    async def run(sessions: Sessions) -> Pause | None:
        return await service.read_pause(sessions, settings.amazon_client_id)

    _print(run_with_database(settings, "connector-amazon", run))


def _print(found: Pause | None) -> None:
    if found is None:
        print("The calls to Amazon go out.")
        return
    print(f"The calls to Amazon are paused since {found.paused_at:%Y-%m-%d %H:%M:%S}Z.")
    print(f"By: {found.paused_by or 'unknown'}")
    print(f"Reason: {found.reason or 'none was given'}")
