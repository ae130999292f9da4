"""Who may do what: one row for each route of the API, and every kind of caller against every row.

A route without a row fails, and so does a row without a route.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from services.connector.app import PUBLIC, openapi_document, refuse_open_routes
from services.connector.dependencies import AdminEditor
from services.connector.http.paths import API_PREFIX
from services.connector.inbox import api as inbox
from shared.database import Sessions
from shared.keyring import Keyring
from tests.factories import make_account, make_integration
from tests.integration.connector.conftest import PASSWORD, SignedIn

ID = "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f"
OTHER_ID = "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e40"


@dataclass(frozen=True)
class Row:
    """`needs` are "area:level", or "" where any caller will do. `person_only`: an API key gets 403 browser_required."""

    method: str
    path: str
    needs: str
    body: object = None
    person_only: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        path = self.path.replace("{step}", "seller_profile").replace("{country}", "DE")
        path = path.replace("{kind}", "order_notice")
        while "{" in path:
            path = path[: path.index("{")] + ID + path[path.index("}") + 1 :]
        return API_PREFIX + path


ADMIN_VIEW, ADMIN_EDIT = "general_admin:view", "general_admin:edit"
PROGRAMS_VIEW, PROGRAMS_EDIT = "general_programs:view", "general_programs:edit"
ORDERS_VIEW = "inbox_orders:view"
INBOX_VIEW, INBOX_EDIT = "inbox_messages:view", "inbox_messages:edit"
BOTH_VIEW = f"{ADMIN_VIEW} {INBOX_VIEW}"
REPLY = f"{INBOX_VIEW} inbox_replies:edit"

SMTP = {
    "host": "smtp.seller.example",
    "port": 587,
    "tls_mode": "starttls",
    "username": "shop",
    "password": "canary",
    "sender_address": "shop@seller.example",
}

TABLE = [
    Row("DELETE", "/sessions/current", "", person_only=True),
    Row("POST", "/sessions/current/confirm", "", {"password": PASSWORD}, person_only=True),
    Row("POST", "/sessions/current/confirm/passkey-options", "", person_only=True),
    Row("POST", "/sessions/current/confirm/single-sign-on", "", person_only=True),
    Row("GET", "/sessions", "", person_only=True),
    Row("DELETE", "/sessions", "", person_only=True),
    Row("DELETE", "/sessions/{session_id}", "", person_only=True),
    Row("PUT", "/me/password", "", {"new": "vier Lampen im Keller"}, person_only=True),
    Row("GET", "/me/second-factor", "", person_only=True),
    Row("POST", "/me/authenticator", "", person_only=True),
    Row("PUT", "/me/authenticator", "", {"code": "123456"}, person_only=True),
    Row("DELETE", "/me/authenticator", "", person_only=True),
    Row("POST", "/me/passkeys/options", "", person_only=True),
    Row("POST", "/me/passkeys", "", {"name": "Telefon", "credential": {}}, person_only=True),
    Row("PATCH", "/me/passkeys/{passkey_id}", "", {"name": "Telefon"}, person_only=True),
    Row("DELETE", "/me/passkeys/{passkey_id}", "", person_only=True),
    Row("POST", "/me/recovery-codes", "", person_only=True),
    Row("GET", "/account/security", ADMIN_VIEW),
    Row("PATCH", "/account/security", ADMIN_EDIT, {"admin_idle_minutes": 45}, person_only=True),
    Row("DELETE", "/users/{user_id}/second-factor", ADMIN_EDIT, person_only=True),
    Row("GET", "/account/single-sign-on", ADMIN_VIEW),
    Row("POST", "/account/single-sign-on/test", ADMIN_EDIT, {}),
    Row(
        "PUT",
        "/account/single-sign-on",
        ADMIN_EDIT,
        {"issuer": "https://login.seller.example", "client_id": "replyco", "client_secret": "canary"},
        person_only=True,
    ),
    Row(
        "POST",
        "/account/single-sign-on/domains",
        ADMIN_EDIT,
        {"domain": "seller.example"},
        person_only=True,
    ),
    Row("POST", "/account/single-sign-on/domains/{domain_id}/proof", ADMIN_EDIT, person_only=True),
    Row("DELETE", "/account/single-sign-on/domains/{domain_id}", ADMIN_EDIT, person_only=True),
    Row("DELETE", "/users/{user_id}/single-sign-on", ADMIN_EDIT, person_only=True),
    Row("DELETE", "/account/single-sign-on", ADMIN_EDIT, person_only=True),
    Row("GET", "/me", ""),
    Row("PATCH", "/me", "", {"language": "de"}, person_only=True),
    Row("GET", "/account", ADMIN_VIEW),
    Row("PATCH", "/account", ADMIN_EDIT, {"form_of_address": "sie"}),
    Row("POST", "/account/closure", ADMIN_EDIT, {"account_name": "another one"}, person_only=True),
    Row("GET", "/account/retention", ADMIN_VIEW),
    Row("PATCH", "/account/retention", ADMIN_EDIT, {"messages_kept_days": 365}),
    Row("GET", "/users", ADMIN_VIEW),
    Row("GET", "/users/{user_id}", ADMIN_VIEW),
    Row("PATCH", "/users/{user_id}", ADMIN_EDIT, {"permissions": {}}, person_only=True),
    Row("POST", "/users/{user_id}/disable", ADMIN_EDIT, person_only=True),
    Row("POST", "/users/{user_id}/enable", ADMIN_EDIT, person_only=True),
    Row("DELETE", "/users/{user_id}?programs=end", ADMIN_EDIT, person_only=True),
    Row("GET", "/invitations", ADMIN_VIEW),
    Row(
        "POST",
        "/invitations",
        ADMIN_EDIT,
        {"email": "erika@seller.example", "permissions": {}},
        person_only=True,
    ),
    Row("POST", "/invitations/{invitation_id}/send", ADMIN_EDIT, person_only=True),
    Row("DELETE", "/invitations/{invitation_id}", ADMIN_EDIT, person_only=True),
    Row("GET", "/api-keys", PROGRAMS_VIEW),
    Row("POST", "/api-keys", PROGRAMS_EDIT, {"name": "Helpdesk", "permissions": {}}, person_only=True),
    Row("DELETE", "/api-keys/{api_key_id}", PROGRAMS_EDIT),
    Row("GET", "/marketplaces", ""),
    Row("GET", "/consent-errors", ""),
    Row("POST", "/authorizations", ADMIN_EDIT, {"country": "DE"}, person_only=True),
    Row("GET", "/authorizations", ADMIN_VIEW),
    Row("GET", "/authorizations/{authorization_id}", ADMIN_VIEW),
    Row("POST", "/authorization-links", ADMIN_EDIT, {"country": "DE"}),
    Row("GET", "/authorization-links/{link}", ADMIN_EDIT),
    Row("GET", "/integrations", ADMIN_VIEW),
    Row("POST", "/integrations", ADMIN_EDIT, {"name": "Amazon", "country": "DE"}),
    Row("PUT", "/integrations/{integration_id}/countries", ADMIN_EDIT, {"countries": ["DE"]}),
    Row("GET", "/integrations/{integration_id}", ADMIN_VIEW),
    Row("PATCH", "/integrations/{integration_id}", ADMIN_EDIT, {"name": "Amazon"}),
    Row("DELETE", "/integrations/{integration_id}", ADMIN_EDIT),
    Row("POST", "/integrations/{integration_id}/restoration", ADMIN_EDIT, {}),
    Row("GET", "/integrations/{integration_id}/setup-steps", ADMIN_VIEW),
    Row("PUT", "/integrations/{integration_id}/setup-steps/{step}/{country}", ADMIN_EDIT, {"done": True}),
    Row("GET", "/integrations/{integration_id}/smtp-configuration", ADMIN_VIEW),
    Row("PUT", "/integrations/{integration_id}/smtp-configuration", ADMIN_EDIT, SMTP),
    Row("DELETE", "/integrations/{integration_id}/smtp-configuration", ADMIN_EDIT),
    Row("POST", "/integrations/{integration_id}/smtp-configuration/test", ADMIN_EDIT, SMTP),
    Row("GET", "/integrations/{integration_id}/forwarded-mailboxes", ADMIN_VIEW),
    Row(
        "POST",
        "/integrations/{integration_id}/forwarded-mailboxes",
        ADMIN_EDIT,
        {"address": "shop@seller.example"},
    ),
    Row("DELETE", "/integrations/{integration_id}/forwarded-mailboxes/{mailbox_id}", ADMIN_EDIT),
    Row("GET", "/integrations/{integration_id}/verification-mails", BOTH_VIEW),
    Row("GET", "/conversations", INBOX_VIEW),
    Row("POST", "/conversations/search", INBOX_VIEW, {"q": "Lampe"}),
    Row("GET", "/conversations/counts", INBOX_VIEW),
    Row("GET", "/conversations/stores", INBOX_VIEW),
    Row("GET", "/conversations/assignees", INBOX_VIEW),
    Row(
        "POST",
        "/conversations/changes",
        INBOX_EDIT,
        {"conversation_ids": [ID], "change": {"unread": True}},
    ),
    Row("POST", "/conversations/changes/{change_id}/undo", INBOX_EDIT),
    Row("GET", "/tags", INBOX_VIEW),
    Row("POST", "/tags", INBOX_EDIT, {"name": "Refund"}),
    Row("GET", "/tags/{tag_id}", INBOX_VIEW),
    Row("PATCH", "/tags/{tag_id}", INBOX_EDIT, {"name": "Refunds"}),
    Row("DELETE", "/tags/{tag_id}", INBOX_EDIT),
    Row("GET", "/saved-views", INBOX_VIEW, person_only=True),
    Row(
        "POST",
        "/saved-views",
        INBOX_VIEW,
        {"name": "Germany", "filters": {"country": "DE"}},
        person_only=True,
    ),
    Row("PATCH", "/saved-views/{view_id}", INBOX_VIEW, {"name": "France"}, person_only=True),
    Row("DELETE", "/saved-views/{view_id}", INBOX_VIEW, person_only=True),
    Row("GET", "/muted-kinds", INBOX_VIEW),
    Row("PUT", "/muted-kinds/{kind}", INBOX_EDIT),
    Row("DELETE", "/muted-kinds/{kind}", INBOX_EDIT),
    Row("GET", "/conversations/{conversation_id}", INBOX_VIEW),
    Row("PATCH", "/conversations/{conversation_id}", INBOX_EDIT, {"status": "closed"}),
    Row("POST", "/conversations/{conversation_id}/no-answer-needed", INBOX_EDIT),
    Row("GET", "/conversations/{conversation_id}/notes", INBOX_VIEW),
    Row("POST", "/conversations/{conversation_id}/notes", INBOX_EDIT, {"text": "Seen"}),
    Row("DELETE", "/notes/{note_id}", INBOX_EDIT),
    Row("GET", "/reply-templates", INBOX_VIEW),
    Row("POST", "/reply-templates", INBOX_EDIT, {"name": "Thanks", "language": "en", "text": "Thank you."}),
    Row("GET", "/reply-templates/{template_id}", INBOX_VIEW),
    Row("PATCH", "/reply-templates/{template_id}", INBOX_EDIT, {"name": "Thanks"}),
    Row("DELETE", "/reply-templates/{template_id}", INBOX_EDIT),
    Row("GET", "/conversations/{conversation_id}/reply-templates/{template_id}", INBOX_VIEW),
    Row("GET", f"/conversations/{{conversation_id}}/merge-preview?into={OTHER_ID}", INBOX_EDIT),
    Row("POST", "/conversations/{conversation_id}/merges/{merge_id}/undo", INBOX_EDIT),
    Row("POST", "/conversations/{conversation_id}/merge", INBOX_EDIT, {"into": OTHER_ID}),
    Row("POST", "/conversations/{conversation_id}/split", INBOX_EDIT, {"message_ids": [ID]}),
    Row("GET", "/conversations/{conversation_id}/replies", INBOX_VIEW),
    Row(
        "POST",
        "/conversations/{conversation_id}/replies",
        REPLY,
        {"text": "Yes"},
        headers={"If-Match": '"1"'},
    ),
    Row("POST", "/conversations/{conversation_id}/replies/check", INBOX_VIEW, {"text": "Yes"}),
    Row("GET", "/replies", INBOX_VIEW),
    Row("GET", "/replies/counts", INBOX_VIEW),
    Row("GET", "/replies/{reply_id}", INBOX_VIEW),
    Row("POST", "/replies/{reply_id}/cancel", REPLY),
    Row("POST", "/replies/{reply_id}/send-now", REPLY),
    Row("POST", "/replies/{reply_id}/send-again", REPLY),
    Row("POST", "/replies/{reply_id}/dismiss", REPLY),
    Row("POST", "/conversations/{conversation_id}/files?filename=a.txt", REPLY),
    Row("GET", "/files/{file_id}", INBOX_VIEW),
    Row("DELETE", "/files/{file_id}", REPLY),
    Row("GET", "/conversations/{conversation_id}/draft", INBOX_EDIT, person_only=True),
    Row("PUT", "/conversations/{conversation_id}/draft", INBOX_EDIT, {"text": "Ye"}, person_only=True),
    Row("DELETE", "/conversations/{conversation_id}/draft", INBOX_EDIT, person_only=True),
    Row("PUT", "/conversations/{conversation_id}/typing", INBOX_EDIT, person_only=True),
    Row("GET", "/messages/{message_id}/html", INBOX_VIEW),
    Row("POST", "/messages/{message_id}/release", INBOX_EDIT),
    Row("GET", "/conversations/{conversation_id}/messages", INBOX_VIEW),
    Row("GET", "/messages/{message_id}", INBOX_VIEW),
    Row("GET", "/messages/{message_id}/attachments/{attachment_id}", INBOX_VIEW),
    Row("GET", "/messages/{message_id}/attachments/{attachment_id}/picture", INBOX_VIEW),
    Row("GET", "/messages/{message_id}/raw", BOTH_VIEW),
    Row("GET", "/status", ""),
    Row("GET", "/orders", ORDERS_VIEW),
    Row("GET", "/orders/changes", ORDERS_VIEW),
    Row("POST", "/orders/search", ORDERS_VIEW, {"order_id": "303-1234567-1234567"}),
    Row("GET", "/orders/{order_row_id}", ORDERS_VIEW),
    Row("GET", "/conversations/{conversation_id}/orders", f"{INBOX_VIEW} {ORDERS_VIEW}"),
    Row("GET", "/audit-log", ADMIN_VIEW),
    Row("GET", "/audit-log/export", ADMIN_VIEW),
    Row("GET", "/read-log", ADMIN_VIEW),
    Row("GET", "/read-log/export", ADMIN_VIEW),
    Row("GET", "/webhooks", PROGRAMS_EDIT),
    Row(
        "POST",
        "/webhooks",
        PROGRAMS_EDIT,
        {"url": "https://helpdesk.example/", "kinds": ["webhook.disabled"]},
    ),
    Row("GET", "/webhooks/{webhook_id}", PROGRAMS_EDIT),
    Row("PATCH", "/webhooks/{webhook_id}", PROGRAMS_EDIT, {"enabled": True}),
    Row("DELETE", "/webhooks/{webhook_id}", PROGRAMS_EDIT),
    Row("POST", "/webhooks/{webhook_id}/secret", PROGRAMS_EDIT, {}),
    Row("POST", "/webhooks/{webhook_id}/ping", PROGRAMS_EDIT),
    Row("GET", "/webhooks/{webhook_id}/deliveries", PROGRAMS_EDIT),
    Row("GET", "/webhooks/{webhook_id}/deliveries/counts?since=2026-11-01T00:00:00Z", PROGRAMS_EDIT),
    Row(
        "POST",
        "/webhooks/{webhook_id}/deliveries/resend",
        PROGRAMS_EDIT,
        {"since": "2026-11-01T00:00:00Z"},
    ),
    Row("POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/resend", PROGRAMS_EDIT),
    # Answers for as long as one listens; whom it lets in is tested with the event stream itself.
    Row("GET", "/events", ""),
]
ASKED = [row for row in TABLE if row.path != "/events"]
LEVELS = ("none", "view", "edit")
PEOPLE_MAY = {
    "general_admin": "edit",
    "general_programs": "edit",
    "inbox_messages": "edit",
    "inbox_orders": "edit",
}
PROGRAMS_MAY = PEOPLE_MAY | {"inbox_replies": "edit"}


def _named(row: Row) -> str:
    return f"{row.method} {row.path}"


def _needs_of_people(row: Row) -> str:
    """A user who may edit the inbox may write to buyers."""
    return INBOX_EDIT if row.needs == REPLY else row.needs


def _levels(needs: str) -> dict[str, str]:
    return dict(need.split(":") for need in needs.split())


def _one_below(needs: str) -> list[dict[str, str]]:
    """What somebody who may do everything lacks so that it is not enough: one level, of each area that is needed."""
    return [{area: LEVELS[LEVELS.index(level) - 1]} for area, level in _levels(needs).items()]


async def _ask(client: httpx2.AsyncClient, row: Row) -> httpx2.Response:
    return await client.request(row.method, row.url, json=row.body, headers=row.headers)


def test_the_table_names_exactly_the_routes_that_there_are(app: FastAPI):
    routes = {
        (method, route.path or "")
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if (route.path or "").startswith("/api/")
    }

    assert routes - PUBLIC == {(row.method, API_PREFIX + row.path.partition("?")[0]) for row in TABLE}
    refuse_open_routes(app.routes)


def test_a_route_that_lets_everybody_in_stops_the_start(app: FastAPI):
    @app.get(f"{API_PREFIX}/open")
    async def unguarded() -> None: ...

    with pytest.raises(RuntimeError, match=f"GET {API_PREFIX}/open"):
        refuse_open_routes(app.routes)


def test_a_route_that_opens_mail_for_who_may_not_read_it_stops_the_start(app: FastAPI):
    async def peek(caller: AdminEditor) -> None: ...

    peek.__module__ = inbox.__name__
    app.get(f"{API_PREFIX}/peek")(peek)

    with pytest.raises(RuntimeError, match=f"GET {API_PREFIX}/peek opens what needs inbox.messages"):
        refuse_open_routes(app.routes)


async def test_nobody_is_let_in_without_signing_in(new_client: Callable[..., httpx2.AsyncClient]):
    for number, row in enumerate(TABLE):
        # A limit holds for each address, and there are more routes than it allows.
        answer = await _ask(new_client(address=f"192.0.2.{1 + number // 50}"), row)

        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), _named(row)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("needs", sorted({_needs_of_people(row) for row in ASKED}))
async def test_a_user_may_do_what_his_levels_say(sign_in_as: Callable[..., Awaitable[SignedIn]], needs: str):
    rows = [row for row in ASKED if _needs_of_people(row) == needs]
    for levels in (dict.fromkeys(PEOPLE_MAY, "none") | _levels(needs), PEOPLE_MAY):
        user = await sign_in_as(**levels)
        for row in rows:
            answer = await _ask(user.client, row)

            assert answer.status_code not in {401, 403, 422, 500}, (_named(row), answer.text)
            # Signing out, and what ends a session by the way, are rows, too.
            if row.path.startswith(("/sessions", "/me/")):
                user = await sign_in_as(**levels)
    for too_low in _one_below(needs):
        user = await sign_in_as(**(PEOPLE_MAY | too_low))
        for row in rows:
            answer = await _ask(user.client, row)

            assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing"), _named(row)


@pytest.mark.parametrize("needs", sorted({row.needs for row in ASKED}))
async def test_an_api_key_may_do_what_its_levels_say(
    api_key_client: Callable[..., Awaitable[httpx2.AsyncClient]], needs: str
):
    rows = [row for row in ASKED if row.needs == needs]
    for levels in (dict.fromkeys(PROGRAMS_MAY, "none") | _levels(needs), PROGRAMS_MAY):
        program = await api_key_client(**levels)
        for row in rows:
            answer = await _ask(program, row)

            if row.person_only:
                assert (answer.status_code, answer.json()["code"]) == (403, "browser_required"), _named(row)
            else:
                assert answer.status_code not in {401, 403, 422, 500}, (_named(row), answer.text)
    for too_low in _one_below(needs):
        program = await api_key_client(**(PROGRAMS_MAY | too_low))
        for row in rows:
            answer = await _ask(program, row)

            assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing"), _named(row)


@pytest.mark.parametrize("sent", ["", "wrong"])
async def test_a_change_by_cookie_needs_the_csrf_token(signed_in: SignedIn, sent: str):
    signed_in.client.headers["X-CSRF-Token"] = sent
    for row in ASKED:
        if row.method != "GET":
            answer = await _ask(signed_in.client, row)

            assert (answer.status_code, answer.json()["code"]) == (403, "csrf_token_wrong"), _named(row)


async def test_another_accounts_integration_is_not_found(
    client: httpx2.AsyncClient, sessions: Sessions, keyring: Keyring
):
    async with sessions.begin() as session:
        stranger = await make_account(session, keyring, name="Somebody else")
        integration_id: UUID = (await make_integration(session, stranger.id)).id

    for row in ASKED:
        if "{integration_id}" in row.path:
            answer = await client.request(row.method, row.url.replace(ID, str(integration_id)), json=row.body)

            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), _named(row)


def test_the_description_names_security_and_problems_of_every_route():
    document = openapi_document()

    assert "Problem" in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert "application/problem+json" in operation["responses"]["default"]["content"], (method, path)
            assert operation["tags"], (method, path)
            ways = {name for way in operation.get("security", []) for name in way}
            assert ways == _ways_in(method.upper(), path), (method, path)


def _ways_in(method: str, path: str) -> set[str]:
    """Who the table says gets in; the tests above ask as each of them."""
    if (method, path) in PUBLIC:
        return set()
    [row] = [row for row in TABLE if (row.method, API_PREFIX + row.path.partition("?")[0]) == (method, path)]
    return {"session"} if row.person_only else {"session", "api_key"}
