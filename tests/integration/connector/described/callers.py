"""Accounts in which there is something to find, one for each kind of caller, so that none takes it from another."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.credentials import hash_secret, new_api_key, new_session_token
from services.connector.accounts.session_lifetime import USUAL
from services.connector.orders.snapshots import take_snapshots
from shared.crypto.raw_mail import MailPublicKey
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import Account, ApiKey, User, UserSession
from tests.factories import (
    make_accepted_mail,
    make_account,
    make_attachment,
    make_conversation,
    make_conversation_order,
    make_grant,
    make_integration,
    make_message,
    make_order,
    make_order_item,
    make_order_package,
    make_relay_address,
    make_reply,
    make_reply_file,
    make_user,
)

# Some of them are disconnected on the way.
_STORES: Final = 5


class Kind(StrEnum):
    NOBODY = "nobody"
    ADMIN = "an admin who is signed in"
    AGENT = "an agent who is signed in"
    EDIT_KEY = "an API key that may edit"
    VIEW_KEY = "an API key that may view"


_LEVELS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.NOBODY: ("edit", "edit"),
    Kind.ADMIN: ("edit", "edit"),
    Kind.AGENT: ("none", "view"),
    Kind.EDIT_KEY: ("edit", "edit"),
    Kind.VIEW_KEY: ("view", "view"),
}


@dataclass(frozen=True)
class Caller:
    """How he shows who he is, by the names of the description, and by parameter the ids of what he could find."""

    session: str | None
    api_key: str | None
    ids: Mapping[str, list[UUID]]

    @property
    def is_nobody(self) -> bool:
        return self.session is None and self.api_key is None

    def replaced_by(self, other: "Caller") -> dict[str, str]:
        """What stands for this one in a request, with what stands for the other one; but for headers that all requests have."""
        pairs: dict[str, str] = {}
        if self.session is not None and other.session is not None:
            pairs[self.session] = other.session
        if self.api_key is not None and other.api_key is not None:
            pairs[f"Bearer {self.api_key}"] = f"Bearer {other.api_key}"
        for name, ids in self.ids.items():
            pairs |= {str(mine): str(his) for mine, his in zip(ids, other.ids[name], strict=True)}
        return pairs


async def make_caller(session: AsyncSession, keyring: Keyring, mail_key: MailPublicKey, kind: Kind) -> Caller:
    """A new account with a caller of this kind. Needs the owner's rights."""
    account = await make_account(session, keyring)
    general_admin, inbox_messages = _LEVELS[kind]
    user = await make_user(
        session,
        account.id,
        general_admin=general_admin,
        general_programs=general_admin,
        inbox_messages=inbox_messages,
    )
    ids = await _fill(session, keyring, mail_key, account)
    match kind:
        case Kind.NOBODY:
            return Caller(None, None, ids)
        case Kind.ADMIN | Kind.AGENT:
            token, session_id = _sign_in(session, user)
            return Caller(token, None, ids | {"session_id": [session_id], "user_id": [user.id]})
        case Kind.EDIT_KEY | Kind.VIEW_KEY:
            return Caller(None, _make_key(session, user), ids)


def _sign_in(session: AsyncSession, user: User) -> tuple[str, UUID]:
    token, session_id, now = new_session_token(), new_id(), datetime.now(UTC)
    session.add(
        UserSession(
            id=session_id,
            account_id=user.account_id,
            user_id=user.id,
            token_hash=hash_secret(token),
            created_at=now,
            last_seen_at=now,
            expires_at=now + USUAL.idle,
            authenticated_at=now,
        )
    )
    return token, session_id


def _make_key(session: AsyncSession, user: User) -> str:
    key = new_api_key()
    session.add(
        ApiKey(
            account_id=user.account_id,
            name="Helpdesk",
            hint=key[-4:],
            secret_hash=hash_secret(key),
            general_admin=user.general_admin,
            general_programs=user.general_programs,
            inbox_messages=user.inbox_messages,
            inbox_orders=user.inbox_orders,
            inbox_replies=user.inbox_messages,
            created_by=user.id,
        )
    )
    return key


async def _fill(
    session: AsyncSession, keyring: Keyring, mail_key: MailPublicKey, account: Account
) -> dict[str, list[UUID]]:
    stores = [await make_integration(session, account.id, name=f"Amazon {n}") for n in range(_STORES)]
    for store in stores:
        await make_grant(session, keyring, store)
    conversation = await make_conversation(session, keyring, stores[0])
    address = await make_relay_address(session, stores[0])
    _, key = await make_accepted_mail(session, address, mail_key, state="delivered")
    message = await make_message(session, keyring, conversation, content_key=key)
    attachment = await make_attachment(session, keyring, message)
    asked = await make_message(session, keyring, conversation, authenticity="authentic")
    reply = await make_reply(session, keyring, asked, state="failed", failure="unknown")
    file = await make_reply_file(session, keyring, conversation, reply=reply)
    order = await make_order(
        session,
        keyring,
        stores[0],
        order_id=conversation.order_id,
        total=Decimal("49.90"),
        fetched_at=datetime.now(UTC),
    )
    await make_order_item(session, keyring, order, gift_message="Alles Gute!")
    await make_order_package(session, order, contents={"1": "1"})
    await make_conversation_order(session, conversation, order.order_id)
    await take_snapshots(session, account.id, conversation.id, now=datetime.now(UTC))
    return {
        "integration_id": [store.id for store in stores],
        "conversation_id": [conversation.id],
        "message_id": [message.id],
        "attachment_id": [attachment.id],
        "reply_id": [reply.id],
        "file_id": [file.id],
        "order_row_id": [order.id],
    }
