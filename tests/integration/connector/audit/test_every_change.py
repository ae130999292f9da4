"""Every route that changes something leaves an entry in the audit log; a new route without one fails here."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import AuditEntry, Integration
from tests.factories import make_conversation, make_message, make_reply
from tests.integration.connector.conftest import PASSWORD, SignedIn
from tests.integration.connector.connecting import connect_named
from tests.integration.connector.test_permissions import TABLE

INTEGRATION = "/integrations/{integration_id}"
WEBHOOK = "/webhooks/{webhook_id}"
CONVERSATION = "/conversations/{conversation_id}"
# Names the version that was read.
WRITE = ("POST", f"{CONVERSATION}/replies")

# Each leaves its entry in tests/integration/connector/users/test_users.py.
OF_PEOPLE = [
    ("PATCH", "/users/{user_id}"),
    ("POST", "/users/{user_id}/disable"),
    ("POST", "/users/{user_id}/enable"),
    ("DELETE", "/users/{user_id}?programs=end"),
    ("POST", "/invitations"),
    ("POST", "/invitations/{invitation_id}/send"),
    ("DELETE", "/invitations/{invitation_id}"),
]
# Each leaves its entry in tests/integration/connector/second_factors/ (test_entries.py, test_setting_up.py).
OF_SIGNING_IN = [
    ("PUT", "/me/authenticator"),
    ("POST", "/me/passkeys"),
    ("PATCH", "/me/passkeys/{passkey_id}"),
    ("POST", "/me/recovery-codes"),
    ("DELETE", "/me/passkeys/{passkey_id}"),
    ("DELETE", "/me/authenticator"),
    ("DELETE", "/users/{user_id}/second-factor"),
    ("DELETE", "/sessions/{session_id}"),
    ("DELETE", "/sessions"),
]
# Each leaves its entry in tests/integration/connector/single_sign_on/test_settings.py.
OF_SINGLE_SIGN_ON = [
    ("PUT", "/account/single-sign-on"),
    ("POST", "/account/single-sign-on/domains"),
    ("POST", "/account/single-sign-on/domains/{domain_id}/proof"),
    ("DELETE", "/account/single-sign-on/domains/{domain_id}"),
    ("DELETE", "/account/single-sign-on"),
    ("DELETE", "/users/{user_id}/single-sign-on"),
]
# Ends everything else; its entry is in tests/integration/connector/account_closing/test_closing.py.
CLOSING = ("POST", "/account/closure")
# A first step, which changes nothing before the second.
ASKED_FOR = {
    ("POST", "/sessions/current/confirm/single-sign-on"),
    ("POST", "/me/authenticator"),
    ("POST", "/me/passkeys/options"),
    ("POST", "/sessions/current/confirm/passkey-options"),
}
# In the test of stores without Amazon's API below.
WITHOUT_API = [("POST", "/integrations"), ("PUT", f"{INTEGRATION}/countries")]
# In an order in which each finds what it changes.
MERGE = ("POST", f"{CONVERSATION}/merge")
UNDO = ("POST", f"{CONVERSATION}/merges/{{merge_id}}/undo")
WALK = [
    ("PATCH", "/me"),
    ("POST", "/sessions/current/confirm"),
    ("PUT", "/me/password"),
    ("PATCH", "/account/security"),
    ("PATCH", "/account"),
    ("PATCH", "/account/retention"),
    ("POST", "/api-keys"),
    ("DELETE", "/api-keys/{api_key_id}"),
    ("POST", "/authorizations"),
    ("POST", "/authorization-links"),
    ("PATCH", INTEGRATION),
    ("PUT", f"{INTEGRATION}/setup-steps/{{step}}/{{country}}"),
    ("PUT", f"{INTEGRATION}/smtp-configuration"),
    ("POST", f"{INTEGRATION}/smtp-configuration/test"),
    ("DELETE", f"{INTEGRATION}/smtp-configuration"),
    ("POST", f"{INTEGRATION}/forwarded-mailboxes"),
    ("DELETE", f"{INTEGRATION}/forwarded-mailboxes/{{mailbox_id}}"),
    ("POST", f"{CONVERSATION}/no-answer-needed"),
    ("POST", f"{CONVERSATION}/notes"),
    ("DELETE", "/notes/{note_id}"),
    ("POST", "/reply-templates"),
    ("PATCH", "/reply-templates/{template_id}"),
    ("DELETE", "/reply-templates/{template_id}"),
    WRITE,
    ("POST", "/replies/{reply_id}/cancel"),
    ("POST", "/replies/{reply_id}/send-now"),
    ("POST", "/replies/{reply_id}/send-again"),
    ("POST", "/replies/{reply_id}/dismiss"),
    ("PATCH", CONVERSATION),
    ("POST", "/conversations/changes"),
    ("POST", "/conversations/changes/{change_id}/undo"),
    ("POST", "/tags"),
    ("PATCH", "/tags/{tag_id}"),
    ("DELETE", "/tags/{tag_id}"),
    ("PUT", "/muted-kinds/{kind}"),
    ("DELETE", "/muted-kinds/{kind}"),
    ("POST", f"{CONVERSATION}/split"),
    MERGE,
    UNDO,
    ("POST", "/messages/{message_id}/release"),
    ("DELETE", INTEGRATION),
    ("POST", f"{INTEGRATION}/restoration"),
    ("POST", "/webhooks"),
    ("PATCH", WEBHOOK),
    ("POST", f"{WEBHOOK}/secret"),
    ("POST", f"{WEBHOOK}/ping"),
    ("POST", f"{WEBHOOK}/deliveries/{{delivery_id}}/resend"),
    ("POST", f"{WEBHOOK}/deliveries/resend"),
    ("DELETE", WEBHOOK),
    ("DELETE", "/sessions/current"),
]
# Changes nothing: a POST because what is looked for has no place in an address.
SEARCHES = {("POST", "/conversations/search"), ("POST", "/orders/search")}
CHECK = ("POST", f"{CONVERSATION}/replies/check")
# Asks a provider what it says of itself.
TEST = ("POST", "/account/single-sign-on/test")
# What somebody has begun to write is nobody else's matter until it is sent.
BEGUN = {
    ("PUT", f"{CONVERSATION}/draft"),
    ("DELETE", f"{CONVERSATION}/draft"),
    ("PUT", f"{CONVERSATION}/typing"),
    ("POST", f"{CONVERSATION}/files?filename=a.txt"),
    ("DELETE", "/files/{file_id}"),
}
# How somebody looks at the list is nobody else's matter.
OWN = {("POST", "/saved-views"), ("PATCH", "/saved-views/{view_id}"), ("DELETE", "/saved-views/{view_id}")}
# The state in which a reply must be for each of these.
REPLY_IN = {
    ("POST", "/replies/{reply_id}/send-now"): "scheduled",
    ("POST", "/replies/{reply_id}/send-again"): "failed",
    ("POST", "/replies/{reply_id}/dismiss"): "perhaps_sent",
}
# What a later step names is what an earlier one has answered.
ANSWERS_ID = {
    ("POST", "/api-keys"): "api_key_id",
    ("POST", "/webhooks"): "webhook_id",
    ("POST", "/conversations/changes"): "change_id",
    ("POST", "/tags"): "tag_id",
    ("POST", f"{INTEGRATION}/forwarded-mailboxes"): "mailbox_id",
    ("POST", f"{WEBHOOK}/ping"): "delivery_id",
    ("POST", f"{CONVERSATION}/notes"): "note_id",
    ("POST", "/reply-templates"): "template_id",
    WRITE: "reply_id",
}


async def count(sessions: Sessions, account_id: UUID) -> int:
    async with sessions.begin() as session:
        statement = select(func.count()).select_from(AuditEntry).where(AuditEntry.account_id == account_id)
        return (await session.execute(statement)).scalar_one()


async def _mail(owner_sessions: Sessions, keyring: Keyring, integration_id: UUID) -> dict[str, str]:
    """A conversation that waits for an answer, another one, and a message in quarantine, as the mail worker writes them."""
    async with owner_sessions.begin() as session:
        integration = await session.get_one(Integration, integration_id)
        due_at = datetime.now(UTC) + timedelta(hours=3)
        conversation = await make_conversation(session, keyring, integration, answer_due_at=due_at)
        asked = await make_message(
            session, keyring, conversation, answer_due_at=due_at, authenticity="authentic"
        )
        replies = {
            state: await make_reply(
                session, keyring, asked, state=state, failure="unknown" if state == "failed" else None
            )
            for state in REPLY_IN.values()
        }
        split_off = await make_message(session, keyring, conversation)
        other = await make_conversation(session, keyring, integration)
        await make_message(session, keyring, other)
        quarantine = await make_conversation(session, keyring, integration, status="quarantine")
        forged = await make_message(session, keyring, quarantine)
    return {
        "conversation_id": str(conversation.id),
        "split_off": str(split_off.id),
        "other": str(other.id),
        "message_id": str(forged.id),
        **{state: str(reply.id) for state, reply in replies.items()},
    }


async def test_every_change_leaves_an_entry(
    *,
    signed_in: SignedIn,
    sign_in_as: Callable[..., Awaitable[SignedIn]],
    sessions: Sessions,
    owner_sessions: Sessions,
    keyring: Keyring,
):
    """# S: audit row in the same transaction as the change"""
    bodies = {(row.method, row.path): row.body for row in TABLE if row.method != "GET"}
    elsewhere = {*OF_PEOPLE, *OF_SIGNING_IN, *OF_SINGLE_SIGN_ON, *ASKED_FOR, *WITHOUT_API, *OWN, CLOSING}
    assert {*WALK, *SEARCHES, CHECK, TEST, *BEGUN, *elsewhere} == set(bodies)

    integration_id = await connect_named(signed_in)
    ids = {
        "kind": "order_notice",
        "step": "seller_profile",
        "country": "DE",
        "integration_id": integration_id,
    }
    ids |= await _mail(owner_sessions, keyring, UUID(integration_id))
    bodies["POST", "/conversations/changes"] = {
        "conversation_ids": [ids["other"]],
        "change": {"status": "closed"},
    }
    bodies["POST", f"{CONVERSATION}/split"] = {"message_ids": [ids["split_off"]]}
    bodies[MERGE] = {"into": ids["other"]}
    for step in WALK:
        before = await count(sessions, signed_in.account.id)

        method, path = step
        named = ids | ({"reply_id": ids[REPLY_IN[step]]} if step in REPLY_IN else {})
        if step == UNDO:
            named["conversation_id"] = ids["other"]
        headers = {}
        if step == WRITE:
            read = await signed_in.client.get("/api/v1" + CONVERSATION.format(**ids))
            headers["If-Match"] = read.headers["ETag"]
        answer = await signed_in.client.request(
            method, "/api/v1" + path.format(**named), json=bodies[step], headers=headers
        )

        assert answer.status_code < 300, (step, answer.text)
        assert await count(sessions, signed_in.account.id) == before + 1, step
        if step in ANSWERS_ID:
            ids[ANSWERS_ID[step]] = answer.json()["id"]
        if step == MERGE:
            ids["merge_id"] = answer.json()["undoable_merge_id"]

    someone = await sign_in_as()
    before = await count(sessions, someone.account.id)
    await someone.client.post("/api/v1/sessions", json={"email": someone.user.email, "password": PASSWORD})
    # The session that it replaces has ended, too.
    assert await count(sessions, someone.account.id) == before + 2


async def test_every_change_of_a_store_without_amazons_api_leaves_an_entry(
    signed_in: SignedIn, sessions: Sessions
):
    before = await count(sessions, signed_in.account.id)

    added = await signed_in.client.post("/api/v1/integrations", json={"name": "Amazon", "country": "DE"})
    assert added.status_code == 201, added.text
    assert await count(sessions, signed_in.account.id) == before + 1

    changed = await signed_in.client.put(
        f"/api/v1/integrations/{added.json()['id']}/countries", json={"countries": ["DE", "FR"]}
    )
    assert changed.status_code < 300, changed.text
    assert await count(sessions, signed_in.account.id) == before + 2
