"""The key that replies are signed with is in no log line, no representation, no traceback and no mail."""

import asyncio
import json
import traceback
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from services.mailrelay.outbound.signing import signed_mail
from services.mailrelay.worker import run_worker
from shared.crypto.dkim_keys import DkimKeyFile
from shared.crypto.key_provider import KeyFileUnusable
from tests.conftest import Database, Keys
from tests.integration.mailrelay.delivery.test_worker import running, worker_settings
from tests.logs import WrittenLog
from tests.no_tls import NO_AUTHORITIES
from tests.unit.mailrelay.outbound.reading_back import DOMAIN, a_reply

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def lines_of(path: Path) -> list[str]:
    """The lines of the private keys in a file, as they would be recognised anywhere."""
    pems = "".join(json.loads(path.read_bytes())["keys"].values())
    return [line for line in pems.splitlines() if "-----" not in line and len(line) > 20]


async def test_the_mail_workers_signing_key_is_told_to_nobody(
    logged: WrittenLog, database: Database, keys: Keys, tmp_path: Path
):
    path = tmp_path / "dkim-keys.json"
    file = DkimKeyFile.create(path, NOW)
    secret = lines_of(path)
    settings = worker_settings(database, keys).model_copy(update={"dkim_key_file": path})
    told = [repr(settings), repr(file), repr(file.current), repr(vars(file))]

    async with (
        running(settings),
        httpx2.AsyncClient(verify=NO_AUTHORITIES, timeout=5, trust_env=False) as client,
    ):
        metrics = await client.get(f"http://127.0.0.1:{settings.worker_port}/metrics")
    told += [
        metrics.text,
        (await signed_mail(a_reply(), mail_domain=DOMAIN, keys=file, eight_bit=True)).decode(),
    ]
    # The file is cut within a key: what was read stays in use, and the log says which file it is.
    path.write_text(path.read_text("utf-8")[:-200])
    assert file.current.selector
    with pytest.raises(KeyFileUnusable) as refused:
        await run_worker(settings, asyncio.Event())
    told.append("".join(traceback.format_exception(refused.value)))

    assert "replyco_replies_signed 1.0" in metrics.text
    told.append(logged.getvalue())
    assert "mail_worker_started" in told[-1]
    assert "key_file_unusable" in told[-1]
    assert "replies_unsigned" not in told[-1]
    assert len(secret) > 20
    for text in told:
        assert [line for line in secret if line in text] == []


async def test_a_worker_without_a_key_says_that_replies_are_not_signed(
    logged: WrittenLog, database: Database, keys: Keys
):
    settings = worker_settings(database, keys)

    async with (
        running(settings),
        httpx2.AsyncClient(verify=NO_AUTHORITIES, timeout=5, trust_env=False) as client,
    ):
        metrics = await client.get(f"http://127.0.0.1:{settings.worker_port}/metrics")

    assert "replyco_replies_signed 0.0" in metrics.text
    assert "replies_unsigned" in logged.getvalue()
    assert "REPLYCO_DKIM_KEY_FILE" in logged.getvalue()
