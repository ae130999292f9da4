"""Templates of replies: made, changed, found, filled with what is known of a conversation."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import insert

from services.connector.reply_templates.service import MAX_TEMPLATES
from shared.driver import new_id
from shared.tables import ReplyTemplate
from tests.factories import (
    make_conversation,
    make_conversation_order,
    make_integration,
    make_order,
    make_order_item,
    make_order_package,
)
from tests.integration.connector.inbox.conftest import foreign_inbox, inbox

__all__ = ["foreign_inbox", "inbox"]

PATH = "/api/v1/reply-templates"
GREETING = {"name": "Unterwegs", "language": "de", "text": "Hallo {{buyer_first_name}},\n{{order_id}} kommt."}


async def test_a_template_is_made_listed_changed_and_deleted(client):
    made = await client.post(PATH, json=GREETING)
    template = made.json()
    changed = await client.patch(
        f"{PATH}/{template['id']}", json={"text": "Neu {{asin}}"}, headers={"If-Match": made.headers["ETag"]}
    )
    too_late = await client.patch(
        f"{PATH}/{template['id']}", json={"text": "Alt"}, headers={"If-Match": made.headers["ETag"]}
    )

    assert made.status_code == 201
    assert template["text"] == GREETING["text"]
    assert (changed.status_code, changed.json()["text"], changed.json()["name"]) == (
        200,
        "Neu {{asin}}",
        "Unterwegs",
    )
    assert too_late.json()["code"] == "precondition_failed"
    assert (await client.get(f"{PATH}/{template['id']}")).json() == changed.json()
    assert (await client.delete(f"{PATH}/{template['id']}")).status_code == 204
    assert (await client.get(f"{PATH}/{template['id']}")).status_code == 404
    assert (await client.get(PATH)).json()["items"] == []


async def test_the_list_is_by_language_and_name_and_holds_no_texts(client):
    for name, language in [("b", "en"), ("Z", "de"), ("a", "de"), ("a", "en")]:
        assert (
            await client.post(PATH, json=GREETING | {"name": name, "language": language})
        ).status_code == 201

    everything = (await client.get(PATH)).json()
    german = (await client.get(PATH, params={"language": "de"})).json()

    assert [(each["language"], each["name"]) for each in everything["items"]] == [
        ("de", "a"),
        ("de", "Z"),
        ("en", "a"),
        ("en", "b"),
    ]
    assert [each["name"] for each in german["items"]] == ["a", "Z"]
    assert "text" not in everything["items"][0]
    assert "tracking_number" in everything["placeholders"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"text": "{{nothing}}"}, 422, "placeholder_unknown"),
        ({"text": "{{#each x}}{{order_id}}{{/each}}"}, 422, "placeholder_unknown"),
        ({"text": "  "}, 422, "invalid_request"),
        ({"text": "a" * 4_001}, 422, "invalid_request"),
        ({"text": "a\x00"}, 422, "invalid_request"),
        ({"language": "tlh"}, 422, "invalid_request"),
        ({"name": "\u200b \n"}, 422, "name_empty"),
        ({"name": "n" * 61}, 422, "name_too_long"),
        ({"name": "UNTERWEGS "}, 409, "template_name_taken"),
    ],
)
async def test_what_cannot_be_right_is_refused(client, change, status, code):
    await client.post(PATH, json=GREETING)

    answer = await client.post(PATH, json=GREETING | {"name": "Anders"} | change)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len((await client.get(PATH)).json()["items"]) == 1


async def test_two_at_once_do_not_both_get_a_name(client):
    answers = await asyncio.gather(*(client.post(PATH, json=GREETING) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_their_number_is_bounded(client, account, sessions):
    async with sessions.begin() as session:
        await session.execute(
            insert(ReplyTemplate),
            [
                {
                    "id": new_id(),
                    "account_id": account.id,
                    "name": f"{number}",
                    "name_key": f"{number}",
                    "language": "de",
                    "body_text": "x",
                }
                for number in range(MAX_TEMPLATES)
            ],
        )

    answer = await client.post(PATH, json=GREETING)

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_templates")


async def test_it_is_filled_with_what_is_known(client, signed_in, account, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        integration = await make_integration(session, account.id)
        known = await make_conversation(session, keyring, integration, buyer_name="Erika Beispiel")
    everything = "{{order_id}}|{{buyer_name}}|{{buyer_first_name}}|{{marketplace}}|{{store_name}}|{{agent_name}}|{{carrier}}"
    template = (await client.post(PATH, json=GREETING | {"text": everything})).json()

    filled = (await client.get(f"/api/v1/conversations/{known.id}/reply-templates/{template['id']}")).json()

    assert filled == {
        "text": f"{known.order_id}|Erika Beispiel|Erika|Amazon.de|{integration.store_name or integration.name}|{signed_in.user.name}|{{{{carrier}}}}",
        "missing": ["carrier"],
    }


async def test_another_accounts_templates_and_conversations_are_not_there(
    client, inbox, foreign_inbox, sign_in_as
):
    them = await sign_in_as(of=foreign_inbox.account)
    theirs = (await them.client.post(PATH, json=GREETING)).json()["id"]
    ours = (await client.post(PATH, json=GREETING)).json()["id"]

    answers = [
        await client.get(f"{PATH}/{theirs}"),
        await client.patch(f"{PATH}/{theirs}", json={"name": "Unsere"}),
        await client.delete(f"{PATH}/{theirs}"),
        await client.get(f"/api/v1/conversations/{inbox.conversation.id}/reply-templates/{theirs}"),
        await client.get(f"/api/v1/conversations/{foreign_inbox.conversation.id}/reply-templates/{ours}"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert (await them.client.get(PATH)).json()["items"][0]["name"] == "Unterwegs"


@pytest.mark.parametrize(("is_proven", "missing"), [(True, ["deliver_by"]), (False, None)])
async def test_it_is_filled_with_the_order_that_a_proven_mail_names(
    *, client, account, owner_sessions, keyring, is_proven, missing
):
    async with owner_sessions.begin() as session:
        integration = await make_integration(session, account.id)
        conversation = await make_conversation(session, keyring, integration)
        order = await make_order(
            session,
            keyring,
            integration,
            order_id=conversation.order_id,
            status="SHIPPED",
            ship_by=datetime(2026, 11, 30, 22, 59, tzinfo=UTC),
            total=Decimal("49.90"),
        )
        await make_order_item(session, keyring, order, title="Lampe {{order_id}}")
        await make_order_package(session, order)
        await make_conversation_order(session, conversation, order.order_id, is_proven=is_proven)
    names = [
        "order_status",
        "ship_by",
        "deliver_by",
        "order_total",
        "item_titles",
        "tracking_number",
        "carrier",
    ]
    text = "|".join(f"{{{{{name}}}}}" for name in names)
    template = (await client.post(PATH, json=GREETING | {"text": text})).json()

    filled = (
        await client.get(f"/api/v1/conversations/{conversation.id}/reply-templates/{template['id']}")
    ).json()

    assert filled["missing"] == (missing or names)
    if is_proven:
        assert filled["text"] == (
            "versandt|30. November 2026|{{deliver_by}}|49,90 €|Lampe order_id|00340434161094000000|DHL"
        )
