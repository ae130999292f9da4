"""The pair that mail is sealed with is replaced while mail comes: all of it opens, and the old key goes only when nothing needs it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner, Result

from deploy.demo.postgres import MAIL_WORKER
from services.mailrelay.__main__ import cli
from services.mailrelay.delivery.mail_keys import why_needed
from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.crypto.key_source import KeySource
from shared.crypto.mail_key_files import MailPrivateKeyFile, create_mail_key_pair
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import AcceptedMail, MailState
from tests.conftest import Database, Keys
from tests.integration.mailrelay.accepting import running_relay
from tests.integration.mailrelay.delivery.conftest import Accept, Store, mail
from tests.integration.mailrelay.delivery.test_delivery import all_messages, state_of
from tests.kms import ARN, kms_of
from tests.processes import free_port

MAIL = b"From: a@example.org\r\nSubject: Frage\r\n\r\nGuten Tag %d"
AT_ONCE = timedelta(0)


@pytest.fixture
def own(keys: Keys, tmp_path: Path) -> Keys:
    """The installation's keys with a mail key pair that only this test changes."""
    changed = replace(
        keys,
        mail_private_key_file=tmp_path / "mail-private.json",
        mail_public_key_file=tmp_path / "mail-public.json",
    )
    create_mail_key_pair(changed.mail_private_key_file, changed.mail_public_key_file)
    return changed


@pytest.fixture
def worker(delivery: Delivery, own: Keys) -> Delivery:
    return replace(delivery, private_keys=MailPrivateKeyFile.load(own.mail_private_key_file))


async def run(database: Database, keys: Keys, *arguments: str) -> Result:
    environment = {
        "REPLYCO_DATABASE_URL": database.url(MAIL_WORKER),
        "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
        "REPLYCO_MAIL_PUBLIC_KEY_FILE": str(keys.mail_public_key_file),
    }
    invoke = CliRunner(env=environment).invoke
    return await asyncio.to_thread(invoke, cli, ["keys", "mail", *arguments])


async def test_a_pair_is_replaced_while_relay_and_worker_run(
    owner_sessions: Sessions, database: Database, own: Keys, worker: Delivery, store: Store
):
    first = worker.private_keys.current.key_id
    address = f"{store.address.local_part}@replyco.email"

    async with running_relay(database, own) as relay, relay.client() as client:
        assert (await client.deliver(address, MAIL % 1)).startswith("250")
        assert (await run(database, own, "rotate")).exit_code == 0
        assert (await client.deliver(address, MAIL % 2)).startswith("250")
        [second] = set(worker.private_keys.keys) - {first}
        assert (await run(database, own, "use", second)).exit_code == 0
        assert (await client.deliver(address, MAIL % 3)).startswith("250")

    async with owner_sessions.begin() as session:
        sealed_to = list(await session.scalars(select(AcceptedMail.mail_key_id).order_by(AcceptedMail.id)))
    assert sealed_to == [first, first, second]
    refused = await run(database, own, "retire", first)
    assert (refused.exit_code, f"sealed to {first} waits to be opened (2)" in refused.output) == (1, True)
    while await deliver_due(worker):
        pass
    assert len(await all_messages(owner_sessions)) == 3

    # A relay that was forgotten would still seal to it.
    refused = await run(database, own, "retire", first)
    assert (refused.exit_code, "within the last day" in refused.output) == (1, True)
    assert await why_needed(owner_sessions, first, unused_for=AT_ONCE) is None
    assert set(worker.private_keys.keys) == {first, second}


async def test_a_mail_whose_proof_is_tried_again_keeps_its_key(
    owner_sessions: Sessions, database: Database, own: Keys, worker: Delivery, store: Store
):
    async with running_relay(database, own) as relay, relay.client() as client:
        await client.deliver(f"{store.address.local_part}@replyco.email", MAIL % 1)
    await deliver_due(worker)
    key_id = worker.private_keys.current.key_id
    assert await why_needed(owner_sessions, key_id, unused_for=AT_ONCE) is None

    async with owner_sessions.begin() as session:
        await session.execute(
            text("UPDATE messages SET recheck_at = :at"), {"at": datetime.now(UTC) + timedelta(hours=1)}
        )

    needed = await why_needed(owner_sessions, key_id, unused_for=AT_ONCE)
    assert needed is not None
    assert f"sealed to {key_id} waits to be opened (1)" in needed


async def test_a_key_that_nothing_needs_goes_and_the_one_in_use_never(
    database: Database, own: Keys, tmp_path: Path
):
    file = MailPrivateKeyFile.load(own.mail_private_key_file)
    first = file.current.key_id

    in_use = await run(database, own, "retire", first)
    await run(database, own, "rotate")
    second = list(file.keys)[-1]
    used = await run(database, own, "use", second, "--to", str(tmp_path / "for-a-relay.json"))
    # This machine's relay has not changed over.
    forgotten = await run(database, own, "retire", first)
    await run(database, own, "use", second)
    gone = await run(database, own, "retire", first)
    unknown = await run(database, own, "retire", first)

    assert (in_use.exit_code, "Rotate first" in in_use.output) == (1, True)
    assert (used.exit_code, (tmp_path / "for-a-relay.json").exists()) == (0, True)
    assert (forgotten.exit_code, "at present" in forgotten.output) == (1, True)
    assert gone.exit_code == 0
    assert list(file.keys) == [second]
    assert (unknown.exit_code, f"has no key {first}" in unknown.output) == (1, True)
    outputs = "".join(result.output for result in (in_use, used, forgotten, gone, unknown))
    assert "private" not in outputs.replace("mail-private.json", "")


async def test_mail_waits_without_an_attempt_where_kms_is_away(
    owner_sessions: Sessions, delivery: Delivery, accept: Accept
):
    mail_id = await accept(mail("buyer-question"))
    kms = kms_of(ARN, f"http://127.0.0.1:{free_port()}")
    async with owner_sessions.begin() as session:
        await session.execute(text("UPDATE account_keys SET wrapping_key_id = :arn"), {"arn": ARN})

    await deliver_due(replace(delivery, keyring=Keyring(KeySource(None, kms))))

    assert await state_of(owner_sessions, mail_id) == (MailState.ACCEPTED, 0, "key_service_unavailable")
    # It answers again.
    async with owner_sessions.begin() as session:
        await session.execute(text("UPDATE account_keys SET wrapping_key_id = 'k1'"))
        await session.execute(text("UPDATE accepted_mail SET next_attempt_at = now(), is_put_off = false"))
    await deliver_due(delivery)
    assert await state_of(owner_sessions, mail_id) == (MailState.DELIVERED, 0, None)
    await kms.close()
