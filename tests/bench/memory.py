"""Memory of a relay process: a thousand idle connections, and fifty large mails at once against a budget."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

from deploy.demo.postgres import EmbeddedPostgres
from tests.bench.accept import prepare, running_relay, say
from tests.bench.figures import Figure
from tests.faults.mailrelay.crowd import LargeMails, idle, make_room_for_connections, peak_mb

ROUNDS = 3
MB = 1_048_576
BUDGET_MB = 256
_SETTINGS = {"memory_budget_bytes": str(BUDGET_MB * MB), "trusted_networks": "127.0.0.0/8"}


def measure() -> list[Figure]:
    """Under a minute. The figures are peaks (VmHWM) of fresh processes."""
    make_room_for_connections()
    with (
        tempfile.TemporaryDirectory(prefix="replyco-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        postgres = EmbeddedPostgres.start(folder / "pg")
        stack.callback(postgres.stop)
        asyncio.run(prepare(postgres, folder))
        idles, larges = [], []
        for _ in range(ROUNDS):
            with running_relay(postgres, folder, **_SETTINGS) as relay:
                idles.append(asyncio.run(_idle(relay.port, relay.pid)))
            with running_relay(postgres, folder, **_SETTINGS) as relay:
                larges.append(asyncio.run(_large(relay.port, relay.pid)))
    return [Figure("idle_1000_mb", "MB", idles), Figure("large_50_mb", "MB", larges)]


async def _idle(port: int, pid: int) -> float:
    base = peak_mb(pid)
    writers = await idle(port, 1000)
    peak = peak_mb(pid)
    for writer in writers:
        writer.close()
    say(f"idle_1000_mb      {peak:8.1f} MB, {base:.1f} of them before the first connection")
    return peak


async def _large(port: int, pid: int) -> float:
    base = peak_mb(pid)
    mails = LargeMails(port, "bench000@replyco.email", size=20 * MB, says_size=True)
    await mails.deliver(50)
    peak = peak_mb(pid)
    if set(mails.codes) - {"250", "451", "452"} or peak > base + BUDGET_MB:
        raise RuntimeError(f"beyond the budget of {BUDGET_MB} MB: {peak:.1f} MB, {dict(mails.codes)}")
    say(
        f"large_50_mb       {peak:8.1f} MB, {base:.1f} of them before, budget {BUDGET_MB}; {dict(mails.codes)}"
    )
    return peak
