"""Large mail, whose sealed bytes lie in the blob store."""

from uuid import UUID

import pytest
from sqlalchemy import insert

from deploy.demo.postgres import RELAY
from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.blobs import Blob
from shared.database import Sessions, create_engine, create_sessions
from shared.tables import AcceptedMail, MailState
from tests.conftest import Database, Keys
from tests.integration.mailrelay.delivery.conftest import Store, accepted_row, mail
from tests.integration.mailrelay.delivery.test_delivery import all_messages, make_due, state_of


@pytest.fixture
async def accepted(database: Database, keys: Keys, store: Store, delivery: Delivery) -> tuple[UUID, Blob]:
    """A mail in the blob store, stored with the relay's rights."""
    row = accepted_row(store, keys.mail_public_key, mail("buyer-question"))
    blob = await delivery.blobs.put(row["id"], row["raw"].ciphertext)
    engine = create_engine(database.url(RELAY), application_name="tests-relay")
    async with create_sessions(engine).begin() as session:
        await session.execute(
            insert(AcceptedMail).values(row | {"raw": None, "blob_key": blob.key, "blob_digest": blob.digest})
        )
    await engine.dispose()
    return row["id"], blob


async def test_it_is_delivered(delivery: Delivery, accepted: tuple[UUID, Blob], sessions: Sessions):
    assert await deliver_due(delivery) == 1

    [message] = await all_messages(sessions)
    assert (message.kind, message.accepted_mail_id) == ("buyer_message", accepted[0])


@pytest.mark.parametrize("harm", ["missing", "damaged"])
async def test_it_waits_for_its_blob_at_no_cost(
    *,
    delivery: Delivery,
    accepted: tuple[UUID, Blob],
    sessions: Sessions,
    keys: Keys,
    database: Database,
    harm: str,
):
    mail_id, blob = accepted
    path = keys.blob_folder / blob.key
    content = path.read_bytes()
    path.unlink()
    if harm == "damaged":
        path.write_bytes(content[:-1])

    await deliver_due(delivery)

    code = f"blob_{harm}"
    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, code)
    assert delivery.figures.put_off.labels(code)._value.get() == 1
    path.write_bytes(content)
    await make_due(database)
    await deliver_due(delivery)
    assert await state_of(sessions, mail_id) == (MailState.DELIVERED, 0, None)
