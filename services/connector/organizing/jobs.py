"""Background entry point: what somebody had who may not read the inbox any more becomes nobody's."""

from uuid import UUID

import structlog

from services.connector.job_queue.runner import JobRunner
from services.connector.organizing.unassigning import unassign
from shared.database import Sessions
from shared.jobs import Job

log = structlog.get_logger()


def register(runner: JobRunner, sessions: Sessions) -> None:
    """Make this room's work known to a worker."""

    async def unassign_conversations(user_id: UUID, _attempts: int) -> None:
        count = await unassign(sessions, user_id)
        log.info("conversations_unassigned", user_id=str(user_id), conversations=count)

    runner.add(Job.UNASSIGN_CONVERSATIONS, unassign_conversations, at_once=2)
