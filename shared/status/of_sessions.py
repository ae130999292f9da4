"""What `/status` of a process tells that works on the database with sessions: what waits and fails, too."""

from collections.abc import Callable
from functools import partial

from shared.database import Sessions, database_problem, is_unavailable
from shared.driver import DatabaseUnavailable
from shared.status import queries
from shared.status.queries import Scope
from shared.status.report import Facts, StatusReport


def status_of(
    role: str, sessions: Sessions, scope: Scope, problem: Callable[[], str | None] = lambda: None
) -> StatusReport:
    """The report of such a process. `problem`: why it cannot work, for another reason than the database."""
    return StatusReport(
        role,
        database_problem=partial(database_problem, sessions),
        problem=problem,
        read=partial(_read_state_or_away, sessions, scope),
    )


async def _read_state_or_away(sessions: Sessions, scope: Scope) -> Facts:
    try:
        return await read_state(sessions, scope)
    except Exception as error:
        if is_unavailable(error):
            raise DatabaseUnavailable from error
        raise


async def read_state(sessions: Sessions, scope: Scope) -> Facts:
    """What waits and what fails now, and the tables' revision. Raises what is in shared.database.UNAVAILABLE."""
    async with sessions.begin() as session:
        queues = []
        for queue in scope.queues:
            waiting = await queries.read_waiting(session, queue)
            queues.append(
                {
                    "queue": queue,
                    "count": waiting.count,
                    "is_capped": waiting.count == queries.MOST_COUNTED,
                    "oldest_seconds": None
                    if waiting.oldest_seconds is None
                    else round(waiting.oldest_seconds, 1),
                }
            )
        troubles = await queries.read_troubles(session, scope.troubles)
        return {
            "tables": await queries.read_schema_revision(session),
            "queues": queues,
            "troubles": [
                {"what": trouble.what, "code": trouble.code, "count": trouble.count} for trouble in troubles
            ],
        }
