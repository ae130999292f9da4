"""The worker as a whole: told, stopped, looked at from its side port."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import asyncpg
import httpx2
from pydantic import SecretStr
from structlog.testing import capture_logs

from deploy.demo.postgres import MAIL_WORKER, OWNER
from services.mailrelay.settings import MailWorkerSettings
from services.mailrelay.worker import POLL_SECONDS, run_worker
from shared.channels import EVENT_CHANNEL
from shared.driver import asyncpg_dsn
from tests.conftest import Database, Keys
from tests.integration.mailrelay.delivery.conftest import Accept, mail
from tests.no_tls import NO_AUTHORITIES
from tests.processes import free_port
from tests.signing import amazon_dns


def worker_settings(database: Database, keys: Keys) -> MailWorkerSettings:
    return MailWorkerSettings(
        database_url=SecretStr(database.url(MAIL_WORKER)),
        key_file=keys.key_file,
        mail_private_key_file=keys.mail_private_key_file,
        worker_port=free_port(),
        blob_url=keys.blob_url,
        nameservers=((ip_address("127.0.0.1"), amazon_dns().port),),
    )


async def _listens(port: int, worker: "asyncio.Task[None]") -> None:
    """Until the worker has asked the database for its tables' version, and begun."""
    async with asyncio.timeout(60):
        while not worker.done():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


@asynccontextmanager
async def running(settings: MailWorkerSettings, *, poll_seconds: float = POLL_SECONDS) -> AsyncIterator[None]:
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(settings, stop, poll_seconds=poll_seconds))
    try:
        await _listens(settings.worker_port, worker)
        yield
    finally:
        stop.set()
        await asyncio.wait_for(worker, 60)


@asynccontextmanager
async def heard_messages(database: Database) -> AsyncIterator[asyncio.Queue[str]]:
    """The ids of the messages' events, as they are announced."""
    announced: asyncio.Queue[str] = asyncio.Queue()
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await connection.add_listener(EVENT_CHANNEL, lambda *args: announced.put_nowait(str(args[-1])))

    async def hear() -> None:
        while True:
            event_id = await announced.get()
            if (
                await connection.fetchval("SELECT kind FROM events WHERE id = $1", event_id)
                == "message.received"
            ):
                heard.put_nowait(event_id)

    hearing = asyncio.create_task(hear())
    yield heard
    hearing.cancel()
    await asyncio.wait([hearing])
    await connection.close()


async def test_mail_is_delivered_when_it_is_announced_not_when_the_worker_looks(
    database: Database, keys: Keys, accept: Accept
):
    async with (
        heard_messages(database) as heard,
        running(worker_settings(database, keys), poll_seconds=3600),
    ):
        await accept(mail("order-notice"))
        await asyncio.wait_for(heard.get(), 60)
        # It looks once more behind what it has delivered, and nothing tells when. A worker that does so later is judged too mildly, never
        # wrongly.
        await asyncio.sleep(0.3)

        await accept(mail("buyer-question"))
        await asyncio.wait_for(heard.get(), 60)


async def test_mail_that_waited_for_a_worker_is_delivered(database: Database, keys: Keys, accept: Accept):
    await accept(mail("buyer-question"))

    async with heard_messages(database) as heard, running(worker_settings(database, keys)):
        await asyncio.wait_for(heard.get(), 60)


async def test_worker_goes_on_after_its_connections_were_cut(database: Database, keys: Keys, accept: Accept):
    async with heard_messages(database) as heard, running(worker_settings(database, keys)):
        await accept(mail("order-notice"))
        await asyncio.wait_for(heard.get(), 60)
        connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
        cut = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE usename = $1 AND datname = current_database()",
            MAIL_WORKER,
        )
        await connection.close()

        await accept(mail("buyer-question"))

        assert cut >= 2
        await asyncio.wait_for(heard.get(), 60)


async def test_worker_outlives_a_claim_that_fails(database: Database, keys: Keys, accept: Accept):
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute(f"REVOKE SELECT ON relay_addresses FROM {MAIL_WORKER}")
    with capture_logs() as logged:
        async with heard_messages(database) as heard, running(worker_settings(database, keys)):
            await accept(mail("buyer-question"))
            while not any(line["event"] == "delivery_failed" for line in logged):  # noqa: ASYNC110 - logs are no event
                await asyncio.sleep(0.05)
            await owner.execute(f"GRANT SELECT ON relay_addresses TO {MAIL_WORKER}")
            await asyncio.wait_for(heard.get(), 60)
    await owner.close()


async def test_side_port_tells_what_was_delivered(database: Database, keys: Keys, accept: Accept):
    settings = worker_settings(database, keys)
    async with heard_messages(database) as heard, running(settings):
        await accept(mail("buyer-question"))
        await asyncio.wait_for(heard.get(), 60)
        async with httpx2.AsyncClient(
            verify=NO_AUTHORITIES, base_url=f"http://127.0.0.1:{settings.worker_port}"
        ) as client:
            ready = await client.get("/readyz")
            metrics = await client.get("/metrics")

    assert ready.status_code == 200
    assert 'replyco_mail_delivered_total{kind="buyer_message"} 1.0' in metrics.text
    age = re.search(r"^replyco_mail_queue_age_seconds (\S+)$", metrics.text, re.MULTILINE)
    assert age is not None
    assert 0 <= float(age[1]) < 15  # measured while the mail waited, or before


async def test_a_background_task_of_the_worker_that_ends_is_restarted_and_seen(
    database: Database, keys: Keys, accept: Accept
):
    settings = worker_settings(database, keys)

    async def readiness(client: httpx2.AsyncClient, status: int) -> str:
        while (answer := await client.get("/readyz")).status_code != status:  # noqa: ASYNC110 - readiness is no event
            await asyncio.sleep(0.02)
        return answer.text

    with capture_logs() as logged:
        async with (
            asyncio.timeout(30),
            heard_messages(database) as heard,
            running(settings),
            httpx2.AsyncClient(
                verify=NO_AUTHORITIES, base_url=f"http://127.0.0.1:{settings.worker_port}"
            ) as client,
        ):
            await accept(mail("order-notice"))
            await heard.get()
            [listening] = [
                task for task in asyncio.all_tasks() if task.get_name() == "background: mail_announcements"
            ]
            listening.cancel()
            said = await readiness(client, 503)
            await readiness(client, 200)
            await accept(mail("buyer-question"))
            await heard.get()

    assert said == "background tasks have ended and are restarted: mail_announcements\n"
    assert [line["task"] for line in logged if line["event"] == "background_task_ended"] == [
        "mail_announcements"
    ]
