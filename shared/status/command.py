"""The commands `status` of both services."""

from shared.database import Sessions
from shared.database_command import run_with_database
from shared.process import settings_or_exit
from shared.settings import CommonSettings
from shared.status import queries
from shared.status.queries import Scope, Trouble, Waiting
from shared.version import version


def print_status(application_name: str, scope: Scope) -> None:
    """Print what waits and fails now, as far as the database role of REPLYCO_DATABASE_URL may read it."""

    async def run(sessions: Sessions) -> tuple[str | None, dict[str, Waiting], list[Trouble]]:
        async with sessions.begin() as session:
            waiting = {queue: await queries.read_waiting(session, queue) for queue in scope.queues}
            return (
                await queries.read_schema_revision(session),
                waiting,
                await queries.read_troubles(session, scope.troubles),
            )

    revision, waiting, troubles = run_with_database(settings_or_exit(CommonSettings), application_name, run)
    print(f"version {version()}, tables {revision}")
    for queue, found in waiting.items():
        age = "" if found.oldest_seconds is None else f"  the first for {found.oldest_seconds:.0f} s"
        print(f"{queue:32}{_told(found.count):>8}{age}")
    for trouble in troubles:
        print(f"failing: {trouble.what} {trouble.code} ({_told(trouble.count)})")


def _told(count: int) -> str:
    """No further is counted than MOST_COUNTED; what is more is said as so many and a plus."""
    return f"{count}+" if count == queries.MOST_COUNTED else str(count)
