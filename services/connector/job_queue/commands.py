"""The `jobs` commands: which background jobs are held, and trying them once more."""

import typer

from services.connector.job_queue import queries
from services.connector.job_queue.queries import HeldJob
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.process import settings_or_exit
from shared.settings import CommonSettings

jobs = typer.Typer(help="Background jobs that failed for good and wait for a person.", no_args_is_help=True)


@jobs.command()
def held() -> None:
    """List the jobs that are held: since when, which kind, for which subject, and the kind of failure."""

    async def run(sessions: Sessions) -> list[HeldJob]:
        async with sessions.begin() as session:
            return await queries.held(session)

    found = run_with_database(settings_or_exit(CommonSettings), "connector-jobs", run)
    for job in found:
        print(f"{job.held_at:%Y-%m-%d %H:%M:%S}Z {job.kind} {job.subject_id} {job.failure}")
    if not found:
        print("No job is held.")


@jobs.command()
def retry() -> None:
    """Have the workers try all held jobs once more."""

    async def run(sessions: Sessions) -> int:
        async with sessions.begin() as session:
            return await queries.free_held(session)

    print(f"{run_with_database(settings_or_exit(CommonSettings), 'connector-jobs', run)} jobs are due again.")
