"""The whole product on ports of its own, for tests and `make soak`."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.demo.settings import DemoSettings
from deploy.demo.stack import Stack
from tests.processes import free_ports


@asynccontextmanager
async def started_product() -> AsyncIterator[Stack]:
    """What `make demo` starts, until the block ends."""
    ports = free_ports(9)
    with tempfile.TemporaryDirectory(prefix="replyco-", ignore_cleanup_errors=True) as folder:
        settings = DemoSettings(
            port=ports[0],
            worker_port=ports[1],
            smtp_port=ports[2],
            side_port=ports[3],
            mail_worker_port=ports[4],
            sandbox_port=ports[5],
            sandbox_smtp_port=ports[6],
            sandbox_dns_port=ports[7],
            connector_side_port=ports[8],
            data_folder=Path(folder) / "data",
        )
        async with Stack(settings) as running:
            yield running
