"""A message's HTML as a document for a sandboxed frame, with the images that the mail brings along."""

import asyncio
import time
from base64 import b64encode
from typing import Any

import pytest

from services.connector.http.language import Language
from services.connector.inbox.html_document import MAX_HTML_BYTES, MAX_IMAGE_BYTES, MAX_TAGS, document
from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.tables import Attachment, Conversation, Message
from tests.factories import make_attachment, make_message
from tests.integration.connector.inbox.conftest import Worker

_PNG = b"\x89PNG\r\n\x1a\n not much of a lamp"
_HTML = '<p>Größe?</p><img src="cid:lamp@x" alt="Lampe"><a href="https://a.example/">hier</a>'


@pytest.fixture
async def message(inbox, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        return await make_message(session, keyring, inbox.conversation, html=_HTML)


async def _image(worker: Worker, message: Message, **values: Any) -> str:
    return await worker.attachment(
        message, **{"content": _PNG, "sniffed_type": "image/png", "content_id": "lamp@x"} | values
    )


async def test_the_document_runs_and_loads_nothing(client, message, worker):
    await _image(worker, message)

    answer = await client.get(f"/api/v1/messages/{message.id}/html", headers={"Accept-Language": "de"})

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    [policy] = answer.headers.get_list("content-security-policy")
    assert policy.startswith(
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:;"
    )
    for forbidden in ("allow-scripts", "allow-same-origin", "unsafe", "http"):
        assert forbidden not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store, private"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert f'<img src="data:image/png;base64,{b64encode(_PNG).decode()}" alt="Lampe">' in answer.text
    assert "<p>Größe?</p>" in answer.text
    assert "[a.example]</bdi>" in answer.text


@pytest.mark.parametrize(
    ("dest", "site", "is_seen"),
    [
        ("iframe", "same-origin", True),
        ("iframe", "cross-site", False),
        ("document", "same-origin", False),
        ("object", "same-origin", False),
    ],
)
async def test_only_our_own_page_sees_how_tall_the_document_is(*, client, message, dest, site, is_seen):
    headers = {"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": site}

    answer = await client.get(f"/api/v1/messages/{message.id}/html", headers=headers)

    policy = answer.headers["content-security-policy"]
    assert ("allow-same-origin" in policy) is is_seen
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"scan": "infected"}, id="infected"),
        pytest.param({"sniffed_type": "text/html"}, id="no image"),
        pytest.param({"sniffed_type": "image/svg+xml"}, id="an image that runs"),
        pytest.param({"sniffed_type": None}, id="never looked at"),
        pytest.param({"content_id": "other@x"}, id="another one"),
        pytest.param({"content_id": None}, id="not for the HTML"),
    ],
)
async def test_an_image_that_is_none_is_left_out_and_said_to_be(client, message, worker, values):
    await _image(worker, message, **values)

    text = (await client.get(f"/api/v1/messages/{message.id}/html", headers={"Accept-Language": "de"})).text

    assert "data:" not in text
    assert 'Lampe <span class="left-out">[Bild nicht geladen]</span>' in text


async def test_images_beyond_the_bound_are_left_out(client, inbox, owner_sessions, keyring, worker):
    async with owner_sessions.begin() as session:
        html = "".join(f'<img src="cid:{number}">' for number in range(4))
        message = await make_message(session, keyring, inbox.conversation, html=html)
    for number in range(4):
        content = _PNG + bytes(MAX_IMAGE_BYTES // 2 - len(_PNG))
        await _image(worker, message, content=content, content_id=str(number), position=number)

    text = (await client.get(f"/api/v1/messages/{message.id}/html")).text

    assert (text.count("data:image/png"), text.count("not loaded")) == (2, 2)


@pytest.mark.parametrize(
    "html",
    [
        pytest.param("<b></b>" * MAX_TAGS, id="tags"),
        pytest.param("x" * (MAX_HTML_BYTES + 1), id="bytes"),
    ],
)
async def test_html_of_an_earlier_version_that_is_too_large_is_shown_as_text(
    client, inbox, owner_sessions, keyring, html
):
    async with owner_sessions.begin() as session:
        message = await make_message(session, keyring, inbox.conversation, html=html, text="1 < 2?")

    answer = await client.get(f"/api/v1/messages/{message.id}/html")

    assert answer.status_code == 200
    assert "<pre>1 &lt; 2?</pre>" in answer.text


async def test_what_takes_long_is_not_done_by_the_thread_that_answers_everybody(
    client, inbox, owner_sessions, keyring
):
    """The largest HTML that is shown: of the time of its thread, the loop gives it a small part of what it takes."""
    html = "<p>x</p>" * (MAX_TAGS // 2)
    async with owner_sessions.begin() as session:
        message = await make_message(session, keyring, inbox.conversation, html=html)
    started = time.thread_time()
    document(html, {}, Language.EN, is_quarantined=False)
    alone = time.thread_time() - started
    longest, turn = 0.0, time.thread_time()
    answer = asyncio.create_task(client.get(f"/api/v1/messages/{message.id}/html"))

    while not answer.done():
        turn = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - turn)

    assert (await answer).text.count("<p>x</p>") == MAX_TAGS // 2
    assert longest < alone / 2


async def test_in_quarantine_no_link_is_clickable_and_no_image_is_shown(
    client, inbox, message, worker, owner_sessions
):
    await _image(worker, message)
    async with owner_sessions.begin() as session:
        (await session.get_one(Conversation, inbox.conversation.id)).status = "quarantine"

    answer = await client.get(f"/api/v1/messages/{message.id}/html")

    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "<a " not in answer.text
    assert "data:" not in answer.text
    assert "hier <bdi" in answer.text


async def test_an_image_that_does_not_open_costs_only_itself(client, message, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        made = await make_attachment(
            session, keyring, message, content=_PNG, sniffed_type="image/png", content_id="lamp@x"
        )
        (await session.get_one(Attachment, (made.id, message.id))).content = Sealed(b"\1" + b"x" * 60)

    answer = await client.get(f"/api/v1/messages/{message.id}/html")

    assert answer.status_code == 200
    assert "<p>Größe?</p>" in answer.text
    assert "data:" not in answer.text


async def test_who_has_no_html_has_no_document(client, inbox, worker, foreign_inbox):
    plain = await worker.message(inbox)
    foreign = await worker.message(foreign_inbox, html=_HTML)

    for message_id in (plain.id, foreign.id, new_id()):
        answer = await client.get(f"/api/v1/messages/{message_id}/html")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
