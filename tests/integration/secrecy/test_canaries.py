"""A mail goes all its way, into every failure that we can make on it, and is read: nothing of it, and nothing that lets
anybody in, is seen in a log line, in a metric, or in a column that is not sealed."""

import json
from email.message import EmailMessage

import asyncpg
import pytest

from deploy.demo.postgres import OWNER
from services.connector.dependencies import CSRF_HEADER
from services.mailrelay.delivery.service import deliver_due
from shared.driver import asyncpg_dsn
from shared.metrics import render
from tests.conftest import Database
from tests.factories import make_integration, make_relay_address
from tests.integration.connector.conftest import PASSWORD
from tests.integration.connector.replies.conftest import make_thread
from tests.integration.mailrelay.accepting import DOMAIN, running_relay
from tests.signing import signed

OF_THE_MAIL = {
    "name": "Canaria Geheim",
    "address": "canary7of0a1buyer@marketplace.amazon.de",
    "subject": "canarysubject",
    "text": "canary words that only the buyer and the seller know",
    "filename": "canaryfile.jpg",
    "content": "canary content of the file",
    "helo": "canary-helo.example",
    "recipient": f"canary-recipient@{DOMAIN}",
}
_WRONG_PASSWORD = "canary wrong password"


def the_mail() -> bytes:
    mail = EmailMessage()
    mail["From"] = f'"{OF_THE_MAIL["name"]}" <{OF_THE_MAIL["address"]}>'
    mail["To"] = f"mabtekrud@{DOMAIN}"
    mail["Subject"] = f"{OF_THE_MAIL['subject']} (Bestellung: 303-1234567-1234567)"
    mail["Message-ID"] = "<canary@marketplace.amazon.de>"
    mail.set_content(OF_THE_MAIL["text"])
    mail.add_alternative(f"<p>{OF_THE_MAIL['text']}</p>", subtype="html")
    mail.add_attachment(
        OF_THE_MAIL["content"].encode(), maintype="image", subtype="jpeg", filename=OF_THE_MAIL["filename"]
    )
    return signed(mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


async def _as_owner(database: Database, *statements: str) -> None:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def everything_stored(database: Database) -> str:
    """Every row of every table as text; bytea as its hexadecimal digits."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'public'"
        )
        rows = [
            str(row[0])
            for table in tables
            for row in await connection.fetch(f"SELECT t::text FROM {table['name']} t")
        ]
    finally:
        await connection.close()
    return "\n".join(rows)


@pytest.fixture
async def address(account, sessions):
    """The relay address of a store of `account`."""
    async with sessions.begin() as session:
        integration = await make_integration(session, account.id)
        return await make_relay_address(session, integration, local_part="mabtekrud")


@pytest.fixture
async def received(logged, database, keys, address, delivery):
    """The mail has come by SMTP and is delivered, at the second attempt: the first fails as nobody expects."""
    async with running_relay(database, keys) as relay, relay.client() as smtp:
        assert (await smtp.say(f"EHLO {OF_THE_MAIL['helo']}")).startswith("250")
        assert (await smtp.say(f"MAIL FROM:<{OF_THE_MAIL['address']}>")).startswith("250")
        assert (await smtp.say(f"RCPT TO:<{OF_THE_MAIL['recipient']}>")).startswith("550")
        assert (await smtp.say(f"RCPT TO:<{address.local_part}@{DOMAIN}>")).startswith("250")
        assert (await smtp.say("DATA")).startswith("354")
        smtp.send(the_mail() + b"\r\n.\r\n")
        assert (await smtp.reply()).startswith("250 2.0.0")
    await _as_owner(database, "ALTER TABLE attachments RENAME TO away")
    assert await deliver_due(delivery) == 1
    await _as_owner(
        database, "ALTER TABLE away RENAME TO attachments", "UPDATE accepted_mail SET next_attempt_at = now()"
    )
    assert await deliver_due(delivery) == 1
    return address


async def test_a_mail_leaves_no_trace_outside_of_its_seals(logged, database, received, signed_in, app):
    client, api = signed_in.client, "/api/v1"
    conversation = (await client.get(f"{api}/conversations")).json()["items"][0]
    read = (await client.get(f"{api}/conversations/{conversation['id']}")).json()
    messages = f"{api}/conversations/{conversation['id']}/messages"
    message = (await client.get(messages)).json()["items"][0]
    attachment = f"{api}/messages/{message['id']}/attachments/{message['attachments'][0]['id']}"
    assert (await client.get(attachment)).content == OF_THE_MAIL["content"].encode()
    assert OF_THE_MAIL["text"].encode() in (await client.get(f"{api}/messages/{message['id']}/raw")).content
    assert OF_THE_MAIL["text"] in (await client.get(f"{api}/messages/{message['id']}/html")).text
    for query in (OF_THE_MAIL["subject"], OF_THE_MAIL["text"], OF_THE_MAIL["address"]):
        found = await client.post(f"{api}/conversations/search", json={"q": query})
        assert [item["id"] for item in found.json()["items"]] == [conversation["id"]]
    await _as_owner(database, "ALTER TABLE attachments RENAME TO away")
    assert (await client.get(messages)).status_code == 500
    await _as_owner(
        database,
        "ALTER TABLE away RENAME TO attachments",
        "UPDATE messages SET body_text = subject",
        "UPDATE attachments SET content = filename",
    )
    assert (await client.get(messages)).json()["items"][0]["problem"] == "seal_broken"
    assert (await client.get(attachment)).status_code == 500

    lines = logged.getvalue()
    # What is looked for was really there, and the logs really tell of it.
    seen = json.dumps([read, message], ensure_ascii=False)
    for part in ("name", "address", "subject", "text", "filename"):
        assert OF_THE_MAIL[part] in seen, part
    for told in ("session_ended", "mail_put_off", "unexpected_error", "seal_broken"):
        assert told in lines, told
    stored = await everything_stored(database)
    assert received.local_part in stored
    metrics = render(app.state.connector.registry).decode()
    for part, canary in OF_THE_MAIL.items():
        assert canary not in lines, part
        assert canary not in stored, part
        assert canary.encode().hex() not in stored, part
        assert canary not in metrics, part


async def test_a_reply_leaves_no_trace_outside_of_its_seals(
    *, logged, database, signed_in, app, owner_sessions, keyring, account
):
    thread = await make_thread(owner_sessions, keyring, account)
    client, words = signed_in.client, "canary words of an agent, +49 30 1234567"
    uploaded = (await thread.upload(client, "canaryfile.pdf", b"%PDF-canary content")).json()
    refused = await thread.upload(client, "canaryprogram.exe", b"MZ canary content")
    await client.put(f"{thread.path}/draft", json={"text": words})
    conflict = await client.put(f"{thread.path}/draft", json={"text": "x"}, headers={"If-Match": '"9"'})
    warned = await thread.post(client, words)
    checked = await client.post(f"{thread.path}/replies/check", json={"text": words})
    reply = await thread.reply(client, words, file_ids=[uploaded["id"]], confirmed_warnings=["phone_number"])
    await client.post(f"/api/v1/replies/{reply['id']}/cancel")
    await thread.reply(client, words, file_ids=[uploaded["id"]], confirmed_warnings=["phone_number"])
    await _as_owner(database, "ALTER TABLE reply_files RENAME TO away")
    broken = await client.get(f"{thread.path}/replies")
    await _as_owner(database, "ALTER TABLE away RENAME TO reply_files")

    lines, stored = logged.getvalue(), await everything_stored(database)
    metrics = render(app.state.connector.registry).decode()
    assert [each.status_code for each in (refused, conflict, warned, broken)] == [422, 412, 422, 500]
    assert "30 1234567" in warned.text
    assert words in conflict.text
    assert "30 1234567" in checked.text
    assert "unexpected_error" in lines
    for canary in ("canary words", "30 1234567", "canaryfile", "canaryprogram", "canary content"):
        assert canary not in lines
        assert canary not in stored
        assert canary.encode().hex() not in stored
        assert canary not in metrics


async def test_what_lets_somebody_in_is_neither_logged_nor_stored(
    logged, database, signed_in, nobody, api_key_client
):
    for password, status in ((_WRONG_PASSWORD, 401), (PASSWORD, 201)):
        body = {"email": signed_in.user.email, "password": password}
        assert (await nobody.post("/api/v1/sessions", json=body)).status_code == status
    malformed = await nobody.post("/api/v1/sessions", content=f'{{"password": "{_WRONG_PASSWORD}"')
    unknown_field = await nobody.post(
        "/api/v1/sessions", json={"email": "a@b.example", "pasword": _WRONG_PASSWORD}
    )
    made = await signed_in.client.post(
        "/api/v1/api-keys", json={"name": "Helpdesk", "permissions": {"inbox.messages": "view"}}
    )
    key = made.json()["key"]
    program = await api_key_client()
    assert (await program.get("/api/v1/me")).status_code == 200
    cookies = [signed_in.token, *nobody.cookies.values()]

    lines, stored = logged.getvalue(), await everything_stored(database)
    assert "signed_in" in lines
    assert "api_key_created" in lines
    # The session, and what the browser is known by.
    assert len(cookies) == 3
    bearer = program.headers["authorization"].removeprefix("Bearer ")
    csrf_token = signed_in.client.headers[CSRF_HEADER]
    for canary in (PASSWORD, _WRONG_PASSWORD, key, bearer, csrf_token, *cookies):
        assert canary not in lines
        assert canary not in stored
        assert canary.encode().hex() not in stored
        assert canary not in malformed.text
        assert canary not in unknown_field.text
