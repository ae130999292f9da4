"""One function per table: rows with sensible defaults, so that a test names only what it is about."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.orders import personal
from services.connector.orders.model import OrderItemRecord
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.crypto.raw_mail import ContentKey, MailPublicKey, seal_together
from shared.driver import new_id
from shared.keyring import Keyring, wrapped_keys
from shared.marketplaces import BY_COUNTRY
from shared.orders import item_row_id, order_row_id, package_row_id
from shared.tables import (
    AcceptedMail,
    Account,
    Attachment,
    Conversation,
    ConversationOrder,
    Grant,
    Integration,
    MarketplaceParticipation,
    Message,
    Order,
    OrderItem,
    OrderPackage,
    OutboundMessage,
    RelayAddress,
    ReplyFile,
    User,
)

_numbers = count(1)


async def make_account(session: AsyncSession, keyring: Keyring, *, name: str = "Lampenladen GmbH") -> Account:
    # What is signed in without a second factor can be used: most tests are about something else.
    account = Account(
        id=new_id(), name=name, second_factor="optional", admin_session_hours=168, admin_idle_minutes=720
    )
    session.add(account)
    await session.flush()
    await keyring.add(session, await keyring.new_keys(account.id))
    return account


async def keys_within(session: AsyncSession, keyring: Keyring, account_id: UUID) -> AccountKeys:
    """The keys of an account that this transaction may just have made."""
    return await keyring.open(account_id, await wrapped_keys(session, account_id))


async def make_user(
    session: AsyncSession,
    account_id: UUID,
    *,
    email: str | None = None,
    password_hash: str | None = "!",
    general_admin: str = "edit",
    general_programs: str | None = None,
    inbox_messages: str = "edit",
    inbox_orders: str | None = None,
    language: str = "de",
) -> User:
    """By default, who may edit general.admin may edit webhooks and keys, and who may read the inbox may see orders."""
    user = User(
        id=new_id(),
        account_id=account_id,
        email=email or f"user{next(_numbers)}@seller.example",
        password_hash=password_hash,
        name="Test User",
        language=language,
        time_zone="Europe/Berlin",
        general_admin=general_admin,
        general_programs=general_programs or general_admin,
        inbox_messages=inbox_messages,
        inbox_orders=inbox_orders or ("none" if inbox_messages == "none" else "view"),
    )
    session.add(user)
    await session.flush()
    return user


async def make_integration(
    session: AsyncSession,
    account_id: UUID,
    *,
    name: str | None = "Amazon Europa",
    region: str = "eu",
    home_country: str = "DE",
    seller_id: str | None = None,
    lock: str = "pending",
    countries: tuple[str, ...] = ("DE", "FR", "IT"),
) -> Integration:
    integration = Integration(
        id=new_id(),
        account_id=account_id,
        name=name,
        name_key=name.casefold() if name else None,
        region=region,
        home_country=home_country,
        seller_id=seller_id or f"A{next(_numbers):013d}",
        store_name="Lampenladen",
        lock=lock,
    )
    session.add(integration)
    await session.flush()
    session.add_all(
        MarketplaceParticipation(
            integration_id=integration.id,
            marketplace_id=BY_COUNTRY[country].marketplace_id,
            account_id=account_id,
            country=country,
            is_participating=True,
            has_suspended_listings=False,
        )
        for country in countries
    )
    await session.flush()
    return integration


async def make_grant(
    session: AsyncSession, keyring: Keyring, integration: Integration, *, refresh_token: str = "Atzr|refresh"
) -> Grant:
    account_keys = await keys_within(session, keyring, integration.account_id)
    grant_id = new_id()
    grant = Grant(
        id=grant_id,
        account_id=integration.account_id,
        integration_id=integration.id,
        region=integration.region,
        seller_id=integration.seller_id,
        refresh_token=account_keys.seal_text(Place("grants", "refresh_token", grant_id), refresh_token),
        consented_at=datetime.now(UTC) - timedelta(days=1),
    )
    session.add(grant)
    await session.flush()
    return grant


async def make_relay_address(
    session: AsyncSession, integration: Integration, *, local_part: str | None = None
) -> RelayAddress:
    address = RelayAddress(
        id=new_id(),
        account_id=integration.account_id,
        integration_id=integration.id,
        local_part=local_part or f"mabtek{next(_numbers):03d}",
    )
    session.add(address)
    await session.flush()
    return address


async def make_accepted_mail(
    session: AsyncSession,
    address: RelayAddress,
    mail_key: MailPublicKey,
    *,
    raw: bytes = b"Subject: Frage\r\n\r\nGuten Tag\r\n",
    state: str = "accepted",
) -> tuple[AcceptedMail, ContentKey]:
    """Sealed as the relay seals it; the content key lets a test play the worker. Needs the owner's rights."""
    mail_id = new_id()
    key = ContentKey.new(address.account_id, mail_id)
    envelope = {
        "mail_from": "a@marketplace.amazon.de",
        "rcpt_to": f"{address.local_part}@replyco.email",
        "helo": "x",
        "options": [],
    }
    mail = AcceptedMail(
        id=mail_id,
        account_id=address.account_id,
        relay_address_id=address.id,
        session_id="test",
        peer_address="192.0.2.1",
        size=len(raw),
        mail_key_id=mail_key.key_id,
        content_key=seal_together([key], mail_key)[0],
        envelope=key.seal("envelope", json.dumps(envelope).encode()),
        raw=key.seal("raw", raw),
        state=state,
    )
    session.add(mail)
    await session.flush()
    return mail, key


async def make_conversation(
    session: AsyncSession,
    keyring: Keyring,
    integration: Integration,
    *,
    buyer_name: str | None = "Erika Beispiel",
    subject: str | None = "Frage zur Lampe",
    order_id: str | None = "303-1234567-1234567",
    last_message_at: datetime | None = None,
    **columns: Any,
) -> Conversation:
    """`columns` are those that are stored as they are, such as `status`."""
    keys = await keys_within(session, keyring, integration.account_id)
    conversation_id = new_id()

    def sealed(column: str, text: str | None) -> Sealed | None:
        return None if text is None else keys.seal_text(Place("conversations", column, conversation_id), text)

    conversation = Conversation(
        id=conversation_id,
        account_id=integration.account_id,
        integration_id=integration.id,
        order_id=order_id,
        buyer_name=sealed("buyer_name", buyer_name),
        subject=sealed("subject", subject),
        last_message_at=last_message_at or datetime.now(UTC),
        **{"message_count": 1, "kind": "buyer_message", "country": "DE"} | columns,
    )
    session.add(conversation)
    await session.flush()
    return conversation


async def make_message(
    session: AsyncSession,
    keyring: Keyring,
    conversation: Conversation,
    *,
    text: str = "Guten Tag, wann kommt meine Lampe?",
    snippet: str | None = None,
    html: str | None = None,
    subject: str | None = "Frage zur Lampe",
    sender_name: str | None = "Erika Beispiel",
    sender_address: str | None = "k3x9example0abc@marketplace.amazon.de",
    kind: str = "buyer_message",
    content_key: ContentKey | None = None,
    verification_code: str | None = None,
    quoted_text: str | None = None,
    authentication_results: str | None = None,
    received_at: datetime | None = None,
    **columns: Any,
) -> Message:
    """Needs the owner's rights. `content_key` ties it to an accepted mail; else it is tied to none that exists.

    `columns` are those that are stored as they are, such as `answer_due_at`.
    """
    keys = await keys_within(session, keyring, conversation.account_id)
    message_id = new_id()
    content_key = content_key or ContentKey.new(conversation.account_id, new_id())

    def sealed(column: str, value: str | None) -> Sealed | None:
        return None if value is None else keys.seal_text(Place("messages", column, message_id), value)

    message = Message(
        id=message_id,
        account_id=conversation.account_id,
        integration_id=conversation.integration_id,
        conversation_id=conversation.id,
        accepted_mail_id=content_key.accepted_mail_id,
        raw_key=keys.seal(Place("messages", "raw_key", message_id), content_key.key),
        kind=kind,
        from_amazon_domain=True,
        truncated=False,
        received_at=received_at or datetime.now(UTC),
        subject=sealed("subject", subject),
        sender_name=sealed("sender_name", sender_name),
        sender_address=sealed("sender_address", sender_address),
        body_text=keys.seal_text(Place("messages", "body_text", message_id), text),
        snippet=sealed("snippet", snippet),
        body_html=sealed("body_html", html),
        verification_code=sealed("verification_code", verification_code),
        quoted_text=sealed("quoted_text", quoted_text),
        authentication_results=sealed("authentication_results", authentication_results),
        size=1000,
        attachment_count=0,
        **columns,
    )
    session.add(message)
    await session.flush()
    return message


async def make_attachment(
    session: AsyncSession,
    keyring: Keyring,
    message: Message,
    *,
    filename: str = "lampe.jpg",
    content_type: str = "image/jpeg",
    content: bytes = b"\xff\xd8\xff\xe0 not much of a lamp",
    position: int = 0,
    sniffed_type: str | None = "image/jpeg",
    content_id: str | None = None,
    scan: str | None = None,
    size: int | None = None,
) -> Attachment:
    """Needs the owner's rights."""
    keys = await keys_within(session, keyring, message.account_id)
    attachment_id = new_id()
    attachment = Attachment(
        id=attachment_id,
        account_id=message.account_id,
        message_id=message.id,
        position=position,
        filename=keys.seal_text(Place("attachments", "filename", attachment_id), filename),
        content_type=content_type,
        sniffed_type=sniffed_type,
        content_id=None
        if content_id is None
        else keys.seal_text(Place("attachments", "content_id", attachment_id), content_id),
        scan=scan,
        size=len(content) if size is None else size,
        content=keys.seal(Place("attachments", "content", attachment_id), content),
    )
    session.add(attachment)
    await session.flush()
    return attachment


async def make_reply(
    session: AsyncSession,
    keyring: Keyring,
    message: Message,
    *,
    text: str = "Guten Tag, Ihre Lampe ist unterwegs.",
    state: str = "queued",
    server_words: str | None = None,
    **columns: Any,
) -> OutboundMessage:
    """A reply to this message, due at once. `columns` are those that are stored as they are, such as `failure`."""
    keys = await keys_within(session, keyring, message.account_id)
    reply_id = new_id()
    reply = OutboundMessage(
        **{
            "id": reply_id,
            "account_id": message.account_id,
            "integration_id": message.integration_id,
            "conversation_id": message.conversation_id,
            "answers_message_id": message.id,
            "body_text": keys.seal_text(Place("outbound_messages", "body_text", reply_id), text),
            "server_words": None
            if server_words is None
            else keys.seal_text(Place("outbound_messages", "server_words", reply_id), server_words),
            "state": state,
            "due_at": datetime.now(UTC),
            **columns,
        }
    )
    session.add(reply)
    await session.flush()
    return reply


async def make_order(
    session: AsyncSession,
    keyring: Keyring,
    integration: Integration,
    *,
    order_id: str | None = None,
    **columns: Any,
) -> Order:
    """An order of this store, not shipped yet; with a buyer, and without items. `columns` are those that are stored as they are."""
    keys = await keys_within(session, keyring, integration.account_id)
    order_id = order_id or f"303-{next(_numbers):07}-{next(_numbers):07}"
    row_id = order_row_id(integration.id, order_id)
    now = datetime.now(UTC)
    order = Order(
        **{
            "id": row_id,
            "account_id": integration.account_id,
            "integration_id": integration.id,
            "order_id": order_id,
            "marketplace_id": BY_COUNTRY["DE"].marketplace_id,
            "country": "DE",
            "status": "UNSHIPPED",
            "fulfilled_by": "MERCHANT",
            "purchased_at": now,
            "last_updated_at": now,
            "currency": "EUR",
            "buyer": keys.seal(
                Place("orders", "buyer", row_id), json.dumps({"name": "Erika Beispiel"}).encode()
            ),
            "personal_ends_at": now + timedelta(days=60),
            **columns,
        }
    )
    session.add(order)
    await session.flush()
    return order


async def make_order_item(
    session: AsyncSession,
    keyring: Keyring,
    order: Order,
    *,
    position: int = 0,
    gift_message: str | None = None,
    report_personal: dict[str, str] | None = None,
    **columns: Any,
) -> OrderItem:
    """One lamp in an order. `columns` are those that are stored as they are."""
    keys = await keys_within(session, keyring, order.account_id)
    item_id = columns.pop("item_id", f"{next(_numbers):014}")
    row_id = item_row_id(order.id, item_id)
    told = OrderItemRecord(item_id, gift_message=gift_message, report_personal=report_personal)
    item = OrderItem(
        **{
            "id": row_id,
            "account_id": order.account_id,
            "order_row_id": order.id,
            "item_id": item_id,
            "position": position,
            "title": "Schreibtischlampe",
            "sku": "LAMP-01",
            "asin": "B0EXAMPLE1",
            "quantity": 1,
            "currency": order.currency,
            "gift": personal.seal_gift(keys, row_id, told),
            "report_personal": personal.seal_report_cells(keys, row_id, told),
            **columns,
        }
    )
    session.add(item)
    await session.flush()
    return item


async def make_order_package(
    session: AsyncSession, order: Order, *, reference: str = "1", **columns: Any
) -> OrderPackage:
    """A package of an order, on its way. `columns` are those that are stored as they are."""
    package = OrderPackage(
        **{
            "id": package_row_id(order.id, reference),
            "account_id": order.account_id,
            "order_row_id": order.id,
            "reference": reference,
            "position": 0,
            "status": "SHIPPED",
            "carrier": "DHL",
            "tracking_number": "00340434161094000000",
            "contents": {},
            **columns,
        }
    )
    session.add(package)
    await session.flush()
    return package


async def make_conversation_order(
    session: AsyncSession, conversation: Conversation, order_id: str, *, is_proven: bool = True
) -> None:
    """A mail of the conversation names the order; a proven one, if nothing else is said."""
    session.add(
        ConversationOrder(
            account_id=conversation.account_id,
            order_id=order_id,
            conversation_id=conversation.id,
            is_proven=is_proven,
        )
    )
    await session.flush()


async def make_reply_file(
    session: AsyncSession,
    keyring: Keyring,
    conversation: Conversation,
    *,
    reply: OutboundMessage | None = None,
    filename: str = "anleitung.pdf",
    content_type: str = "application/pdf",
    content: bytes = b"%PDF-1.7 not much of a manual",
    **columns: Any,
) -> ReplyFile:
    """A file of a reply, or of the draft of whoever has uploaded it."""
    keys = await keys_within(session, keyring, conversation.account_id)
    file_id = new_id()
    file = ReplyFile(
        id=file_id,
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        outbound_message_id=None if reply is None else reply.id,
        filename=keys.seal_text(Place("reply_files", "filename", file_id), filename),
        content_type=content_type,
        size=len(content),
        content=keys.seal(Place("reply_files", "content", file_id), content),
        **columns,
    )
    session.add(file)
    await session.flush()
    return file
