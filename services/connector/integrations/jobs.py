"""Background entry points: stores' countries read again, locks decided, grace periods ended, owners reminded, their mails sent."""

from datetime import time, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.connector.amazon.errors import AmazonPaused, AmazonUnavailable
from services.connector.integrations import (
    consent_reminders,
    erasure,
    lifecycle_service,
    owner_mails,
    service,
)
from services.connector.integrations.owner_mails import NoticeMailer
from services.connector.job_queue.runner import JobRunner, TryAgain
from services.connector.job_queue.schedules import DailyAt, Every
from services.connector.privacy.deletion_watch import StillTime, time_to_destroy
from services.connector.tokens.service import RenewalBusy, Vault
from shared.blobs import BlobStore
from shared.database import Sessions
from shared.errors import Expected
from shared.jobs import Job

log = structlog.get_logger()

# Amazon allows about one call a minute and store; what is still wrong after these waits for the next day.
_RETRIES: Final = tuple(timedelta(minutes=minutes) for minutes in (2, 10, 60))
_HOURLY: Final = Every(timedelta(hours=1))
_EACH_QUARTER: Final = Every(timedelta(minutes=15))
_EACH_MINUTE: Final = Every(timedelta(minutes=1))
# In the night of Europe, where most sellers are.
_DAILY: Final = DailyAt(time(3, 17))


def register(
    runner: JobRunner,
    *,
    sessions: Sessions,
    vault: Vault,
    blobs: BlobStore,
    notice_mailer: NoticeMailer | None,
) -> None:
    """Make this room's work known to a worker."""
    _register_refreshes(runner, sessions, vault)
    _register_locks(runner, sessions)
    _register_removals(runner, sessions, blobs)
    _register_notices(runner, sessions, notice_mailer)


def _register_refreshes(runner: JobRunner, sessions: Sessions, vault: Vault) -> None:
    async def refresh_participations(integration_id: UUID, attempts: int) -> None:
        try:
            await service.refresh_participations(sessions, vault, integration_id, await sessions.now())
        except (AmazonUnavailable, RenewalBusy) as failure:
            if attempts <= len(_RETRIES):
                raise TryAgain(_RETRIES[attempts - 1]) from None
            log.warning("refresh_given_up", integration_id=str(integration_id), code=failure.code)
        except AmazonPaused:
            # Put off by whoever runs jobs, for as long as it lasts.
            raise
        except Expected as failure:
            # The seller sees it in the sync status, the operator in the log; a second try would be answered the same.
            log.warning("refresh_refused", integration_id=str(integration_id), code=failure.code)

    async def refresh_all_participations() -> None:
        log.info(
            "daily_refresh_enqueued",
            integrations=await service.enqueue_for_all(sessions, Job.REFRESH_PARTICIPATIONS),
        )

    runner.add(Job.REFRESH_PARTICIPATIONS, refresh_participations, at_once=5)
    runner.add_recurring("refresh_all_participations", _DAILY, refresh_all_participations)


def _register_locks(runner: JobRunner, sessions: Sessions) -> None:
    async def recompute_lock(integration_id: UUID, _attempts: int) -> None:
        await service.recompute_lock_of(sessions, integration_id, await sessions.now())

    async def recompute_due_locks() -> None:
        log.info(
            "due_locks_decided", integrations=await service.recompute_due(sessions, await sessions.now())
        )

    runner.add(Job.RECOMPUTE_LOCK, recompute_lock, at_once=3)
    runner.add_recurring("recompute_due_locks", _EACH_MINUTE, recompute_due_locks)


def _register_removals(runner: JobRunner, sessions: Sessions, blobs: BlobStore) -> None:
    async def remove_disconnected_integrations() -> None:
        now = await time_to_destroy(sessions)
        still_time = StillTime(sessions)
        removed = await lifecycle_service.end_grace_periods(sessions, now, still_time)
        # What could not be erased counts as a failure, so that it is tried again soon and an alarm tells.
        erased = await erasure.erase_removed(sessions, blobs, now, still_time)
        log.info("grace_periods_ended", removed=removed, erased=erased)

    runner.add_recurring("remove_disconnected_integrations", _HOURLY, remove_disconnected_integrations)


def _register_notices(runner: JobRunner, sessions: Sessions, notice_mailer: NoticeMailer | None) -> None:
    async def send_consent_reminders() -> None:
        now = await sessions.now()
        log.info("consent_reminders_sent", integrations=await consent_reminders.send_reminders(sessions, now))
        if notice_mailer is None and (waiting := await owner_mails.count_waiting(sessions)):
            log.warning("notices_wait_for_a_mail_server", waiting=waiting, setting="REPLYCO_NOTICE_SMTP_HOST")

    runner.add_recurring("send_consent_reminders", _EACH_QUARTER, send_consent_reminders)
    if notice_mailer is not None:

        async def send_notices() -> None:
            while await notice_mailer.send_next(await sessions.now()):
                pass

        runner.add_recurring("send_notices", _EACH_MINUTE, send_notices)
