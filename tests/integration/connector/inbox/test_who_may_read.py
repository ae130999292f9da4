"""Whoever may not read the inbox gets nothing of it, on whatever way: each route of the API is tried, with ids that are there."""

import re
from collections.abc import Awaitable, Callable, Iterator

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from services.connector.accounts.callers import Caller, PermissionMissing
from services.connector.app import opens_mail
from services.connector.http.paths import API_PREFIX
from services.connector.inbox.unsealing import keys_of
from services.connector.orders.unsealing import keys_of as keys_of_orders
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.permissions import Level, Permission
from tests.factories import make_conversation_order, make_order, make_order_item
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.inbox.conftest import Inbox, Worker

CANARY = "canary-7Q4"
# Answers for as long as one listens.
STREAM = f"{API_PREFIX}/events"


def api_routes(app: FastAPI, *, of_mail: bool) -> Iterator[tuple[str, str]]:
    """Method and path of the routes that open mail, or of the others."""
    for route in iter_route_contexts(app.routes):
        if (route.path or "").startswith("/api/") and route.path != STREAM and opens_mail(route) is of_mail:
            yield from ((method, route.path or "") for method in sorted(route.methods or ()))


@pytest.fixture
async def ids(inbox: Inbox, worker: Worker) -> dict[str, str]:
    """A mail and an order full of canaries, by the names that routes have for their ids."""
    message = await worker.message(
        inbox,
        raw=f"Subject: {CANARY}\r\n\r\n{CANARY}\r\n".encode(),
        kind="verification",
        subject=CANARY,
        sender_name=CANARY,
        text=CANARY,
        snippet=CANARY,
        html=f"<p>{CANARY}</p>",
        quoted_text=CANARY,
        verification_code=CANARY,
    )
    attachment = await worker.attachment(message, filename=f"{CANARY}.txt", content=CANARY.encode())
    async with worker.sessions.begin() as session:
        order = await make_order(session, worker.keyring, inbox.integration, sales_channel=CANARY)
        await make_order_item(session, worker.keyring, order, title=CANARY, gift_message=CANARY)
        await make_conversation_order(session, inbox.conversation, order.order_id)
    return {
        "order_row_id": str(order.id),
        "integration_id": str(inbox.integration.id),
        "conversation_id": str(inbox.conversation.id),
        "message_id": str(message.id),
        "attachment_id": attachment.rpartition("/")[2],
    }


def with_ids(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda name: ids.get(name[1], ids["message_id"]), path)


@pytest.fixture(params=["user", "api key"])
async def everything_but_the_inbox(
    request: pytest.FixtureRequest,
    sign_in_as: Callable[..., Awaitable[SignedIn]],
    api_key_client: Callable[..., Awaitable[httpx2.AsyncClient]],
) -> httpx2.AsyncClient:
    if request.param == "user":
        return (await sign_in_as(inbox_messages="none")).client
    return await api_key_client(inbox_messages="none")


async def test_without_the_permission_no_route_opens_mail(
    app: FastAPI,
    client: httpx2.AsyncClient,
    everything_but_the_inbox: httpx2.AsyncClient,
    ids: dict[str, str],
):
    readable = 0
    for method, path in api_routes(app, of_mail=True):
        url = with_ids(path, ids)
        refused = await everything_but_the_inbox.request(method, url, json={})

        assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing"), (method, path)
        assert CANARY not in refused.text
        readable += method == "GET" and CANARY in (await client.get(url)).text
    # So that it is the permission that was missing, not the mail.
    assert readable >= 8


async def test_without_the_permission_no_other_answer_has_anything_of_it(
    app: FastAPI,
    client: httpx2.AsyncClient,
    everything_but_the_inbox: httpx2.AsyncClient,
    ids: dict[str, str],
):
    # What leaves a trace: who took a mail, what became of a conversation, and what is told of it.
    await client.get(f"{API_PREFIX}/messages/{ids['message_id']}/raw")
    await client.patch(f"{API_PREFIX}/conversations/{ids['conversation_id']}", json={"status": "closed"})

    for method, path in api_routes(app, of_mail=False):
        if method == "GET":
            since = {"since": "2026-01-01T00:00:00Z"} if path.endswith("/deliveries/counts") else None
            answer = await everything_but_the_inbox.get(with_ids(path, ids), params=since)

            is_for_people = answer.status_code == 403 and answer.json()["code"] == "browser_required"
            assert is_for_people or answer.status_code in {200, 404}, (path, answer.text)
            assert CANARY not in answer.text, path
    audit_log = await everything_but_the_inbox.get(f"{API_PREFIX}/audit-log")
    assert ids["message_id"] in audit_log.text


async def test_the_keys_of_mail_and_orders_are_refused_whatever_a_route_has_let_in(
    sessions: Sessions, keyring: Keyring, inbox: Inbox
):
    stranger = Caller(inbox.account.id, new_id(), {Permission.GENERAL_ADMIN: Level.EDIT})

    for keys in (keys_of, keys_of_orders):
        with pytest.raises(PermissionMissing):
            await keys(stranger, sessions, keyring)
