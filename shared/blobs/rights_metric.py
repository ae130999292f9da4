"""Whether a process may remove what it has to end, as a metric: erasure and sweep fail else, each time anew and without an end."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from shared.blobs.store import BlobStore, BlobsUnavailable

log = structlog.get_logger()

_EVERY_SECONDS: Final = 600.0


def watch_rights(
    blobs: BlobStore, registry: CollectorRegistry, *, every_seconds: float = _EVERY_SECONDS
) -> Callable[[], Coroutine[Any, Any, None]]:
    """What looks, for ever, and keeps the metric; a change is logged."""
    closed = Gauge(
        "replyco_blob_days_closed",
        "Days in the folder of large mail whose files this process may not read or remove",
        registry=registry,
    )
    # Not a number until the first look, and while the store is away.
    closed.set(math.nan)

    async def watch() -> None:
        before = 0
        while True:
            try:
                days = await blobs.closed_days()
            except BlobsUnavailable:
                closed.set(math.nan)
            else:
                closed.set(len(days))
                if len(days) > before:
                    log.warning("blob_days_closed", days=len(days), first=days[0])
                before = len(days)
            await asyncio.sleep(every_seconds)

    return watch
