"""A buyer's data: found by address or order, exported whole, erased everywhere and not stored again; by the operators' commands."""

import json

import pytest
from sqlalchemy import select

from deploy.demo.postgres import CONNECTOR
from services.connector.orders.model import Buyer, OrderRecord
from services.connector.orders.storing import store_orders
from services.connector.privacy import buyers
from shared.tables import AuditEntry, Conversation, Message, Order
from tests.commands import run_here, run_process
from tests.conftest import Database
from tests.integration.connector.privacy.conftest import CANARY, DAY, Shop, address_of
from tests.integration.connector.privacy.scanning import found_anywhere


@pytest.fixture
def environment(database: Database, shop: Shop) -> dict[str, str]:
    return {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(shop.keys.key_file),
        "REPLYCO_BLOB_URL": shop.blob_url,
    }


async def fill(shop: Shop) -> Order:
    """Erika, who has bought and written, and Anton, who has, too."""
    order = await shop.order()
    message = await shop.message(await shop.conversation("erika", order.order_id))
    await shop.reply(message)
    await shop.message(await shop.conversation("erika"))
    other = await shop.order("anton", "303-7654321-7654321")
    await shop.message(await shop.conversation("anton", other.order_id), "anton")
    return order


@pytest.mark.parametrize("by", ["address", "order"])
async def test_a_buyer_is_erased_wherever_they_are_and_nobody_else(
    shop: Shop, database: Database, environment: dict[str, str], by: str
):
    order = await fill(shop)
    keys = await shop.keyring.of(shop.sessions, shop.account.id)
    word = f"{CANARY} erika"
    mail_key = shop.keys.mail_private_key
    assert "orders.buyer" in await found_anywhere(database, keys, mail_key, word)

    named = address_of("erika").upper() if by == "address" else order.order_id
    code, output = await run_here(environment, "privacy", "erase", "--yes", typed=f"{named}\n")

    assert (code, output.splitlines()[0].startswith("Erased: 2 conversations")) == (0, True), output
    assert "What stays" in output
    assert await found_anywhere(database, keys, mail_key, word) == {}
    assert await found_anywhere(database, keys, mail_key, f"{CANARY} anton") != {}
    assert await shop.blob_count() == 1
    async with shop.sessions.begin() as session:
        kept = await session.get_one(Order, (order.id, shop.account.id))
        assert kept.personal_erased_at is not None
        assert len((await session.scalars(select(Message.id))).all()) == 1
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "buyer_erased"))
        assert entry is not None
        assert entry.fields == {"conversations": "2", "orders": "1"}


async def test_what_was_erased_does_not_come_back_by_a_later_sync(shop: Shop):
    order = await fill(shop)
    keys = await shop.keyring.of(shop.sessions, shop.account.id)
    await buyers.erase(
        shop.sessions,
        shop.blobs,
        keys,
        await buyers.find(shop.sessions, keys, order.order_id),
        shop.now + DAY,
    )
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


async def test_an_export_is_one_json_document_with_all_words_and_files(
    shop: Shop, environment: dict[str, str]
):
    order = await fill(shop)

    code, output = await run_here(environment, "privacy", "export", "--buyer", order.order_id)

    assert code == 0
    told = json.loads(output[: output.rindex("}") + 1])
    assert len(told["conversations"]) == 2
    first = next(each for each in told["conversations"] if each["replies"])
    assert first["buyer_name"] == f"{CANARY} erika name"
    assert first["messages"][0]["body_text"] == f"{CANARY} erika words"
    assert first["messages"][0]["files"][0]["filename"] == f"{CANARY}.jpg"
    assert first["replies"][0]["body_text"] == f"Dear {CANARY} erika"
    [exported] = told["orders"]
    assert exported["recipient"]["lines"] == [f"{CANARY} erika street"]
    assert exported["items"][0]["gift"] == f"{CANARY} erika gift"
    assert "anton" not in output
    async with shop.sessions.begin() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "buyer_exported"))
        assert entry is not None
        assert entry.subject_id == shop.account.id


async def test_an_address_in_the_command_works_and_is_warned_of(shop: Shop, environment: dict[str, str]):
    await fill(shop)

    code, output = await run_here(environment, "privacy", "export", "--buyer", address_of("anton"))

    assert code == 0
    assert "can see an address" in output
    assert f"{CANARY} anton words" in output


async def test_the_address_that_all_business_buyers_share_finds_nobody(
    shop: Shop, environment: dict[str, str]
):
    await fill(shop)

    code, output = await run_here(
        environment, "privacy", "erase", "--yes", typed="no-reply-amazon-iba-buyer@marketplace.amazon.it\n"
    )

    assert (code, output.splitlines()[-1]) == (0, "Nothing is stored of this buyer.")


async def test_a_stranger_who_names_an_order_is_not_its_buyer(shop: Shop):
    order = await shop.order()
    stranger = await shop.conversation("mallory", order.order_id, buyer_key=None)
    async with shop.owner_sessions.begin() as session:
        await session.execute(
            Conversation.metadata.tables["conversation_orders"].update().values(is_proven=False)
        )
    keys = await shop.keyring.of(shop.sessions, shop.account.id)

    found = await buyers.find(shop.sessions, keys, order.order_id)

    assert (list(found.conversations), list(found.orders)) == ([], [order.id])
    assert stranger.id not in found.conversations


async def test_the_report_and_a_dry_run_say_what_is_over_and_change_nothing(
    shop: Shop, environment: dict[str, str]
):
    await shop.order(personal_ends_at=shop.now - DAY)

    report = await run_here(environment, "privacy", "report")
    dry = await run_here(environment, "privacy", "purge", "--dry-run", "--account", str(shop.account.id))
    done = await run_process(environment, "privacy", "purge")
    again = await run_here(environment, "privacy", "report")

    assert report[0] == dry[0] == done[0] == again[0] == 0
    assert "order_personal: 1, the oldest since" in report[1]
    assert dry[1].splitlines()[-1] == "Nothing was changed."
    assert done[1] == "Ended:\n  order_personal: 1\n"
    assert "order_personal: 0\n" in again[1]


async def test_a_buyer_without_a_name_and_an_account_that_is_none_are_refused(
    shop: Shop, environment: dict[str, str]
):
    nameless = await run_here(environment, "privacy", "erase", "--yes", typed="\n")
    nowhere = await run_here(
        environment, "privacy", "export", "--account", str(shop.integration.id), typed="303-1234567-1234567\n"
    )

    assert (nameless[0], "Name a buyer" in nameless[1]) == (2, True)
    assert (nowhere[0], "no such account" in nowhere[1]) == (1, True)
    for words in (("report",), ("purge",), ("purge", "--dry-run")):
        code, output = await run_here(environment, "privacy", *words, "--account", str(shop.integration.id))
        assert (code, "no such account" in output, "Nothing was over" in output) == (1, True, False)
