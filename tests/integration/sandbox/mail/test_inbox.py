"""Mail that is sent to the sandbox: accepted for anybody, shown, bounded, and gone after a reset."""

import asyncio
from email.message import EmailMessage

import aiosmtplib
import httpx2
from aiosmtpd.smtp import Envelope

from services.sandbox.mail.inbox import Inbox
from tests.integration.sandbox.conftest import fixed_clock

OWNER = "ada@shop.example"


def notice(to: str = OWNER, subject: str = "Ihre Anbindung braucht Sie", text: str = "Grüße") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Replyco <notices@replyco.example>", to, subject
    mail.set_content(text)
    mail.add_alternative(f"<p>{text}</p>", subtype="html")
    return mail


async def send(port: int, mail: EmailMessage) -> None:
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=port, start_tls=False)


async def test_mail_to_anybody_is_shown_with_envelope_headers_and_text(
    client: httpx2.AsyncClient, smtp_port: int
) -> None:
    await send(smtp_port, notice())

    [mail] = (await client.get("/control/inbox")).json()

    assert mail["envelope"] == {"from": "notices@replyco.example", "to": [OWNER]}
    assert mail["subject"] == "Ihre Anbindung braucht Sie"
    assert ["To", OWNER] in mail["headers"]
    assert mail["text"].strip() == "Grüße"
    raw = await client.get(f"/control/inbox/{mail['mail_id']}/raw")
    assert raw.headers["content-type"] == "message/rfc822"
    assert len(raw.content) == mail["bytes"]


async def test_mails_can_be_asked_for_by_recipient(client: httpx2.AsyncClient, smtp_port: int) -> None:
    await send(smtp_port, notice("other@shop.example"))
    await send(smtp_port, notice())

    found = (await client.get("/control/inbox", params={"to": OWNER.upper()})).json()

    assert [mail["envelope"]["to"] for mail in found] == [[OWNER]]


async def test_a_test_can_wait_for_a_mail(client: httpx2.AsyncClient, smtp_port: int) -> None:
    waiting = asyncio.create_task(
        client.get("/control/inbox", params={"to": OWNER, "count": 2, "wait_seconds": 10})
    )
    await send(smtp_port, notice())
    await send(smtp_port, notice())

    assert len((await waiting).json()) == 2
    nothing = await client.get("/control/inbox", params={"to": "nobody@x.example", "wait_seconds": 0.01})
    assert nothing.json() == []


async def test_only_the_last_mails_are_kept() -> None:
    inbox = Inbox(fixed_clock, max_mails=2)
    for number in range(3):
        envelope = Envelope()
        envelope.original_content = notice(subject=str(number)).as_bytes()
        await inbox.take(envelope, [OWNER])

    assert [mail.header("subject") for mail in inbox.mails.values()] == ["1", "2"]


async def test_a_mail_has_a_hundred_recipients_at_most(client: httpx2.AsyncClient, smtp_port: int) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False) as smtp:
        refused, _ = await smtp.sendmail("a@b.example", [f"u{n}@b.example" for n in range(101)], b"x\r\n")

    assert list(refused) == ["u100@b.example"]
    [mail] = (await client.get("/control/inbox")).json()
    assert len(mail["envelope"]["to"]) == 100


async def test_a_mail_that_no_program_can_read_is_shown_as_it_came(
    client: httpx2.AsyncClient, smtp_port: int
) -> None:
    broken = b"Subject: x\r\nContent-Type: text/plain; charset=no-such\r\n\r\nbody \xff\r\n"

    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False) as smtp:
        await smtp.sendmail("a@b.example", [OWNER], broken)

    [mail] = (await client.get("/control/inbox")).json()
    assert "body" in mail["text"]


async def test_inbox_is_empty_after_a_reset(client: httpx2.AsyncClient, smtp_port: int) -> None:
    await send(smtp_port, notice())
    await client.post("/control/reset")
    assert (await client.get("/control/inbox")).json() == []

    await send(smtp_port, notice())
    await client.delete("/control/inbox")
    assert (await client.get("/control/inbox")).json() == []
