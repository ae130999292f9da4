"""Paused, disconnected, resting, restored, removed: what becomes of tokens, mail and data."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, update

from deploy.demo.postgres import MAIL_WORKER
from services.connector.amazon_pauses import service as amazon_pauses
from services.connector.dependencies import AppState
from services.connector.integrations.erasure import erase_removed
from services.connector.integrations.lifecycle_service import GRACE_PERIOD, end_grace_periods
from services.connector.integrations.service import enqueue_for_all, refresh_participations
from services.connector.tokens.service import GrantMissing
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.delivery.parser_pool import ParserPool
from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.channels import ADDRESS_CHANNEL
from shared.database import Sessions, create_sessions
from shared.driver import asyncpg_dsn, new_id
from shared.jobs import Job
from shared.keyring import Keyring
from shared.tables import (
    AcceptedMail,
    Attachment,
    AuditEntry,
    Conversation,
    ConversationThread,
    Grant,
    Integration,
    Message,
    MessageDigest,
    RelayAddress,
    User,
)
from tests.conftest import Database, Keys
from tests.factories import make_accepted_mail, make_account, make_integration, make_user
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import CASA_VERDE, LAMPENLADEN, Amazon, connect, connect_named
from tests.kept_database import KeptDatabase
from tests.signing import signed

SignInAs = Callable[..., Awaitable[SignedIn]]
BUYERS_MAIL = (Path(__file__).parents[3] / "mails" / "buyer-question.eml").read_bytes()


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    """Sessions that may do everything, as relays do what tests need of them."""
    return owner_sessions


@pytest.fixture
def delivery(
    *,
    kept_database: KeptDatabase,
    keys: Keys,
    keyring: Keyring,
    app: FastAPI,
    parser: ParserPool,
    name_servers: NameServers,
) -> Delivery:
    """A mail worker's parts, with the rights of its role."""
    blobs = app.state.connector.blobs
    return Delivery(
        create_sessions(kept_database.process_engine(MAIL_WORKER)),
        keyring,
        keys.mail_private_keys,
        parser,
        DeliveryMetrics(CollectorRegistry()),
        blobs,
        name_servers,
        # A busy machine shortens no batch of a test.
        turn_seconds=60.0,
    )


@pytest.fixture
async def told_relays(database: Database) -> AsyncIterator[list[str]]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url("replyco_connector")))
    heard: list[str] = []
    await connection.add_listener(ADDRESS_CHANNEL, lambda _c, _pid, _name, payload: heard.append(payload))
    yield heard
    await connection.close()


async def accept(owner: Sessions, keys: Keys, integration_id: str, *, subject: str = "eins") -> UUID:
    """A buyer's mail, as the relay commits it."""
    async with owner.begin() as session:
        address = (
            await session.scalars(
                select(RelayAddress).where(RelayAddress.integration_id == UUID(integration_id))
            )
        ).one()
        raw = BUYERS_MAIL.replace(b"Subject:", f"X-Number: {subject}\r\nSubject:".encode(), 1)
        raw = signed(raw.replace(b"mabtekrud@", f"{address.local_part}@".encode()), b"x-number")
        mail, _ = await make_accepted_mail(session, address, keys.mail_public_key, raw=raw)
        return mail.id


async def states(owner: Sessions) -> list[str]:
    async with owner.begin() as session:
        return sorted(await session.scalars(select(AcceptedMail.state)))


async def actions(sessions: Sessions) -> list[str]:
    async with sessions.begin() as session:
        return list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


async def patch(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any], **headers: str
) -> dict[str, Any]:
    answer = await client.patch(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def after_rest() -> datetime:
    return datetime.now(UTC) + GRACE_PERIOD + timedelta(minutes=1)


async def test_a_paused_store_is_left_alone_and_its_mail_goes_on(
    *,
    signed_in: SignedIn,
    app: FastAPI,
    amazon: Amazon,
    sessions: Sessions,
    owner: Sessions,
    keys: Keys,
    delivery: Delivery,
):
    integration_id = await connect_named(signed_in)
    path, state = f"/api/v1/integrations/{integration_id}", app.state.connector

    paused = await patch(signed_in.client, path, {"paused": True})
    await accept(owner, keys, integration_id)
    await deliver_due(delivery)
    asked_before = amazon.state.counters.participations[LAMPENLADEN]
    await refresh_participations(state.sessions, state.vault, UUID(integration_id), datetime.now(UTC))

    assert paused["paused_since"] is not None
    assert paused["sync"]["status"] == "paused"
    assert [check["code"] for check in paused["checks"]] == ["paused"]
    assert "grant_revoked" in [check["code"] for check in paused["not_checked"]]
    assert amazon.state.counters.participations[LAMPENLADEN] == asked_before
    assert await enqueue_for_all(state.sessions, Job.REFRESH_PARTICIPATIONS) == 0
    assert await states(owner) == ["delivered"]
    async with sessions.begin() as session:
        assert await session.scalar(select(Grant.next_refresh_at)) is None


async def test_mail_is_accepted_and_shown_while_all_calls_to_amazon_are_paused(
    signed_in: SignedIn, app: FastAPI, owner: Sessions, keys: Keys, delivery: Delivery
):
    integration_id = await connect_named(signed_in)
    state = app.state.connector
    await amazon_pauses.pause(state.sessions, state.settings.amazon_client_id, reason=None, paused_by=None)

    await accept(owner, keys, integration_id)
    await deliver_due(delivery)
    listed = await signed_in.client.get("/api/v1/conversations")
    [conversation] = listed.json()["items"]
    messages = await signed_in.client.get(f"/api/v1/conversations/{conversation['id']}/messages")

    assert await states(owner) == ["delivered"]
    assert messages.status_code == 200
    assert len(messages.json()["items"]) == 1


async def test_resuming_asks_amazon_again(signed_in: SignedIn, app: FastAPI, sessions: Sessions):
    integration_id = await connect_named(signed_in)
    path, state = f"/api/v1/integrations/{integration_id}", app.state.connector
    await patch(signed_in.client, path, {"paused": True})

    resumed = await patch(signed_in.client, path, {"paused": False})
    await refresh_participations(state.sessions, state.vault, UUID(integration_id), datetime.now(UTC))

    assert resumed["paused_since"] is None
    assert (await signed_in.client.get(path)).json()["sync"]["status"] == "running"
    assert await enqueue_for_all(state.sessions, Job.REFRESH_PARTICIPATIONS) == 1
    assert [a for a in await actions(sessions) if "paused" in a or "resumed" in a] == [
        "integration_paused",
        "integration_resumed",
    ]
    async with sessions.begin() as session:
        assert await session.scalar(select(Grant.next_refresh_at)) is not None


async def test_a_consent_while_paused_does_not_resume(
    signed_in: SignedIn, app: FastAPI, amazon: Amazon, sessions: Sessions
):
    path, vault = f"/api/v1/integrations/{await connect_named(signed_in)}", app.state.connector.vault
    await patch(signed_in.client, path, {"paused": True})

    await connect(signed_in.client)
    async with sessions.begin() as session:
        await session.execute(update(Grant).values(next_refresh_at=func.now() - timedelta(minutes=1)))
    renewed_while_paused = await vault.renew_due()

    assert (await signed_in.client.get(path)).json()["sync"]["status"] == "paused"
    assert (renewed_while_paused, amazon.state.counters.token["refresh_token"]) == (0, 0)
    await patch(signed_in.client, path, {"paused": False})
    assert await vault.renew_due() == 1


async def test_a_change_may_insist_on_the_version_it_has_seen(signed_in: SignedIn):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    seen = (await signed_in.client.get(path)).headers["etag"]

    first = await signed_in.client.patch(path, json={"name": "Eins"}, headers={"if-match": seen})
    second = await signed_in.client.patch(path, json={"name": "Zwei"}, headers={"if-match": seen})
    third = await signed_in.client.patch(
        path, json={"name": "Drei"}, headers={"if-match": first.headers["etag"]}
    )

    assert (first.status_code, second.status_code, third.status_code) == (200, 412, 200)
    assert second.json()["code"] == "precondition_failed"
    assert (await signed_in.client.get(path)).json()["name"] == "Drei"


async def test_a_store_is_given_to_another_owner_of_the_account(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions
):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    colleague = await sign_in_as()

    moved = await patch(signed_in.client, path, {"owner_id": str(colleague.user.id)})

    assert moved["owner_id"] == str(colleague.user.id)
    assert "integration_moved" in await actions(sessions)


async def test_the_people_of_the_account_are_listed_to_choose_an_owner_from(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions, keyring: Keyring
):
    colleague, gone = await sign_in_as(), await sign_in_as()
    await disable(sessions, gone.user.id)
    async with sessions.begin() as session:
        await make_user(session, (await make_account(session, keyring)).id)

    first = (await signed_in.client.get("/api/v1/users?limit=1")).json()
    second = (await signed_in.client.get(f"/api/v1/users?limit=1&cursor={first['next_cursor']}")).json()

    assert [item["id"] for item in first["items"] + second["items"]] == [
        str(signed_in.user.id),
        str(colleague.user.id),
    ]
    assert second["next_cursor"] is None
    assert {"id", "name", "email", "general_admin"} <= set(first["items"][0])


@pytest.mark.parametrize("who", ["stranger", "viewer", "disabled", "nobody"])
async def test_an_owner_must_be_somebody_who_can_act(
    signed_in: SignedIn, sessions: Sessions, keyring: Keyring, who: str
):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    async with sessions.begin() as session:
        other = await make_account(session, keyring)
        people = {
            "stranger": (await make_user(session, other.id)).id,
            "viewer": (await make_user(session, signed_in.account.id, general_admin="view")).id,
            "disabled": (await make_user(session, signed_in.account.id)).id,
            "nobody": new_id(),
        }
    await disable(sessions, people["disabled"])

    answer = await signed_in.client.patch(path, json={"owner_id": str(people[who])})

    assert (answer.status_code, answer.json()["code"]) == (422, "owner_unfit")


async def disable(sessions: Sessions, user_id: UUID) -> None:
    async with sessions.begin() as session:
        await session.execute(update(User).where(User.id == user_id).values(disabled_at=func.now()))


async def test_disconnecting_destroys_the_tokens_at_once_and_begins_the_rest(
    signed_in: SignedIn, sessions: Sessions, app: FastAPI, told_relays: list[str]
):
    integration_id = await connect_named(signed_in)
    path = f"/api/v1/integrations/{integration_id}"

    answer = await signed_in.client.delete(path, headers={"accept-language": "de"})

    assert answer.status_code == 200
    rest = answer.json()
    assert "Autorisierung deaktivieren" in rest["text"]
    assert rest["link"].endswith("/apps/manage")
    assert rest["data_after_rest"] == "keep"
    assert (await signed_in.client.get(path)).status_code == 404
    assert (await signed_in.client.delete(path)).status_code == 404
    assert (await signed_in.client.get("/api/v1/integrations")).json()["items"] == []
    resting = (await signed_in.client.get("/api/v1/integrations?state=resting")).json()["items"]
    assert [item["rests_until"] for item in resting] == [rest["rests_until"]]
    async with sessions.begin() as session:
        grant = (await session.scalars(select(Grant))).one()
        address = (await session.scalars(select(RelayAddress))).one()
    assert (grant.refresh_token.ciphertext, grant.access_token) == (b"", None)
    assert address.retired_at is None
    assert told_relays == [str(address.id)]
    state: AppState = app.state.connector
    with pytest.raises(GrantMissing):
        await state.vault.access_token(signed_in.account.id, UUID(integration_id))


async def test_mail_of_a_resting_store_is_kept_sealed_and_seen_once_when_it_is_restored(
    signed_in: SignedIn, owner: Sessions, keys: Keys, delivery: Delivery, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    path = f"/api/v1/integrations/{integration_id}"
    address = (await signed_in.client.get(path)).json()["address"]
    await signed_in.client.delete(path)
    for subject in ("eins", "zwei"):
        await accept(owner, keys, integration_id, subject=subject)
    await deliver_due(delivery)
    assert await states(owner) == ["resting", "resting"]
    assert (await signed_in.client.get("/api/v1/conversations")).json()["items"] == []

    restored = await signed_in.client.post(f"{path}/restoration", json={})
    await deliver_due(delivery)

    assert restored.status_code == 200, restored.text
    assert restored.json()["address"] == address
    assert restored.json()["lock"]["state"] == "red"
    assert (restored.json()["checks"][0]["code"], restored.json()["checks"][0]["action"]) == (
        "grant_missing",
        "reauthorize",
    )
    assert await states(owner) == ["delivered", "delivered"]
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(Message)) == 2
    assert (await signed_in.client.post(f"{path}/restoration", json={})).status_code == 404
    await connect(signed_in.client)
    assert (await signed_in.client.get(path)).json()["lock"]["state"] != "red"


async def test_mail_that_is_being_laid_to_rest_while_its_store_is_restored_is_not_forgotten(
    signed_in: SignedIn, owner: Sessions, keys: Keys, delivery: Delivery
):
    integration_id = await connect_named(signed_in)
    path = f"/api/v1/integrations/{integration_id}"
    await signed_in.client.delete(path)
    for number in range(5):
        await accept(owner, keys, integration_id, subject=str(number))

    await asyncio.gather(deliver_due(delivery), signed_in.client.post(f"{path}/restoration", json={}))
    await deliver_due(delivery)

    assert await states(owner) == ["delivered"] * 5


async def test_a_taken_name_stands_in_the_way_until_another_one_is_given(signed_in: SignedIn):
    path = f"/api/v1/integrations/{await connect_named(signed_in, 'Europa')}"
    await signed_in.client.delete(path)
    await connect_named(signed_in, "Europa", CASA_VERDE)

    refused = await signed_in.client.post(f"{path}/restoration", json={})
    restored = await signed_in.client.post(f"{path}/restoration", json={"name": "Europa alt"})

    assert (refused.status_code, refused.json()["code"]) == (409, "name_taken")
    assert (restored.status_code, restored.json()["name"]) == (200, "Europa alt")


async def test_a_rest_is_not_ended_before_its_time(signed_in: SignedIn, sessions: Sessions):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    await signed_in.client.delete(path)

    removed = await end_grace_periods(sessions, datetime.now(UTC) + GRACE_PERIOD - timedelta(minutes=1))

    assert removed == 0
    assert (await signed_in.client.post(f"{path}/restoration", json={})).status_code == 200


async def test_after_the_rest_the_address_is_retired_for_ever_and_what_is_kept_can_be_read(
    *,
    signed_in: SignedIn,
    sessions: Sessions,
    owner: Sessions,
    keys: Keys,
    delivery: Delivery,
    told_relays: list[str],
    app: FastAPI,
):
    integration_id = await connect_named(signed_in)
    path = f"/api/v1/integrations/{integration_id}"
    await signed_in.client.delete(f"{path}?data=keep")
    await accept(owner, keys, integration_id)
    await deliver_due(delivery)

    removed = await asyncio.gather(
        end_grace_periods(sessions, after_rest()), end_grace_periods(sessions, after_rest())
    )
    await deliver_due(delivery)
    erased = await erase_removed(sessions, app.state.connector.blobs, after_rest() + timedelta(days=1))

    assert (sum(removed), erased) == (1, 0)
    async with sessions.begin() as session:
        address = (await session.scalars(select(RelayAddress))).one()
    assert address.retired_at is not None
    assert told_relays == [str(address.id), str(address.id)]
    assert (await signed_in.client.post(f"{path}/restoration", json={})).status_code == 404
    assert (await signed_in.client.get("/api/v1/integrations?state=resting")).json()["items"] == []
    assert len((await signed_in.client.get("/api/v1/conversations")).json()["items"]) == 1
    assert "integration_removed" in await actions(sessions)
    again = await connect(signed_in.client)
    assert (again["status"], again["integration_id"] == integration_id) == ("connected", False)


async def test_after_the_rest_everything_is_deleted_where_the_account_wants_that(
    *, signed_in: SignedIn, sessions: Sessions, owner: Sessions, keys: Keys, delivery: Delivery, app: FastAPI
):
    integration_id = await connect_named(signed_in)
    other_id = await connect_named(signed_in, "Casa", CASA_VERDE)
    await accept(owner, keys, integration_id)
    await accept(owner, keys, other_id)
    await deliver_due(delivery)
    await signed_in.client.delete(f"/api/v1/integrations/{integration_id}?data=delete")
    resting = await accept(owner, keys, integration_id, subject="zwei")
    await deliver_due(delivery)
    blobs = app.state.connector.blobs
    blob = await blobs.put(new_id(), b"sealed")
    async with owner.begin() as session:
        await session.execute(
            update(AcceptedMail)
            .where(AcceptedMail.id == resting)
            .values(raw=None, blob_key=blob.key, blob_digest=blob.digest)
        )

    await end_grace_periods(sessions, after_rest())
    too_early = await erase_removed(sessions, blobs, after_rest())
    erased = await erase_removed(sessions, blobs, after_rest() + timedelta(hours=1))

    assert (too_early, erased) == (0, 1)
    assert await blobs.list_day(blob.key.partition("/")[0], after="", limit=10) == []
    async with owner.begin() as session:
        for table in (Message, Conversation, ConversationThread):
            left = (await session.scalars(select(table.integration_id))).all()
            assert set(left) == {UUID(other_id)}
        assert await session.scalar(select(func.count()).select_from(AcceptedMail)) == 1
        assert await session.scalar(select(func.count()).select_from(MessageDigest)) == 1
        assert await session.scalar(select(func.count()).select_from(Attachment)) == 0
        assert await session.scalar(select(func.count()).select_from(RelayAddress)) == 2
    assert await erase_removed(sessions, blobs, after_rest() + timedelta(hours=2)) == 0


async def test_a_mail_that_is_delivered_while_its_store_is_deleted_is_deleted_too(
    *,
    signed_in: SignedIn,
    sessions: Sessions,
    owner: Sessions,
    keys: Keys,
    delivery: Delivery,
    app: FastAPI,
    monkeypatch: pytest.MonkeyPatch,
):
    integration_id = await connect_named(signed_in)
    await signed_in.client.delete(f"/api/v1/integrations/{integration_id}?data=delete")
    large = await accept(owner, keys, integration_id)
    await accept(owner, keys, integration_id, subject="zwei")
    await end_grace_periods(sessions, after_rest())
    blobs = app.state.connector.blobs
    blob = await blobs.put(new_id(), b"sealed")
    async with owner.begin() as session:
        await session.execute(
            update(AcceptedMail)
            .where(AcceptedMail.id == large)
            .values(raw=None, blob_key=blob.key, blob_digest=blob.digest)
        )
    remove, delivered = blobs.remove, []

    async def remove_while_a_worker_delivers(key: str) -> None:
        delivered.append(await deliver_due(delivery))
        await remove(key)

    monkeypatch.setattr(blobs, "remove", remove_while_a_worker_delivers)
    await erase_removed(sessions, blobs, after_rest() + timedelta(hours=1))

    # The small one; the large one was claimed with it, and does not open.
    assert delivered == [2]
    async with owner.begin() as session:
        for table in (Message, Conversation, AcceptedMail, MessageDigest):
            assert await session.scalar(select(func.count()).select_from(table)) == 0


async def test_the_list_of_a_hundred_is_one_statement_and_asks_nobody_with_amazon_away(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    async with sessions.begin() as session:
        for number in range(100):
            await make_integration(session, signed_in.account.id, name=f"Store {number:03}")
    amazon.fail_tokens(503, "", count=1000)
    amazon.fail_api(503, "", count=1000)
    seconds = []
    for _ in range(10):
        begun = asyncio.get_running_loop().time()
        answer = await signed_in.client.get("/api/v1/integrations?limit=100")
        seconds.append(asyncio.get_running_loop().time() - begun)
        assert (answer.status_code, len(answer.json()["items"])) == (200, 100)

    # The quickest: what else the machine does meanwhile is not the list's doing.
    assert min(seconds) < 0.1
    assert amazon.state.counters.token.total() == 0
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(Integration)) == 100
