"""The command `python -m services.mailrelay reprocess`: what it is made of, its progress and its report."""

import sys
import time
from typing import Final

from services.mailrelay.delivery.parser_pool import ParserPool
from services.mailrelay.reprocessing.service import Report, Reprocessing, reprocess, retry_held
from services.mailrelay.settings import MailWorkerSettings
from shared.blobs import open_blobs
from shared.crypto.key_provider import KeyFile, KeyFileUnusable
from shared.database import create_engine, create_sessions, is_unavailable
from shared.keyring import Keyring
from shared.logging import configure_logging
from shared.process import FAILED, give_up, key_file_cure

_PROGRESS_SECONDS: Final = 2.0


async def run_reprocess(settings: MailWorkerSettings, *, dry_run: bool, held: bool) -> bool:
    """Whether all went well. Progress goes to standard error, the report to standard output."""
    configure_logging("mailrelay-reprocess", level=settings.log_level)
    try:
        keyring = Keyring(KeyFile.load(settings.key_file))
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))
    engine = create_engine(
        settings.database_url.get_secret_value(), application_name="replyco-reprocess", pool_size=2
    )
    sessions, parser, blobs = create_sessions(engine), ParserPool(processes=1), open_blobs(settings)
    try:
        if held:
            count = await retry_held(sessions, dry_run=dry_run)
            print(f"{count} held mails {'would be' if dry_run else 'are'} tried again.")
            return True
        report = await reprocess(
            Reprocessing(sessions, keyring, parser, blobs), dry_run=dry_run, progress=_Progress().tell
        )
    except Exception as error:
        if not is_unavailable(error):
            raise
        give_up("The database cannot be reached. What is done so far stays done: run it again.", code=FAILED)
    finally:
        parser.close()
        blobs.close()
        await engine.dispose()
    print(report.summary(dry_run=dry_run))
    return not report.failures


class _Progress:
    """A line every now and then."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def tell(self, report: Report) -> None:
        now = time.monotonic()
        if now - self._told_at >= _PROGRESS_SECONDS:
            self._told_at = now
            print(f"{report.seen} of {report.total} messages", file=sys.stderr)
