"""A row of one account never names a row of another one: PostgreSQL refuses it, whichever process asks."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import ForeignKeyConstraint, Uuid, delete
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, OWNER, RELAY
from shared.crypto.envelope import Sealed
from shared.crypto.raw_mail import MailPublicKey
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn, new_id
from shared.keyring import Keyring
from shared.tables import (
    ApiKey,
    AuthorizationAttempt,
    Base,
    Conversation,
    ConversationMerge,
    ConversationOrder,
    ConversationThread,
    ForwardedMailbox,
    Integration,
    Invitation,
    KnownBrowser,
    MarketplaceParticipation,
    Message,
    MessageDigest,
    Note,
    Notice,
    NoticeSubscription,
    OidcAttempt,
    OidcPurpose,
    Order,
    OrderHint,
    OrderItem,
    OrderLookup,
    OrderPackage,
    OrderReport,
    OrderSnapshot,
    OrderSync,
    OutboundMessage,
    Passkey,
    PasswordReset,
    RecoveryCode,
    RelayAddress,
    ReplyDraft,
    ReplyTemplate,
    SavedView,
    SetupStep,
    SignInChallenge,
    SmtpConfiguration,
    User,
    UserSession,
    Webhook,
    WebhookDelivery,
)
from tests.conftest import Database, Keys
from tests.factories import (
    make_accepted_mail,
    make_account,
    make_attachment,
    make_conversation,
    make_grant,
    make_integration,
    make_message,
    make_order,
    make_relay_address,
    make_reply,
    make_reply_file,
    make_user,
)

NOW = datetime.now(UTC)
# Between two tables of accounts.
REFERENCES = sorted(
    (
        reference
        for table in Base.metadata.sorted_tables
        for reference in table.foreign_key_constraints
        if "account_id" in table.c and "account_id" in reference.referred_table.c
    ),
    key=lambda reference: str(reference.name),
)
# What tells that something happened holds ids of what may have been deleted since; ids of mail end with the partition of their month.
WITHOUT_A_REFERENCE = {
    ("audit_log", "actor_id"),
    ("audit_log", "subject_id"),
    ("conversations", "snippet_message_id"),
    ("idempotency_keys", "caller_id"),
    ("idempotency_keys", "row_id"),
    ("message_digests", "message_id"),
    ("messages", "accepted_mail_id"),
    ("oidc_attempts", "session_id"),
    ("order_hints", "order_row_id"),
    ("order_lookups", "order_row_id"),
    ("outbound_messages", "answers_message_id"),
    ("read_log", "account_id"),
    ("read_log", "part_id"),
    ("read_log", "reader_id"),
    ("read_log", "subject_id"),
    ("sign_in_challenges", "session_id"),
    ("webhook_deliveries", "event_id"),
}


MERGED_LISTS = (
    "message_ids",
    "placed_by",
    "target_message_ids",
    "source_threads",
    "target_threads",
    "note_ids",
    "reply_ids",
    "file_ids",
    "draft_ids",
    "merged_ids",
)


class Referred(NamedTuple):
    """A row of each table that others refer to."""

    user: User
    integration: Integration
    address: RelayAddress
    conversation: Conversation
    message: Message
    key: ApiKey
    webhook: Webhook
    reply: OutboundMessage
    order: Order


async def make_referred(session: AsyncSession, keyring: Keyring) -> Referred:
    """The rows of a new account."""
    account_id = (await make_account(session, keyring)).id
    user = await make_user(session, account_id)
    integration = await make_integration(session, account_id)
    address = await make_relay_address(session, integration)
    conversation = await make_conversation(session, keyring, integration)
    message = await make_message(session, keyring, conversation)
    key = ApiKey(
        id=new_id(),
        account_id=account_id,
        name="Helpdesk",
        hint="",
        secret_hash=account_id.bytes,
        general_admin="edit",
        inbox_messages="edit",
        created_by=user.id,
    )
    webhook = Webhook(
        id=new_id(),
        account_id=account_id,
        url="https://helpdesk.example/",
        kinds=["message.received"],
        secret=Sealed(b""),
        created_by=user.id,
        created_by_key=key.id,
    )
    for row in (key, webhook):
        session.add(row)
        await session.flush()
    reply = await make_reply(session, keyring, message, written_by=user.id)
    order = await make_order(session, keyring, integration)
    return Referred(user, integration, address, conversation, message, key, webhook, reply, order)


async def refer(session: AsyncSession, keyring: Keyring, mail_key: MailPublicKey, referred: Referred) -> None:
    """A row of each table that refers to these."""
    user, integration, address, conversation, message, _, webhook, reply, order = referred
    account_id = user.account_id
    integration.owner_id = conversation.assignee_id = user.id
    await make_grant(session, keyring, integration)
    await make_accepted_mail(session, address, mail_key)
    await make_conversation(session, keyring, integration, merged_into=conversation.id)
    await make_attachment(session, keyring, message)
    await make_reply_file(session, keyring, conversation, reply=reply, uploaded_by=user.id)
    session.add_all(
        [
            ReplyDraft(
                account_id=account_id, conversation_id=conversation.id, user_id=user.id, body_text=Sealed(b"")
            ),
            ReplyTemplate(
                account_id=account_id,
                name="Thanks",
                name_key="thanks",
                language="en",
                body_text="Thank you.",
                changed_by=user.id,
            ),
            Note(
                account_id=account_id,
                conversation_id=conversation.id,
                written_by=user.id,
                body_text=Sealed(b""),
            ),
            UserSession(account_id=account_id, user_id=user.id, token_hash=account_id.bytes, expires_at=NOW),
            Invitation(
                account_id=account_id,
                email=f"{account_id}@seller.example",
                language="en",
                general_admin="none",
                general_programs="none",
                inbox_messages="view",
                inbox_orders="none",
                invited_by=user.id,
                expires_at=NOW,
            ),
            KnownBrowser(account_id=account_id, user_id=user.id, token_hash=account_id.bytes, expires_at=NOW),
            Passkey(
                account_id=account_id,
                user_id=user.id,
                credential_id=account_id.bytes,
                public_key=b"",
                sign_count=0,
                transports=[],
                name="Telefon",
            ),
            RecoveryCode(account_id=account_id, user_id=user.id, code_hash=b""),
            SignInChallenge(
                account_id=account_id,
                user_id=user.id,
                purpose="second_step",
                token_hash=account_id.bytes,
                expires_at=NOW,
            ),
            OidcAttempt(
                account_id=account_id,
                user_id=user.id,
                purpose=OidcPurpose.SIGN_IN,
                state_hash=account_id.bytes,
                browser_hash=b"",
                nonce_hash=b"",
                verifier=Sealed(b""),
                return_to="/",
                expires_at=NOW,
            ),
            PasswordReset(account_id=account_id, user_id=user.id, expires_at=NOW),
            SavedView(account_id=account_id, user_id=user.id, name="Germany", filters={}),
            AuthorizationAttempt(
                account_id=account_id,
                user_id=user.id,
                state_hash=account_id.bytes,
                browser_hash=b"",
                country="DE",
                region="eu",
                expires_at=NOW,
                integration_id=integration.id,
                reconnects=integration.id,
            ),
            SetupStep(
                account_id=account_id,
                integration_id=integration.id,
                step="seller_profile",
                country="DE",
                done_by=user.id,
            ),
            ForwardedMailbox(
                account_id=account_id,
                integration_id=integration.id,
                address=Sealed(b""),
                address_key=b"",
                confirmed_by=user.id,
            ),
            SmtpConfiguration(
                account_id=account_id,
                integration_id=integration.id,
                host="smtp.seller.example",
                port=587,
                tls_mode="starttls",
                username="shop",
                password=Sealed(b""),
                sender_address="shop@seller.example",
            ),
            Notice(
                account_id=account_id,
                user_id=user.id,
                integration_id=integration.id,
                kind="lock_red",
                dedupe_key=str(account_id),
            ),
            ConversationThread(
                account_id=account_id,
                integration_id=integration.id,
                conversation_id=conversation.id,
                thread_key=b"thread",
            ),
            ConversationOrder(
                account_id=account_id, order_id="303-1234567-1234567", conversation_id=conversation.id
            ),
            ConversationMerge(
                account_id=account_id,
                source_id=conversation.id,
                target_id=conversation.id,
                merged_by=user.id,
                was_source_unread=True,
                **{column: [] for column in MERGED_LISTS},
                source_orders={},
                target_orders={},
                target_before={},
                target_after={},
            ),
            OrderItem(id=new_id(), account_id=account_id, order_row_id=order.id, item_id="1", position=0),
            OrderPackage(
                id=new_id(), account_id=account_id, order_row_id=order.id, reference="1", position=0
            ),
            OrderLookup(
                account_id=account_id,
                integration_id=integration.id,
                order_row_id=order.id,
                order_id=order.order_id,
                outcome="found",
                asked_at=NOW,
            ),
            OrderHint(
                account_id=account_id,
                integration_id=integration.id,
                order_row_id=order.id,
                order_id=order.order_id,
                told_at=NOW,
            ),
            NoticeSubscription(account_id=account_id, integration_id=integration.id, kind="ORDER_CHANGE"),
            OrderSync(account_id=account_id, integration_id=integration.id),
            OrderReport(
                account_id=account_id,
                integration_id=integration.id,
                report_type="GET_FLAT_FILE_ORDER_REPORT_DATA_SHIPPING",
            ),
            OrderSnapshot(
                account_id=account_id, message_id=message.id, order_id="303-1234567-1234567", fields={}
            ),
            MessageDigest(
                account_id=account_id, relay_address_id=address.id, digest=b"digest", message_id=message.id
            ),
            WebhookDelivery(
                account_id=account_id,
                webhook_id=webhook.id,
                event_id=new_id(),
                kind="message.received",
                ids={},
                event_at=NOW,
            ),
        ]
    )


@pytest.fixture
async def accounts(database: Database, keyring: Keyring, keys: Keys) -> tuple[UUID, UUID]:
    """One account with a row in every table, and another one to which these must not refer."""
    engine = create_engine(database.url(OWNER), application_name="tests-owner")
    async with create_sessions(engine).begin() as session:
        mine, theirs = await make_referred(session, keyring), await make_referred(session, keyring)
        await refer(session, keyring, keys.mail_public_key, mine)
        # So that what comes in their place would be alone there.
        theirs.address.retired_at = NOW
        await session.execute(
            delete(MarketplaceParticipation).where(
                MarketplaceParticipation.integration_id == theirs.integration.id
            )
        )
    await engine.dispose()
    return mine.user.account_id, theirs.user.account_id


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: str(reference.name))
def test_a_reference_names_the_account(reference: ForeignKeyConstraint):
    assert [column.name for column in reference.columns][1:] == ["account_id"]
    assert [element.column.name for element in reference.elements] == ["id", "account_id"]


def test_an_id_without_a_reference_is_listed():
    """`…_id` that refers to nothing may name anything: no new one comes in unseen."""
    unbound = {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        if "account_id" in table.c
        for column in table.c
        if column.name.endswith("_id") and isinstance(column.type, Uuid) and not column.foreign_keys
    }

    assert unbound == WITHOUT_A_REFERENCE


async def test_no_row_can_be_made_to_name_one_of_another_account(
    database: Database, accounts: tuple[UUID, UUID]
):
    """Not even by the owner of the tables."""
    mine, theirs = accounts
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    for reference in REFERENCES:
        child, parent = str(reference.table.name), str(reference.referred_table.name)
        column = reference.columns[0].name
        rows = f"FROM {child} WHERE account_id = $1 AND {column} IS NOT NULL"
        assert await connection.fetchval(f"SELECT count(*) {rows}", mine), (child, column)

        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(
                f"UPDATE {child} SET {column} = (SELECT id FROM {parent} WHERE account_id = $2 LIMIT 1)"
                f" WHERE account_id = $1 AND {column} IS NOT NULL",
                mine,
                theirs,
            )
    await connection.close()


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (
            RELAY,
            (
                "INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id,"
                " content_key, envelope, raw) SELECT uuidv7(), $1, id, '', '192.0.2.1', 1, '', '', '', ''"
                " FROM relay_addresses WHERE account_id = $2"
            ),
        ),
        (
            MAIL_WORKER,
            (
                "INSERT INTO conversations (id, account_id, integration_id, last_message_at)"
                " SELECT uuidv7(), $1, id, now() FROM integrations WHERE account_id = $2"
            ),
        ),
        (
            MAIL_WORKER,
            (
                "INSERT INTO messages (id, account_id, integration_id, conversation_id, accepted_mail_id, raw_key, kind,"
                " from_amazon_domain, truncated, received_at, body_text, size, attachment_count)"
                " SELECT uuidv7(), $1, (SELECT id FROM integrations WHERE account_id = $1), id, uuidv7(), '', 'buyer_message',"
                " true, false, now(), '', 1, 0 FROM conversations WHERE account_id = $2"
            ),
        ),
        (
            MAIL_WORKER,
            (
                "INSERT INTO attachments (id, account_id, message_id, position, filename, content_type, size, content)"
                " SELECT uuidv7(), $1, id, 1, '', 'image/png', 1, '' FROM messages WHERE account_id = $2"
            ),
        ),
        (MAIL_WORKER, "UPDATE messages SET account_id = $1 WHERE account_id = $2"),
        (MAIL_WORKER, "UPDATE conversations SET account_id = $1 WHERE account_id = $2"),
        (
            CONNECTOR,
            (
                "INSERT INTO relay_addresses (id, account_id, integration_id, local_part)"
                " SELECT uuidv7(), $1, id, 'stolenone' FROM integrations WHERE account_id = $2"
            ),
        ),
        (
            CONNECTOR,
            (
                "INSERT INTO sessions (id, account_id, user_id, token_hash, expires_at)"
                " SELECT uuidv7(), $1, id, 'x', now() FROM users WHERE account_id = $2"
            ),
        ),
        (
            CONNECTOR,
            (
                "UPDATE messages SET conversation_id = (SELECT id FROM conversations WHERE account_id = $1 LIMIT 1)"
                " WHERE account_id = $2"
            ),
        ),
    ],
)
async def test_no_process_can_write_such_a_row(
    database: Database, accounts: tuple[UUID, UUID], role: str, statement: str
):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(role)))

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(statement, *accounts)
    await connection.close()
