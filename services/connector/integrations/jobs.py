"""Background entry points: a store's countries read again, grace periods ended, owners reminded of consents, mails to owners sent."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from pgqueuer import PgQueuer
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job as QueuedJob
from pgqueuer.models import Schedule

from services.connector.amazon.errors import AmazonUnavailable
from services.connector.integrations import (
    consent_reminders,
    erasure,
    lifecycle_service,
    owner_mails,
    service,
)
from services.connector.integrations.owner_mails import NoticeMailer
from services.connector.tokens.service import RenewalBusy, Vault
from shared.blobs import BlobStore
from shared.database import Sessions, is_unavailable
from shared.errors import Expected
from shared.jobs import Job

log = structlog.get_logger()

# Amazon allows about one call a minute and store; what is still wrong after these waits for the next day.
_RETRIES: Final = tuple(timedelta(minutes=minutes) for minutes in (2, 10, 60))
_HOURLY: Final = "23 * * * *"
_EACH_QUARTER: Final = "*/15 * * * *"
_EACH_MINUTE: Final = "* * * * *"
# In the night of Europe, where most sellers are.
_DAILY: Final = "17 3 * * *"


class RefreshFailed(Exception):
    """A bug; its text is the kind of failure, and no more."""


def register(
    queue: PgQueuer, *, sessions: Sessions, vault: Vault, blobs: BlobStore, notice_mailer: NoticeMailer | None
) -> None:
    """Make this room's jobs known to a worker."""
    _register_refreshes(queue, sessions, vault)
    _register_removals(queue, sessions, blobs)
    _register_notices(queue, sessions, notice_mailer)


def _register_refreshes(queue: PgQueuer, sessions: Sessions, vault: Vault) -> None:
    @queue.entrypoint(Job.REFRESH_PARTICIPATIONS.value, on_failure="hold", concurrency_limit=5)
    async def refresh_participations(job: QueuedJob) -> None:
        assert job.payload is not None
        integration_id = UUID(bytes=job.payload)
        try:
            await service.refresh_participations(sessions, vault, integration_id, datetime.now(UTC))
        except (AmazonUnavailable, RenewalBusy) as failure:
            if job.attempts < len(_RETRIES):
                raise RetryRequested(_RETRIES[job.attempts], failure.code) from None
            log.warning("refresh_given_up", integration_id=str(integration_id), code=failure.code)
        except Expected as failure:
            # The sync status tells the seller, the log the operator; a second try would be answered the same.
            log.warning("refresh_refused", integration_id=str(integration_id), code=failure.code)
        except Exception as bug:
            if is_unavailable(bug) and job.attempts < len(_RETRIES):
                log.warning("database_unavailable", error=type(bug).__name__)
                raise RetryRequested(_RETRIES[job.attempts], "database_unavailable") from None
            # The queue keeps the text of what a job raises, and this one's may hold a value.
            log.exception("refresh_failed", integration_id=str(integration_id))
            raise RefreshFailed(type(bug).__name__) from None

    @queue.schedule("refresh_all_participations", _DAILY)
    async def refresh_all_participations(_schedule: Schedule) -> None:
        log.info("daily_refresh_enqueued", integrations=await service.refresh_all(sessions))


def _register_removals(queue: PgQueuer, sessions: Sessions, blobs: BlobStore) -> None:
    @queue.schedule("remove_disconnected_integrations", _HOURLY)
    async def remove_disconnected_integrations(_schedule: Schedule) -> None:
        now = datetime.now(UTC)
        removed = await lifecycle_service.end_grace_periods(sessions, now)
        try:
            erased = await erasure.erase_removed(sessions, blobs, now)
        except Expected as failure:
            log.warning("erasure_put_off", code=failure.code)
            return
        log.info("grace_periods_ended", removed=removed, erased=erased)


def _register_notices(queue: PgQueuer, sessions: Sessions, notice_mailer: NoticeMailer | None) -> None:
    @queue.schedule("send_consent_reminders", _EACH_QUARTER)
    async def send_consent_reminders(_schedule: Schedule) -> None:
        now = datetime.now(UTC)
        log.info("consent_reminders_sent", integrations=await consent_reminders.send_reminders(sessions, now))
        if notice_mailer is None and (waiting := await owner_mails.count_waiting(sessions)):
            log.warning("notices_wait_for_a_mail_server", waiting=waiting, setting="REPLYCO_NOTICE_SMTP_HOST")

    if notice_mailer is not None:

        @queue.schedule("send_notices", _EACH_MINUTE)
        async def send_notices(_schedule: Schedule) -> None:
            while await notice_mailer.send_due(datetime.now(UTC)):
                pass
