"""What is over ends, and nothing else: orders, conversations, mail, audit entries; in any order of events, and cut off anywhere."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from services.connector.orders.model import Buyer, OrderRecord
from services.connector.orders.storing import store_orders
from services.connector.privacy.accounts import all_kept
from services.connector.privacy.ended_orders import clear_personal
from services.connector.privacy.over import Ending
from services.connector.privacy.purge_service import PurgeIncomplete, due
from services.connector.tokens.service import destroy_grant
from shared.driver import new_id
from shared.tables import (
    AcceptedMail,
    Account,
    Attachment,
    AuditEntry,
    Base,
    Conversation,
    Grant,
    Message,
    MessageDigest,
    Note,
    Order,
    OrderItem,
    OrderPackage,
    OrderReport,
    OrderSnapshot,
    OrderSync,
    OutboundMessage,
    ReplyFile,
)
from tests.conftest import Database
from tests.factories import make_order_package
from tests.integration.connector.privacy.conftest import CANARY, DAY, Shop, address_of
from tests.integration.connector.privacy.scanning import found_anywhere

MAIL = (AcceptedMail, Message, Attachment, Conversation, OutboundMessage, ReplyFile, Note, MessageDigest)
ORDERS = (Order, OrderItem, OrderPackage, OrderReport, OrderSync, OrderSnapshot)


async def counts(shop: Shop, *tables: type[Base]) -> list[int]:
    async with shop.owner_sessions.begin() as session:
        return [await session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


async def set_account(shop: Shop, **columns: object) -> None:
    async with shop.owner_sessions.begin() as session:
        await session.execute(update(Account).where(Account.id == shop.account.id).values(**columns))


async def test_what_is_personal_in_an_order_ends_and_the_order_stays(shop: Shop):
    order = await shop.order(personal_ends_at=shop.now + DAY)
    later = await shop.order("anton", personal_ends_at=shop.now + 3 * DAY)

    assert await shop.purge(2 * DAY) == {Ending.ORDER_PERSONAL: 1}

    async with shop.sessions.begin() as session:
        cleared, kept = [await session.get_one(Order, (each.id, shop.account.id)) for each in (order, later)]
        items = (await session.scalars(select(OrderItem).where(OrderItem.order_row_id == order.id))).all()
        assert (cleared.buyer, cleared.recipient, cleared.buyer_key, cleared.personal_ends_at) == (None,) * 4
        assert [(item.gift, item.customization, item.report_personal) for item in items] == [(None,) * 3]
        assert (cleared.order_id, items[0].title) == (order.order_id, "Schreibtischlampe")
        assert kept.buyer is not None
        assert kept.personal_ends_at is not None
    assert await shop.purge(2 * DAY) == {}


async def test_a_law_lets_an_account_keep_longer_what_came_from_the_sp_api(shop: Shop):
    await set_account(shop, longer_kept_days=100, longer_kept_reason="§ 147 AO")
    await shop.order(personal_ends_at=shop.now + DAY)

    assert await shop.purge(100 * DAY) == {}
    assert await shop.purge(102 * DAY) == {Ending.ORDER_PERSONAL: 1}
    assert await shop.purge(640 * DAY) == {}
    assert await shop.purge(650 * DAY) == {Ending.ORDERS: 1}


@pytest.mark.parametrize("purchased", [True, False])
async def test_an_order_ends_with_all_that_hangs_on_it_eighteen_months_after_the_purchase(
    shop: Shop, purchased: bool
):
    order = await shop.order(purchased_at=shop.now if purchased else None, personal_ends_at=None)
    message = await shop.message(await shop.conversation("erika", order.order_id, at=shop.now + 600 * DAY))
    async with shop.owner_sessions.begin() as session:
        await make_order_package(session, order)
        session.add(
            OrderSnapshot(
                message_id=message.id, order_id=order.order_id, account_id=shop.account.id, fields={}
            )
        )
        session.add(
            OrderReport(
                account_id=shop.account.id, integration_id=shop.integration.id, report_type="GET_FLAT_FILE"
            )
        )
        session.add(OrderSync(integration_id=shop.integration.id, account_id=shop.account.id, order_count=5))

    assert await shop.purge(545 * DAY) == {}
    ended = await shop.purge(547 * DAY)

    assert (ended[Ending.ORDERS], ended[Ending.ORDER_REPORTS]) == (1, 1)
    assert await counts(shop, *ORDERS) == [0, 0, 0, 0, 1, 0]
    async with shop.sessions.begin() as session:
        assert await session.scalar(select(OrderSync.order_count)) == 4


async def test_all_of_a_store_is_gone_thirty_days_after_its_authorization(shop: Shop):
    await shop.order()
    async with shop.owner_sessions.begin() as session:
        session.add(OrderSync(integration_id=shop.integration.id, account_id=shop.account.id))
        await destroy_grant(session, shop.integration.id)

    assert await shop.purge(27 * DAY) == {}
    # The purge comes once a night, and may have to wait for a day.
    assert await shop.purge(28 * DAY + timedelta(hours=1)) == {Ending.AUTHORIZATIONS: 1}
    assert await counts(shop, *ORDERS) == [0] * 6
    assert await shop.purge(31 * DAY) == {}


async def test_a_revoked_authorization_counts_and_one_that_was_given_anew_does_not(shop: Shop):
    await shop.order()
    async with shop.owner_sessions.begin() as session:
        await session.execute(update(Grant).values(revoked_at=shop.now))
    async with shop.owner_sessions.begin() as session:
        await session.execute(update(Grant).values(revoked_at=None))
    assert Ending.AUTHORIZATIONS not in await shop.purge(40 * DAY)

    async with shop.owner_sessions.begin() as session:
        await session.execute(update(Grant).values(revoked_at=shop.now))
    assert (await shop.purge(40 * DAY))[Ending.AUTHORIZATIONS] == 1


async def test_a_conversation_ends_as_a_whole_with_mail_files_replies_and_blobs(shop: Shop):
    conversation = await shop.conversation()
    message = await shop.message(conversation)
    await shop.reply(message)
    other = await shop.message(await shop.conversation("anton", at=shop.now + 2 * DAY), at=shop.now + 2 * DAY)
    async with shop.owner_sessions.begin() as session:
        session.add(Conversation(**merged_into(conversation, shop)))
        session.add(
            MessageDigest(
                relay_address_id=shop.address.id,
                digest=b"d",
                account_id=shop.account.id,
                message_id=message.id,
            )
        )

    assert await shop.purge(547 * DAY) == {}
    ended = await shop.purge(549 * DAY)

    assert ended[Ending.CONVERSATIONS] == 2
    assert await counts(shop, *MAIL) == [1, 1, 1, 1, 0, 0, 0, 0]
    assert await shop.blob_count() == 1
    async with shop.sessions.begin() as session:
        assert await session.scalar(select(Message.id)) == other.id


def merged_into(conversation: Conversation, shop: Shop) -> dict[str, object]:
    return {
        "id": new_id(),
        "account_id": shop.account.id,
        "integration_id": shop.integration.id,
        "last_message_at": shop.now,
        "merged_into": conversation.id,
    }


async def test_a_conversation_that_goes_on_loses_what_is_too_old_in_it(shop: Shop):
    conversation = await shop.conversation(at=shop.now + 500 * DAY, message_count=2)
    old = await shop.message(conversation)
    await shop.reply(old)
    newest = await shop.message(conversation, at=shop.now + 500 * DAY)

    ended = await shop.purge(549 * DAY)

    assert ended == {Ending.MESSAGES: 1, Ending.REPLIES: 1}
    async with shop.sessions.begin() as session:
        assert (await session.scalars(select(Message.id))).all() == [newest.id]
        known = await session.get_one(Conversation, conversation.id)
        assert (known.message_count, known.snippet_message_id) == (1, newest.id)
    assert await counts(shop, AcceptedMail, Attachment, ReplyFile) == [1, 1, 0]
    assert await shop.blob_count() == 1


async def test_a_conversation_that_was_answered_lately_or_is_being_answered_stays(shop: Shop):
    answered = await shop.conversation(last_reply_at=shop.now + 10 * DAY)
    await shop.message(answered)
    being_answered = await shop.conversation("anton")
    await shop.reply(await shop.message(being_answered, "anton"), state="queued")

    assert Ending.CONVERSATIONS not in await shop.purge(549 * DAY)
    assert await counts(shop, Message) == [2]
    assert (await shop.purge(560 * DAY))[Ending.CONVERSATIONS] == 1


async def test_an_account_chooses_how_long_mail_is_kept(shop: Shop):
    await set_account(shop, messages_kept_days=30)
    await shop.message(await shop.conversation())

    assert await shop.purge(29 * DAY) == {}
    assert (await shop.purge(31 * DAY))[Ending.CONVERSATIONS] == 1


async def test_an_operator_ties_messages_to_what_is_personal_in_their_orders(shop: Shop):
    order = await shop.order(delivered_at=shop.now, personal_ends_at=None)
    await shop.message(await shop.conversation("erika", order.order_id))
    travelling = await shop.order("anton", "303-7654321-7654321", deliver_by=shop.now + 90 * DAY)
    await shop.message(await shop.conversation("anton", travelling.order_id), "anton")
    await shop.message(await shop.conversation("berta"), "berta")

    assert Ending.CONVERSATIONS not in await shop.purge(31 * DAY)
    assert (await shop.purge(31 * DAY, messages_end_with_orders=True))[Ending.CONVERSATIONS] == 1
    assert (await shop.purge(121 * DAY, messages_end_with_orders=True))[Ending.CONVERSATIONS] == 1
    assert (await shop.purge(549 * DAY, messages_end_with_orders=True))[Ending.CONVERSATIONS] == 1


@pytest.mark.parametrize("state", ["accepted", "held", "resting"])
async def test_mail_that_no_worker_has_read_is_never_deleted(shop: Shop, state: str):
    message = await shop.message(await shop.conversation())
    async with shop.owner_sessions.begin() as session:
        await session.execute(update(AcceptedMail).values(state=state))

    await shop.purge(2000 * DAY)

    async with shop.sessions.begin() as session:
        assert await session.scalar(select(AcceptedMail.id)) == message.accepted_mail_id


async def test_mail_that_came_twice_ends_too(shop: Shop):
    message = await shop.message(await shop.conversation())
    async with shop.owner_sessions.begin() as session:
        await session.execute(text("DELETE FROM attachments"))
        await session.execute(text("DELETE FROM messages"))
        await session.execute(text("DELETE FROM conversations"))

    assert await shop.purge(549 * DAY) == {Ending.RAW_MAIL: 1}
    assert message.accepted_mail_id is not None


async def test_notes_and_drafts_end_with_their_age(shop: Shop):
    conversation = await shop.conversation(at=shop.now + 500 * DAY)
    await shop.message(conversation, at=shop.now + 500 * DAY)
    async with shop.owner_sessions.begin() as session:
        note = await session.scalar(select(Message.body_text))
        session.add(
            Note(id=new_id(), account_id=shop.account.id, conversation_id=conversation.id, body_text=note)
        )

    assert await shop.purge(549 * DAY) == {Ending.NOTES: 1}


async def test_the_audit_log_ends_after_twelve_months_and_no_younger_entry_does(shop: Shop):
    async with shop.owner_sessions.begin() as session:
        for days in (364, 367):
            row = await session.scalar(
                text("SELECT uuid_at(now() - make_interval(days => :days))"), {"days": days}
            )
            session.add(
                AuditEntry(
                    id=row,
                    account_id=shop.account.id,
                    at=shop.now - timedelta(days=days),
                    actor_kind="system",
                    action="webhook_disabled",
                )
            )

    assert await shop.purge(3650 * DAY) == {Ending.AUDIT_LOG: 1}
    assert await counts(shop, AuditEntry) == [1]


async def test_each_account_has_an_entry_of_what_has_ended_in_it_with_numbers_alone(shop: Shop):
    await shop.order(personal_ends_at=shop.now)

    await shop.purge(DAY)

    async with shop.sessions.begin() as session:
        entry = await session.scalar(select(AuditEntry))
        assert entry is not None
        assert (entry.action, entry.actor_kind, entry.fields) == (
            "data_ended",
            "system",
            {"order_personal": "1"},
        )


async def test_a_sync_of_an_old_order_brings_nothing_personal_back(shop: Shop):
    delivered = shop.now - 31 * DAY
    order = await shop.order(delivered_at=delivered, personal_ends_at=delivered + 30 * DAY)
    await shop.purge(timedelta(0))
    keys = await shop.keyring.of(shop.sessions, shop.account.id)
    told = OrderRecord(
        order_id=order.order_id,
        last_updated_at=shop.now + DAY,
        status="SHIPPED",
        buyer=Buyer(name="canary erika", email=address_of("erika")),
    )

    async with shop.sessions.begin() as session:
        await store_orders(session, keys, shop.integration.id, [told], now=shop.now + DAY)

    async with shop.sessions.begin() as session:
        stored = await session.get_one(Order, (order.id, shop.account.id))
        assert (stored.status, stored.buyer, stored.buyer_key) == ("SHIPPED", None, None)


async def test_what_fails_holds_up_nothing_else_and_is_told(shop: Shop):
    await shop.order(personal_ends_at=shop.now)
    message = await shop.message(await shop.conversation())
    async with shop.owner_sessions.begin() as session:
        await session.execute(
            text("UPDATE attachments SET blob_key = 'no key', blob_digest = 'x' WHERE message_id = :id"),
            {"id": message.id},
        )

    with pytest.raises(PurgeIncomplete) as incomplete:
        await shop.purge(549 * DAY)

    assert incomplete.value.failed == 1
    assert incomplete.value.ended[Ending.ORDER_PERSONAL] == 1
    assert await counts(shop, Message) == [1]


async def test_what_is_due_is_counted_with_the_oldest_and_nothing_is_changed(shop: Shop):
    await shop.order(personal_ends_at=shop.now + DAY)
    await shop.order("anton", "303-7654321-7654321", personal_ends_at=shop.now + 2 * DAY)
    await shop.message(await shop.conversation())

    found = await due(shop.sessions, shop.now + 549 * DAY, messages_end_with_orders=False)

    assert {ending: each.count for ending, each in found.items() if each.count} == {
        Ending.ORDER_PERSONAL: 2,
        Ending.ORDERS: 2,
        Ending.CONVERSATIONS: 1,
    }
    assert found[Ending.ORDER_PERSONAL].oldest == shop.now + DAY
    assert await counts(shop, Order, Conversation) == [2, 1]


async def test_small_batches_end_the_same(shop: Shop):
    for number in range(5):
        await shop.order(f"buyer{number}", f"303-000000{number}-1234567", personal_ends_at=shop.now)
    [kept] = [each async for each in all_kept(shop.sessions, shop.now + DAY, messages_end_with_orders=False)]
    assert await clear_personal(shop.sessions, kept, batch=2) == 5


async def test_after_all_is_over_no_column_and_no_blob_holds_anything_of_a_buyer(
    shop: Shop, database: Database
):
    order = await shop.order()
    message = await shop.message(await shop.conversation("erika", order.order_id))
    await shop.reply(message)
    keys = await shop.keyring.of(shop.sessions, shop.account.id)
    mail_key = shop.keys.mail_private_key
    before = await found_anywhere(database, keys, mail_key, CANARY)

    await shop.purge(549 * DAY)

    for column in (
        "orders.buyer",
        "order_items.gift",
        "messages.body_text",
        "accepted_mail.raw",
        "outbound_messages.body_text",
    ):
        assert before[column] == 1, column
    assert await found_anywhere(database, keys, mail_key, CANARY) == {}
    assert await shop.blob_count() == 0
