"""Conversations are found by an order, a buyer's address, and words; nothing sealed is opened for it."""

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import func, select

from services.connector.http.concurrency import ConcurrencyLimit
from services.connector.inbox.limits import SearchesBusy
from services.mailrelay.delivery.message_rows import plain_columns
from services.mailrelay.parsing.mail import parse_mail
from shared.driver import new_id
from shared.search_words import former_wanted_keys, word_keys
from shared.tables import AuditEntry, Conversation, ConversationOrder, IdempotencyKey
from tests.factories import make_conversation, make_message, make_relay_address
from tests.integration.connector.inbox.conftest import Inbox, counted_statements

_LIST = "/api/v1/conversations"
_SEARCH = "/api/v1/conversations/search"
_BUYER = "k3x9example0abc@marketplace.amazon.de"

_MAIL = """\
From: Erika <k3x9example0abc+TAG@marketplace.amazon.de>
To: mabtekrud@replyco.email
Subject: Anfrage (Bestellung: 303-7654321-7654321)
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/plain; charset=utf-8

Bestellnummer: 303-7654321-7654321
ASIN: B0EXAMPLE9

Passt die Lampe?
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename*=UTF-8''Ma%C3%9Fzeichnung_K%C3%BCche-TAG.pdf
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--b--
""".replace("\n", "\r\n").encode()


@pytest.fixture
async def found(inbox, foreign_inbox, owner_sessions, keyring):
    """Conversations by what they are about; the other account has all of them, too."""
    texts = {
        "lamp": ["Wann kommt meine Lampe?", "Sie flackert."],
        "chair": ["Der Stuhl wackelt, die Lampe nicht."],
        "japanese": ["商品が届きません。いつ届きますか。"],
    }
    names: dict[str, str] = {}
    for one in (inbox, foreign_inbox):
        assert isinstance(one, Inbox)
        async with owner_sessions.begin() as session:
            keys = await keyring.of(owner_sessions, one.account.id)
            for name, messages in texts.items():
                row = await make_conversation(
                    session,
                    keyring,
                    one.integration,
                    buyer_key=keys.lookup_hash("buyer", _BUYER) if name != "chair" else None,
                    country="JP" if name == "japanese" else "DE",
                )
                names[str(row.id)] = name if one is inbox else "foreign"
                for text in messages:
                    await make_message(session, keyring, row, text=text, word_keys=word_keys(keys, text))
                if name == "chair":
                    for order_id in ("303-1111111-1111111", "303-2222222-2222222"):
                        session.add(
                            ConversationOrder(
                                account_id=one.account.id, order_id=order_id, conversation_id=row.id
                            )
                        )
    return names


async def test_a_search_finds_what_has_it_in_this_account_alone(client, found):
    for body, names in (
        ({"q": "303-2222222-2222222"}, ["chair"]),
        ({"q": " 303-1111111-1111111 "}, ["chair"]),
        ({"q": "303-2222222-9999999"}, []),
        ({"q": "K3x9Example0ABC@marketplace.amazon.de"}, ["japanese", "lamp"]),
        ({"q": "nobody@marketplace.amazon.de"}, []),
        ({"q": "LAMPE"}, ["chair", "lamp"]),
        ({"q": "lampe wann"}, ["lamp"]),
        ({"q": "lampe flackert"}, []),  # in two messages
        ({"q": "Lamp"}, []),  # not a whole word
        ({"q": "届きません"}, ["japanese"]),
        ({"q": "lampe", "country": "JP"}, []),
        ({"q": _BUYER, "country": "JP"}, ["japanese"]),
        ({"q": "lampe", "sort": "due"}, []),
        ({"q": "lampe", "status": "closed"}, []),
    ):
        answer = await client.post(_SEARCH, json=body)

        assert answer.status_code == 200, answer.text
        assert [found[item["id"]] for item in answer.json()["items"]] == names, body


async def test_a_search_looks_into_the_quarantine_only_when_it_is_told_to(client, found, owner_sessions):
    chair = next(UUID(key) for key, name in found.items() if name == "chair")
    async with owner_sessions.begin() as session:
        (await session.get_one(Conversation, chair)).status = "quarantine"

    shown = (await client.post(_SEARCH, json={"q": "stuhl"})).json()["items"]
    body = {"q": "stuhl", "status": "quarantine"}
    quarantine = (await client.post(_SEARCH, json=body)).json()["items"]

    assert (shown, [found[item["id"]] for item in quarantine]) == ([], ["chair"])


async def test_a_search_needs_a_word_and_has_bounds(client):
    for query, code in (
        *((query, "search_too_short") for query in ("a", "?!", "  ", "…", "\u200b\u00ad")),
        (" ".join(f"{number:03}" for number in range(50)), None),
        ("".join(chr(0x4E00 + number) for number in range(52)), "search_too_long"),
        *((query, "invalid_request") for query in ("", "x" * 201)),
    ):
        answer = await client.post(_SEARCH, json={"q": query})

        assert (answer.status_code, answer.json().get("code")) == (422 if code else 200, code), query


async def test_searches_leave_connections_to_what_is_quick(app, client, inbox, found, monkeypatch):
    searches = ConcurrencyLimit(1, SearchesBusy, wait_seconds=0.05)
    monkeypatch.setattr(app.state, "connector", replace(app.state.connector, searches=searches))
    async with searches.slot(inbox.integration.account_id):
        searched = [await client.post(_SEARCH, json={"q": "lampe"})]
        searched += [
            await client.get(_LIST, params=params)
            for params in (
                {"kind": "other"},
                {"country": "DE"},
                {"status": "open", "unread": True},
                {"status": "open", "integration_id": str(new_id())},
                {"due": True},
                {"sort": "due", "status": "open"},
            )
        ]
        quick = [
            await client.get(_LIST, params=params)
            for params in (
                {},
                {"status": "open"},
                {"status": "quarantine"},
                {"unread": True},
                {"integration_id": str(new_id())},
                {"sort": "due"},
                {"due": True, "sort": "due"},
            )
        ]

    assert [(one.status_code, one.json()["code"]) for one in searched] == [(503, "searches_busy")] * 7
    assert [one.status_code for one in quick] == [200] * 7


@pytest.mark.parametrize("query", ["lampe", _BUYER, "303-2222222-2222222"])
async def test_a_search_goes_page_by_page_at_a_fixed_number_of_statements(app, client, found, query):
    await client.post(_SEARCH, json={"q": query})  # the account's keys are opened once a process
    seen, cursor = [], None
    while True:
        async with counted_statements(app) as statements:
            body = {"q": query, "limit": 1, "cursor": cursor}
            page = (await client.post(_SEARCH, json=body)).json()
        assert len(statements) == 4  # the caller, the bound of time, the list, the read log
        assert not any("body_text" in sql for sql in statements)
        seen += [found[item["id"]] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == {"lampe": ["chair", "lamp"], _BUYER: ["japanese", "lamp"]}.get(query, ["chair"])


async def test_what_is_looked_for_is_taken_from_no_address(client, found):
    assert (await client.get(_LIST, params={"q": "stuhl"})).status_code == 422
    assert (await client.post(_SEARCH, params={"q": "stuhl"}, json={})).status_code == 422


async def test_a_search_is_done_anew_each_time_and_nothing_of_it_is_kept(client, found, owner_sessions):
    headers = {"Idempotency-Key": "k1"}
    first = await client.post(_SEARCH, json={"q": "stuhl"}, headers=headers)
    second = await client.post(_SEARCH, json={"q": "lampe"}, headers=headers)

    assert [found[item["id"]] for item in first.json()["items"]] == ["chair"]
    assert [found[item["id"]] for item in second.json()["items"]] == ["chair", "lamp"]
    async with owner_sessions() as session:
        for table in (IdempotencyKey, AuditEntry):
            assert await session.scalar(select(func.count()).select_from(table)) == 0


async def test_what_stands_around_the_words_is_found_in_the_messages_that_have_it(
    client, inbox, foreign_inbox, owner_sessions, keyring
):
    names = {}
    for one in (inbox, foreign_inbox):
        async with owner_sessions.begin() as session:
            keys = await keyring.of(owner_sessions, one.account.id)
            for tag in ("one", "two"):
                row = await make_conversation(
                    session, keyring, one.integration, buyer_key=keys.lookup_hash("buyer", _BUYER)
                )
                names[row.id] = tag if one is inbox else "foreign"
                mail = parse_mail(_MAIL.replace(b"TAG", tag.encode()))
                await make_message(session, keyring, row, word_keys=plain_columns(mail, keys)["word_keys"])

    for query, found in (
        ("k3x9example0abc+one@marketplace.amazon.de", ["one"]),
        (" K3X9EXAMPLE0ABC+Two@marketplace.amazon.de. ", ["two"]),
        ("k3x9example0abc+three@marketplace.amazon.de", []),
        (_BUYER, ["two", "one"]),
        ("k3x9example0abc+one", ["one"]),
        ("K3x9example0abc", ["two", "one"]),
        ("b0example9", ["two", "one"]),
        ("303-7654321-7654321 lampe", ["two", "one"]),
        ("Maßzeichnung", ["two", "one"]),
        ("masszeichnung küche-one.pdf", ["one"]),
        ("MASSZEICHNUNG KUECHE", ["two", "one"]),
        ("marketplace", []),
    ):
        answer = await client.post(_SEARCH, json={"q": query})

        assert answer.status_code == 200, answer.text
        assert [names[UUID(item["id"])] for item in answer.json()["items"]] == found, query


async def test_our_own_address_finds_what_came_to_its_store_and_nobody_elses(
    client, inbox, foreign_inbox, owner_sessions
):
    async with owner_sessions.begin() as session:
        own = await make_relay_address(session, inbox.integration)
        foreign = await make_relay_address(session, foreign_inbox.integration)
        inbox_id, own_part, foreign_part = str(inbox.conversation.id), own.local_part, foreign.local_part
    domain = "replyco.email"

    for address, found in (
        (f"{own_part}@{domain}", [inbox_id]),
        (f"<{own_part.upper()}+tag@{domain}>", [inbox_id]),
        (f"{own_part}@example.com", []),
        (f"{foreign_part}@{domain}", []),
    ):
        answer = await client.post(_SEARCH, json={"q": address})

        assert [item["id"] for item in answer.json()["items"]] == found, address


async def test_a_message_that_was_hashed_before_accents_were_folded_is_still_found(
    client, inbox, owner_sessions, keyring
):
    async with owner_sessions.begin() as session:
        keys = await keyring.of(owner_sessions, inbox.account.id)
        for hashes in (former_wanted_keys(keys, "Die Mühle"), word_keys(keys, "Die Muehle")):
            row = await make_conversation(session, keyring, inbox.integration)
            await make_message(session, keyring, row, word_keys=hashes)

    answer = await client.post(_SEARCH, json={"q": "MÜHLE die"})

    assert len(answer.json()["items"]) == 2
