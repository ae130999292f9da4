"""The command `python -m services.mailrelay reprocess`: what it is made of, its progress and its report."""

import sys
import time
from datetime import UTC, datetime
from typing import Final

from services.mailrelay.delivery.parser_pool import ParserPool
from services.mailrelay.reprocessing.service import Report, Reprocessing, reprocess, retry_held
from services.mailrelay.settings import MailWorkerSettings
from shared.blobs import open_blobs
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.key_source import KeySource
from shared.database import create_engine, create_sessions, is_unavailable
from shared.database_cures import database_cure
from shared.keyring import Keyring
from shared.logging import configure_logging
from shared.process import FAILED, give_up, key_file_cure

_PROGRESS_SECONDS: Final = 2.0
# Nobody waits for one answer of a batch job: a large conversation, or a lock that an agent holds, takes its time.
_STATEMENT_SECONDS: Final = 300.0


async def run_reprocess(settings: MailWorkerSettings, *, dry_run: bool, held: bool) -> bool:
    """Whether all went well. Progress goes to standard error, the report to standard output."""
    configure_logging("mailrelay-reprocess", level=settings.log_level)
    try:
        provider = KeySource.open(settings)
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))
    engine = create_engine(
        settings.database_url.get_secret_value(),
        application_name="replyco-reprocess",
        pool_size=2,
        statement_seconds=_STATEMENT_SECONDS,
    )
    sessions, parser, blobs = create_sessions(engine), ParserPool(processes=1), open_blobs(settings)
    progress = _Progress()
    try:
        if held:
            count = await retry_held(sessions, dry_run=dry_run, progress=progress.show_mails)
            print(f"{count} held mails {'would be' if dry_run else 'are'} tried again.")
            return True
        report = await reprocess(
            Reprocessing(sessions, Keyring(provider), parser, blobs, settings.inline_limit_bytes),
            dry_run=dry_run,
            progress=progress.show_report,
        )
    except Exception as error:
        cure = database_cure(error)
        if cure is None and not is_unavailable(error):
            raise
        told = cure or "The database cannot be reached."
        give_up(f"{told} What is done so far stays done: run it again.", code=FAILED)
    finally:
        parser.close()
        blobs.close()
        await provider.close()
        await engine.dispose()
    print(report.summary(dry_run=dry_run))
    return not report.failures


class _Progress:
    """A line on standard error every now and then."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    def show_report(self, report: Report) -> None:
        # An id begins with its time in milliseconds (RFC 9562 §5.7).
        day = datetime.fromtimestamp((report.last.int >> 80) / 1000, UTC).date()
        self._show(
            f"{report.passed} of about {report.estimated_total} messages, up to {day}:"
            f" {report.seen} of an older version, {report.changed} differ"
        )

    def show_mails(self, passed: int, held: int) -> None:
        self._show(f"{passed} accepted mails, {held} of them held")

    def _show(self, line: str) -> None:
        now = time.monotonic()
        if now - self._shown_at >= _PROGRESS_SECONDS:
            self._shown_at = now
            print(line, file=sys.stderr)
