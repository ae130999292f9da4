"""Nothing of a mail gets into the worker's logs or metrics, whatever goes well or wrong."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import update

from deploy.demo.postgres import MAIL_WORKER, OWNER
from shared.database import create_engine, create_sessions
from shared.tables import AcceptedMail
from tests.conftest import Database, Keys
from tests.integration.mailrelay.delivery.conftest import Accept
from tests.integration.mailrelay.delivery.test_worker import heard_messages
from tests.signing import amazon_dns

ROOT = Path(__file__).parents[4]
CANARY = "canary7f3a"
MAIL = f"""From: {CANARY} <{CANARY}@marketplace.amazon.de>\r
Subject: {CANARY} 302-7654321-1234567\r
Content-Type: multipart/mixed; boundary={CANARY}\r
\r
--{CANARY}\r
\r
{CANARY}\r
--{CANARY}\r
Content-Disposition: attachment; filename={CANARY}.pdf\r
\r
{CANARY}\r
--{CANARY}--\r
""".encode()


async def test_log_of_a_worker_holds_nothing_of_a_mail(database: Database, keys: Keys, accept: Accept):
    failing = await accept(MAIL + b"1")
    engine = create_engine(database.url(OWNER), application_name="tests-owner")
    async with create_sessions(engine).begin() as session:
        await session.execute(
            update(AcceptedMail).where(AcceptedMail.id == failing).values(raw=AcceptedMail.envelope)
        )
    await engine.dispose()
    await accept(MAIL + b"2")

    async with heard_messages(database) as heard:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.mailrelay",
            "worker",
            cwd=ROOT,
            env={
                "REPLYCO_DATABASE_URL": database.url(MAIL_WORKER),
                "REPLYCO_KEY_FILE": str(keys.key_file),
                "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
                "REPLYCO_WORKER_PORT": "0",
                "REPLYCO_NAMESERVERS": amazon_dns().setting,
                "REPLYCO_LOG_LEVEL": "DEBUG",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            await asyncio.wait_for(heard.get(), 20)
            worker.terminate()
            output, _ = await asyncio.wait_for(worker.communicate(), 20)
        finally:
            if worker.returncode is None:
                worker.kill()

    assert b"mail_put_off" in output
    assert b"seal_broken" in output
    assert CANARY.encode() not in output
    assert b"302-7654321" not in output
    assert worker.returncode == 0
