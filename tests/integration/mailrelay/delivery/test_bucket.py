"""Large mail in an S3 bucket: from the relay to its message, and while the server is away."""

from contextlib import closing
from dataclasses import replace
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select

from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.blobs import blob_id_of, open_blobs
from shared.database import Sessions
from shared.lanes import Lane
from shared.tables import AcceptedMail, MailState
from tests.conftest import Database, Keys
from tests.integration.mailrelay.accepting import running_relay
from tests.integration.mailrelay.delivery.conftest import Store
from tests.integration.mailrelay.delivery.test_delivery import all_messages, make_due, state_of
from tests.no_tls import NO_AUTHORITIES
from tests.processes import free_port
from tests.s3 import blob_settings, s3_server

LARGE = (
    b"From: <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: large\r\n\r\n" + b"x" * 70 + b"\r\n" * 200_000
)
SMALL = b"From: <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: small\r\n\r\nx"


@pytest.fixture
def address(store: Store) -> str:
    return f"{store.address.local_part}@replyco.email"


async def test_large_mail_waits_for_a_server_that_is_away_and_small_mail_does_not(
    *, database: Database, keys: Keys, sessions: Sessions, delivery: Delivery, address: str
):
    port = free_port()
    bucket = blob_settings(f"http://127.0.0.1:{port}", "mail")
    from_bucket = replace(delivery, blobs=open_blobs(bucket))
    async with running_relay(database, keys, **dict(bucket)) as relay:
        async with relay.client() as client:
            assert (await client.deliver(address, LARGE)).startswith("451 4.3.0")
        async with relay.client() as client:
            assert (await client.deliver(address, SMALL)).startswith("250 ")
        async with httpx2.AsyncClient(
            verify=NO_AUTHORITIES, base_url=f"http://127.0.0.1:{relay.side_port}"
        ) as side:
            assert (await side.get("/readyz")).status_code == 200
            failures = 'replyco_blob_failures_total{code="blobs_unavailable"} 1.0'
            assert failures in (await side.get("/metrics")).text

        with s3_server(port) as server:
            httpx2.put(f"{server.endpoint}/mail").raise_for_status()
            async with relay.client() as client:
                assert (await client.deliver(address, LARGE)).startswith("250 ")
            mail_id = await _large_mail(sessions)

            # It is away again when the worker comes, and then back, with what was in it.
            elsewhere = blob_settings(f"http://127.0.0.1:{free_port()}", "mail")
            with closing(open_blobs(elsewhere)) as away:
                assert await deliver_due(replace(delivery, blobs=away, lane=Lane.LARGE)) == 1
            assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, "blobs_unavailable")
            assert await deliver_due(from_bucket) == 1
            await make_due(database)
            assert await deliver_due(replace(from_bucket, lane=Lane.LARGE)) == 1

    assert await state_of(sessions, mail_id) == (MailState.DELIVERED, 0, None)
    assert len(await all_messages(sessions)) == 2


async def _large_mail(sessions: Sessions) -> UUID:
    async with sessions() as session:
        row = (await session.scalars(select(AcceptedMail).where(AcceptedMail.blob_key.is_not(None)))).one()
        assert row.raw is None
        assert blob_id_of(row.blob_key or "") == row.id
        return row.id
