"""A store with orders and conversations in which everything personal is a canary, and the look for these wherever anything is stored."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from services.connector.orders.model import Address, Buyer, OrderItemRecord
from services.connector.orders.personal import buyer_key, seal_buyer, seal_customization, seal_recipient
from services.connector.privacy.over import Ending
from services.connector.privacy.purge_service import purge
from shared.blobs import FolderBlobs
from shared.database import Sessions
from shared.keyring import Keyring
from shared.orders import order_row_id
from shared.tables import Account, Conversation, Integration, Message, Order, RelayAddress
from tests.conftest import Keys
from tests.factories import (
    keys_within,
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
    make_relay_address,
    make_reply,
    make_reply_file,
)

DAY: Final = timedelta(days=1)
CANARY: Final = "canary"


@dataclass(frozen=True)
class Shop:
    """A connected store. What it stores of buyers begins with `canary` and their name."""

    sessions: Sessions
    owner_sessions: Sessions
    keyring: Keyring
    keys: Keys
    blobs: FolderBlobs
    account: Account
    integration: Integration
    address: RelayAddress
    blob_url: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def order(self, buyer: str = "erika", order_id: str | None = None, **columns: Any) -> Order:
        """An order with everything that may be personal in one."""
        async with self.owner_sessions.begin() as session:
            keys = await keys_within(session, self.keyring, self.account.id)
            order_id = order_id or f"303-{abs(hash(buyer)) % 10**7:07}-1234567"
            row_id = order_row_id(self.integration.id, order_id)
            who = Buyer(name=f"{CANARY} {buyer} name", email=address_of(buyer))
            where = Address(
                name=f"{CANARY} {buyer} name",
                lines=(f"{CANARY} {buyer} street",),
                phone=f"{CANARY} {buyer} phone",
            )
            order = await make_order(
                session,
                self.keyring,
                self.integration,
                order_id=order_id,
                **{
                    "buyer": seal_buyer(keys, row_id, who),
                    "buyer_key": buyer_key(keys, who),
                    "recipient": seal_recipient(keys, row_id, where),
                    "personal_ends_at": self.now + 30 * DAY,
                    "fetched_at": self.now,
                }
                | columns,
            )
            item = await make_order_item(
                session,
                self.keyring,
                order,
                gift_message=f"{CANARY} {buyer} gift",
                report_personal={"buyer-phone-number": f"{CANARY} {buyer} phone"},
            )
            told = OrderItemRecord(item.item_id, customized_url=f"https://{CANARY}.{buyer}.example")
            item.customization = seal_customization(keys, item.id, told)
            return order

    async def conversation(
        self, buyer: str = "erika", *order_ids: str, at: datetime | None = None, **columns: Any
    ) -> Conversation:
        async with self.owner_sessions.begin() as session:
            keys = await keys_within(session, self.keyring, self.account.id)
            conversation = await make_conversation(
                session,
                self.keyring,
                self.integration,
                buyer_name=f"{CANARY} {buyer} name",
                subject=f"{CANARY} {buyer} subject",
                order_id=next(iter(order_ids), None),
                last_message_at=at or self.now,
                **{"buyer_key": keys.lookup_hash("buyer", address_of(buyer))} | columns,
            )
            for order_id in order_ids:
                await make_conversation_order(session, conversation, order_id)
            return conversation

    async def message(
        self, conversation: Conversation, buyer: str = "erika", at: datetime | None = None, **columns: Any
    ) -> Message:
        """A message with its raw mail, an attachment in a blob, and a reply with a file in one."""
        async with self.owner_sessions.begin() as session:
            mail, content_key = await make_accepted_mail(
                session,
                self.address,
                self.keys.mail_public_key,
                raw=f"From: {CANARY} {buyer}\r\n\r\nx".encode(),
                state="delivered",
            )
            mail.accepted_at = at or self.now
            message = await make_message(
                session,
                self.keyring,
                conversation,
                text=f"{CANARY} {buyer} words",
                snippet=f"{CANARY} {buyer} words",
                subject=f"{CANARY} {buyer} subject",
                sender_name=f"{CANARY} {buyer} name",
                sender_address=address_of(buyer),
                content_key=content_key,
                **columns,
            )
            message.received_at = at or self.now
            attachment = await make_attachment(
                session, self.keyring, message, filename=f"{CANARY}.jpg", content=f"{CANARY} file".encode()
            )
            blob = await self.blobs.put(attachment.id, f"{CANARY} sealed".encode())
            attachment.content, attachment.blob_key, attachment.blob_digest = None, blob.key, blob.digest
            return message

    async def reply(self, message: Message, buyer: str = "erika", **columns: Any) -> UUID:
        async with self.owner_sessions.begin() as session:
            conversation = await session.get_one(Conversation, message.conversation_id)
            reply = await make_reply(
                session,
                self.keyring,
                message,
                text=f"Dear {CANARY} {buyer}",
                **{"state": "confirmed"} | columns,
            )
            file = await make_reply_file(session, self.keyring, conversation, reply=reply)
            blob = await self.blobs.put(file.id, f"{CANARY} sealed".encode())
            file.content, file.blob_key, file.blob_digest = None, blob.key, blob.digest
            return reply.id

    async def purge(self, after: timedelta, **options: Any) -> Mapping[Ending, int]:
        """With the connector's rights, so long after now."""
        options = {"messages_end_with_orders": False} | options
        return await purge(self.sessions, self.blobs, self.now + after, **options)

    async def blob_count(self) -> int:
        days = await self.blobs.days()
        return sum([len(await self.blobs.list_day(day, after="", limit=1_000_000)) for day in days])


def address_of(buyer: str) -> str:
    return f"{CANARY}{buyer}0abc@marketplace.amazon.de"


@pytest.fixture
async def shop(
    sessions: Sessions, owner_sessions: Sessions, keyring: Keyring, keys: Keys, tmp_path: Path
) -> Shop:
    return await make_shop(sessions, owner_sessions, keyring, keys, tmp_path)


async def make_shop(
    sessions: Sessions, owner_sessions: Sessions, keyring: Keyring, keys: Keys, folder: Path
) -> Shop:
    """A store of an account of its own."""
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
        await make_grant(session, keyring, integration)
        address = await make_relay_address(session, integration)
    return Shop(
        sessions,
        owner_sessions,
        keyring,
        keys,
        FolderBlobs(folder / "blobs"),
        account,
        integration,
        address,
        (folder / "blobs").as_uri(),
    )


def only(ended: Mapping[Ending, int], endings: Collection[Ending]) -> dict[Ending, int]:
    """What ended, of these."""
    return {ending: count for ending, count in ended.items() if ending in endings}
