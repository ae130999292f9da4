"""“Mail to this mailbox is forwarded here”: who may say so, what it changes, and that nothing is shown twice."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from deploy.demo.postgres import MAIL_WORKER
from services.connector.forwarding import jobs
from services.connector.forwarding.service import MAX_MAILBOXES
from services.connector.job_queue.runner import JobRunner
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.delivery.parser_pool import ParserPool
from services.mailrelay.delivery.queue import requeue_for_recheck
from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.database import Sessions, create_sessions
from shared.keyring import Keyring
from shared.tables import AuditEntry, ForwardedMailbox, Integration, RelayAddress
from tests.conftest import Keys
from tests.factories import make_accepted_mail, make_account, make_integration, make_relay_address
from tests.integration.connector.conftest import SignedIn
from tests.kept_database import KeptDatabase
from tests.signing import signed

BUYERS_MAIL = (Path(__file__).parents[3] / "mails" / "buyer-question.eml").read_bytes()
NOTICE = (Path(__file__).parents[3] / "mails" / "order-notice.eml").read_bytes()
SHOP = "shop@mail.example"
API = "/api/v1"


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    return owner_sessions


@pytest.fixture
async def address(signed_in: SignedIn, owner: Sessions) -> RelayAddress:
    """The relay address of a store that is still being set up."""
    async with owner.begin() as session:
        integration = await make_integration(session, signed_in.account.id)
        return await make_relay_address(session, integration, local_part="mabtekrud")


@pytest.fixture
def path(address: RelayAddress) -> str:
    return f"{API}/integrations/{address.integration_id}/forwarded-mailboxes"


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
    return Delivery(
        create_sessions(kept_database.process_engine(MAIL_WORKER)),
        keyring,
        keys.mail_private_keys,
        parser,
        DeliveryMetrics(CollectorRegistry()),
        app.state.connector.blobs,
        name_servers,
        # A busy machine shortens no batch of a test.
        turn_seconds=60.0,
    )


@pytest.fixture
def runner(sessions: Sessions) -> JobRunner:
    runner = JobRunner(sessions, CollectorRegistry())
    jobs.register(runner, sessions)
    return runner


async def accept(owner: Sessions, keys: Keys, address: RelayAddress, raw: bytes, to: str) -> None:
    """A mail that Amazon has sent to `to`, as the relay commits it at this address."""
    sent = signed(raw.replace(b"mabtekrud@replyco.email", to.encode()))
    async with owner.begin() as session:
        await make_accepted_mail(session, address, keys.mail_public_key, raw=sent)


async def items(signed_in: SignedIn, query: str) -> list[dict[str, Any]]:
    answer = await signed_in.client.get(f"{API}/conversations{query}")
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def message_of(signed_in: SignedIn, conversation: dict[str, Any]) -> dict[str, Any]:
    answer = await signed_in.client.get(f"{API}/conversations/{conversation['id']}/messages")
    [message] = answer.json()["items"]
    return dict(message)


async def test_what_waited_becomes_ordinary_messages_once(
    *,
    signed_in: SignedIn,
    sessions: Sessions,
    owner: Sessions,
    keys: Keys,
    delivery: Delivery,
    runner: JobRunner,
    address: RelayAddress,
    path: str,
):
    await accept(owner, keys, address, BUYERS_MAIL, SHOP)
    await accept(owner, keys, address, NOTICE, "other@mail.example")
    await deliver_due(delivery)
    waiting = await items(signed_in, "?status=quarantine")
    [held] = [each for each in waiting if each["kind"] == "buyer_message"]
    verdict = {"verdict": "misdirected", "reason": "not_addressed_here", "sent_to": [SHOP]}
    assert (await message_of(signed_in, held))["authenticity"] == verdict
    assert await items(signed_in, "") == []

    answer = await signed_in.client.post(path, json={"address": "Shop@Mail.Example"})
    await runner.run_due()
    async with delivery.sessions.begin() as session:
        assert await requeue_for_recheck(session) == 1
    await deliver_due(delivery)

    assert answer.status_code == 201
    [shown] = await items(signed_in, "")
    message = await message_of(signed_in, shown)
    assert (shown["id"], shown["status"], shown["message_count"]) == (held["id"], "open", 1)
    assert shown["answer_due_at"] == message["answer_due_at"] is not None
    assert message["authenticity"] == {
        "verdict": "authentic",
        "reason": "signed_by_amazon",
        "sent_to": [SHOP],
    }
    assert [each["kind"] for each in await items(signed_in, "?status=quarantine")] == ["order_notice"]
    async with sessions.begin() as session:
        store = await session.get_one(Integration, address.integration_id)
    assert store.first_authentic_mail_at is not None

    async with delivery.sessions.begin() as session:
        assert await requeue_for_recheck(session) == 0


async def test_withdrawn_it_holds_new_mail_and_hides_nothing(
    *,
    signed_in: SignedIn,
    owner: Sessions,
    keys: Keys,
    delivery: Delivery,
    address: RelayAddress,
    path: str,
):
    confirmed = (await signed_in.client.post(path, json={"address": SHOP})).json()
    await accept(owner, keys, address, BUYERS_MAIL, SHOP)
    await deliver_due(delivery)

    gone = await signed_in.client.delete(f"{path}/{confirmed['id']}")
    await accept(owner, keys, address, NOTICE, SHOP)
    await deliver_due(delivery)

    assert gone.status_code == 204
    assert [each["kind"] for each in await items(signed_in, "")] == ["buyer_message"]
    assert [each["kind"] for each in await items(signed_in, "?status=quarantine")] == ["order_notice"]
    assert (await signed_in.client.delete(f"{path}/{confirmed['id']}")).status_code == 404


async def test_the_list_and_the_log_say_who_confirmed_what(
    signed_in: SignedIn, sessions: Sessions, path: str
):
    first = await signed_in.client.post(path, json={"address": " Shop@Mail.Example "})
    again = await signed_in.client.post(path, json={"address": SHOP})

    listed = (await signed_in.client.get(path)).json()["items"]
    assert first.json() == again.json() == listed[0]
    assert [(each["address"], each["confirmed_by"]) for each in listed] == [(SHOP, str(signed_in.user.id))]
    await signed_in.client.delete(f"{path}/{listed[0]['id']}")
    assert (await signed_in.client.get(path)).json() == {"items": []}
    async with sessions.begin() as session:
        entries = list(
            await session.execute(
                select(AuditEntry.action, AuditEntry.fields)
                .where(AuditEntry.action.startswith("forwarded"))
                .order_by(AuditEntry.id)
            )
        )
    assert [tuple(entry) for entry in entries] == [
        ("forwarded_mailbox_confirmed", {"mailbox": listed[0]["id"]}),
        ("forwarded_mailbox_withdrawn", {"mailbox": listed[0]["id"]}),
    ]


async def test_what_it_is_named_is_sealed(signed_in: SignedIn, owner: Sessions, path: str):
    await signed_in.client.post(path, json={"address": SHOP})

    async with owner.begin() as session:
        row = (await session.scalars(select(ForwardedMailbox))).one()
    assert SHOP.encode() not in row.address.ciphertext
    assert len(row.address_key) == 32


@pytest.mark.parametrize(
    ("entered", "code"),
    [
        ("shop", "mailbox_invalid"),
        ("shop@localhost", "mailbox_invalid"),
        ("Shop <shop@mail.example>", "mailbox_invalid"),
        ("shop@mail.example, b@mail.example", "mailbox_invalid"),
        ("sh op@mail.example", "mailbox_invalid"),
        ("x" * 250 + "@mail.example", "mailbox_invalid"),
        ("mabtekrud@replyco.email", "mailbox_ours"),
        ("Nefpotdak@REPLYCO.email.", "mailbox_ours"),
    ],
)
async def test_what_cannot_be_such_a_mailbox_is_refused(
    signed_in: SignedIn, path: str, entered: str, code: str
):
    answer = await signed_in.client.post(path, json={"address": entered})

    assert (answer.status_code, answer.json()["code"]) == (409 if code == "mailbox_ours" else 422, code)
    assert (await signed_in.client.get(path)).json() == {"items": []}


async def test_a_store_has_a_handful(signed_in: SignedIn, path: str):
    for number in range(MAX_MAILBOXES):
        answer = await signed_in.client.post(path, json={"address": f"shop{number}@mail.example"})
        assert answer.status_code == 201

    one_more = await signed_in.client.post(path, json={"address": SHOP})

    assert (one_more.status_code, one_more.json()["code"]) == (409, "too_many_forwarded_mailboxes")


async def test_another_accounts_store_does_not_exist(
    signed_in: SignedIn,
    sign_in_as: Callable[..., Awaitable[SignedIn]],
    owner: Sessions,
    keyring: Keyring,
    path: str,
):
    async with owner.begin() as session:
        other_account = await make_account(session, keyring)
    confirmed = (await signed_in.client.post(path, json={"address": SHOP})).json()
    stranger = await sign_in_as(of=other_account)

    answers = [
        await stranger.client.get(path),
        await stranger.client.post(path, json={"address": SHOP}),
        await stranger.client.delete(f"{path}/{confirmed['id']}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert len((await signed_in.client.get(path)).json()["items"]) == 1


async def test_the_page_of_the_store_says_that_mail_comes_by_a_detour(
    *,
    signed_in: SignedIn,
    owner: Sessions,
    keys: Keys,
    delivery: Delivery,
    address: RelayAddress,
    path: str,
):
    async def check() -> list[tuple[str, str]]:
        answer = await signed_in.client.get(f"{API}/integrations/{UUID(str(address.integration_id))}")
        return [
            (each["state"], each["title"])
            for each in answer.json()["checks"]
            if each["code"] == "mail_not_authentic"
        ]

    assert await check() == []
    await accept(owner, keys, address, BUYERS_MAIL, SHOP)
    await deliver_due(delivery)
    assert await check() == [("amber", "Mail does not come straight from Amazon")]
    await signed_in.client.post(path, json={"address": SHOP})
    await accept(owner, keys, address, NOTICE, SHOP)
    await deliver_due(delivery)
    [(state, _)] = await check()
    assert state == "notice"
