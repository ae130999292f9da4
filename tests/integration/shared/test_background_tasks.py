"""A background task that ends is restarted, and readiness says so meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from shared.background_tasks import BackgroundTasks
from shared.side_port import side_port
from tests.no_tls import NO_AUTHORITIES

Run = Callable[[], Coroutine[None, None, None]]


async def _raises() -> None:
    raise ValueError("broken")


async def _returns() -> None:
    pass


async def _is_cancelled() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "first_run", [_raises, _returns, _is_cancelled], ids=["raises", "returns", "cancelled"]
)
async def test_a_task_that_ends_is_logged_and_restarted(first_run: Run):
    stop, has_restarted = asyncio.Event(), asyncio.Event()
    registry = CollectorRegistry()
    runs: list[Run] = [first_run]

    async def run() -> None:
        if runs:
            await runs.pop()()
            return
        has_restarted.set()
        await asyncio.Event().wait()

    with capture_logs() as logged:
        async with BackgroundTasks(stop, registry, first_pause_seconds=0.01) as tasks:
            tasks.start("listening", run)
            await asyncio.wait_for(has_restarted.wait(), 15)

    assert [(line["event"], line["task"]) for line in logged] == [("background_task_ended", "listening")]
    assert registry.get_sample_value("replyco_background_restarts_total", {"task": "listening"}) == 1


async def test_readiness_names_a_task_from_its_end_until_it_runs_again():
    stop, ends, may_recover, registry = asyncio.Event(), asyncio.Event(), asyncio.Event(), CollectorRegistry()

    async def run() -> None:
        if not may_recover.is_set():
            ends.set()
            raise ValueError("broken")
        await asyncio.Event().wait()

    async def database_problem() -> str | None:
        return None

    tasks = BackgroundTasks(stop, registry, first_pause_seconds=0.2, longest_pause_seconds=0.2)
    port = side_port(
        "127.0.0.1",
        0,
        setting="PORT",
        registry=registry,
        database_problem=database_problem,
        problem=tasks.problem,
    )
    async with (
        port as number,
        tasks,
        httpx2.AsyncClient(verify=NO_AUTHORITIES, base_url=f"http://127.0.0.1:{number}") as client,
    ):
        before = await client.get("/readyz")
        tasks.start("listening", run)
        await asyncio.wait_for(ends.wait(), 15)
        meanwhile = await client.get("/readyz")
        may_recover.set()
        async with asyncio.timeout(15):
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - readiness is no event
                await asyncio.sleep(0.05)

    assert before.status_code == 200
    assert meanwhile.status_code == 503
    assert meanwhile.text == "background tasks have ended and are restarted: listening\n"


async def test_a_task_that_keeps_failing_is_restarted_less_and_less_often():
    stop, has_failed_often = asyncio.Event(), asyncio.Event()
    began: list[float] = []

    async def run() -> None:
        began.append(asyncio.get_running_loop().time())
        if len(began) == 3:
            has_failed_often.set()
        raise ValueError("broken")

    async with BackgroundTasks(stop, CollectorRegistry(), first_pause_seconds=0.4) as tasks:
        tasks.start("listening", run)
        await asyncio.wait_for(has_failed_often.wait(), 15)

    first, second, third = began
    assert second - first >= 0.4
    assert third - second >= 0.8


async def test_what_ends_by_itself_at_the_stop_is_waited_for_and_not_restarted():
    stop, runs, finished = asyncio.Event(), 0, asyncio.Event()

    async def run() -> None:
        nonlocal runs
        runs += 1
        await stop.wait()
        await asyncio.sleep(0)  # what was under way is finished
        finished.set()

    with capture_logs() as logged:
        async with BackgroundTasks(stop, CollectorRegistry()) as tasks:
            tasks.start("webhooks", run, ends_at_stop=True)
            await asyncio.sleep(0)
            stop.set()

    assert (finished.is_set(), runs, logged) == (True, 1, [])


async def test_a_role_that_fails_leaves_no_task_behind():
    stop, started, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run() -> None:
        started.set()
        try:
            await stop.wait()
        finally:
            ended.set()

    async def role() -> None:
        async with BackgroundTasks(stop, CollectorRegistry()) as tasks:
            tasks.start("webhooks", run, ends_at_stop=True)
            await started.wait()
            raise ValueError("role")

    with pytest.raises(ValueError, match="role"):
        await role()

    assert ended.is_set()
