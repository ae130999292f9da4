"""Background entry point: mail that waited for a mailbox to be confirmed is checked again."""

from uuid import UUID

import structlog

from services.connector.forwarding import service
from services.connector.job_queue.runner import JobRunner
from shared.database import Sessions
from shared.jobs import Job

log = structlog.get_logger()


def register(runner: JobRunner, sessions: Sessions) -> None:
    """Make this room's work known to a worker."""

    async def recheck_mail_of_mailbox(mailbox_id: UUID, _attempts: int) -> None:
        count = await service.recheck_mail_of_mailbox(sessions, mailbox_id)
        log.info("mail_of_mailbox_rechecked", mailbox_id=str(mailbox_id), messages=count)

    runner.add(Job.RECHECK_MAIL_OF_MAILBOX, recheck_mail_of_mailbox, at_once=2)
