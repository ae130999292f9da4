"""A certificate file that is broken when it is read again: the old one stays in use, and no mail is lost."""

import asyncio
from functools import partial
from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import assert_nothing_lost
from tests.faults.mailrelay.load import Load, reachable, running
from tests.integration.mailrelay.certificates import CertificateFiles


async def logged(log: Path, event: str) -> None:
    async with asyncio.timeout(20):
        while event not in log.read_text():  # noqa: ASYNC110, ASYNC240 - another process; there is no event to await
            await asyncio.sleep(0.05)


async def test_mail_comes_in_encrypted_before_meanwhile_and_after(
    database: Database, keys: Keys, tmp_path: Path
):
    files = CertificateFiles(tmp_path)
    log = tmp_path / "log"
    load = partial(Load, clients=5, pause_seconds=0.1)
    settings = {name: str(path) for name, path in files.settings.items()}
    async with running(database, keys, log, tls_required="true", **settings) as relay:
        await reachable(relay)
        async with load(relay.port, name="before", tls=files.client_context()) as before:
            await before.more("data 250", 20)
            files.certificate_file.write_text("-----BEGIN CERTIFICATE-----\nbroken\n")
            await logged(log, "certificate_reload_failed")
            async with load(relay.port, name="meanwhile", tls=files.client_context()) as meanwhile:
                await meanwhile.more("data 250", 20)
            files.renew()
            await logged(log, "certificate_reloaded")
            async with load(relay.port, name="after", tls=files.client_context()) as after:
                await after.more("data 250", 20)
            await before.more("data 250", 20)

    await assert_nothing_lost("certificate broken", database, keys, before, meanwhile, after)
