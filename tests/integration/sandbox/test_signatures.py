"""The sandbox's mails are signed as Amazon's are, its name server has the keys, and what is forged is not signed."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from services.mailrelay.parsing.mail import parse_mail
from services.sandbox.app import create_app
from services.sandbox.mail.name_server import Listeners, listen
from services.sandbox.settings import SandboxSettings
from tests.integration.sandbox.conftest import Mailbox, Seller, fixed_clock
from tests.integration.sandbox.test_buyer_mail import LAMPENLADEN, enter, first_order, write


@pytest.fixture
async def name_server(settings: SandboxSettings) -> AsyncIterator[Listeners]:
    listeners = listen("127.0.0.1", 0)
    app = create_app(settings, fixed_clock, dns_listeners=listeners)
    async with app.router.lifespan_context(app):
        yield listeners


async def ask(listeners: Listeners, name: str, kind: str = "TXT") -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=True)
    return await dns.asyncquery.udp(query, "127.0.0.1", port=listeners.port, timeout=10)


async def test_a_buyers_mail_is_signed_by_the_store_and_by_amazons_mail_service(
    seller: Seller, mailbox: Mailbox
) -> None:
    await enter(seller)

    await write(seller, await first_order(seller))

    raw = mailbox.envelopes[0].original_content
    assert isinstance(raw, bytes)
    assert raw.count(b"DKIM-Signature:") == 2
    assert b"d=amazon.de;" in raw
    assert b"d=amazonses.com;" in raw


@pytest.mark.parametrize(
    ("forgery", "claim"), [("unsigned", "from_domain"), ("lookalike", "lookalike_domain")]
)
async def test_a_forgery_is_not_signed(seller: Seller, mailbox: Mailbox, forgery: str, claim: str) -> None:
    await enter(seller)

    answer = await write(seller, await first_order(seller), forgery=forgery)

    assert answer.status_code == 201
    raw = mailbox.envelopes[0].original_content
    assert isinstance(raw, bytes)
    assert b"DKIM-Signature:" not in raw
    assert parse_mail(raw).claim == claim


@pytest.mark.parametrize("country", ["DE", "FR"])
async def test_a_verification_mail_tells_the_code(seller: Seller, mailbox: Mailbox, country: str) -> None:
    await enter(seller, country=country)

    answer = await seller.client.post(
        "/control/verification-mails", json={"seller_id": LAMPENLADEN, "country": country}
    )

    raw = mailbox.envelopes[0].original_content
    assert isinstance(raw, bytes)
    assert b"DKIM-Signature:" in raw
    mail = parse_mail(raw)
    assert mail.kind == "verification"
    assert mail.verification_code == answer.json()["code"]


async def test_a_verification_mail_goes_nowhere_before_an_address_is_entered(seller: Seller) -> None:
    wanted = {"seller_id": LAMPENLADEN, "country": "DE"}

    assert (await seller.client.post("/control/verification-mails", json=wanted)).status_code == 409
    page = await seller.client.post("/buyer/verification", data=wanted)
    assert (page.status_code, 'id="no-address"' in page.text) == (409, True)


async def test_the_page_sends_forgeries_and_verification_mails(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    order = await first_order(seller)
    store = {"seller_id": LAMPENLADEN, "country": "DE"}
    form = {**store, "order_id": order["order_id"], "kind": "other", "message": "Hallo?"}

    shown = await seller.client.get("/buyer", params=store)
    assert 'id="forgery"' in shown.text
    assert (await seller.client.post("/buyer", data={**form, "forgery": "unsigned"})).status_code == 303
    assert (await seller.client.post("/buyer/verification", data=store)).status_code == 303

    assert [b"DKIM-Signature:" in (e.original_content or b"") for e in mailbox.envelopes] == [False, True]


async def test_the_name_server_knows_amazons_domains_and_nothing_else(name_server: Listeners) -> None:
    key = await ask(name_server, "sandbox._domainkey.amazon.de")
    policy = await ask(name_server, "_DMARC.Amazon.DE")
    nothing = await ask(name_server, "unknown.example")

    assert "v=DKIM1; k=rsa; p=" in key.answer[0].to_text()
    assert "v=DMARC1" in policy.answer[0].to_text()
    assert nothing.rcode() == dns.rcode.NXDOMAIN


async def test_the_name_server_survives_what_is_no_question(name_server: Listeners) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for junk in (b"", b"\0", b"x" * 600):
            sender.sendto(junk, ("127.0.0.1", name_server.port))

    assert (await ask(name_server, "amazon.de")).answer


async def test_the_key_outlives_a_restart(settings: SandboxSettings, tmp_path: Path) -> None:
    kept = settings.model_copy(update={"state_file": tmp_path / "sandbox.json"})
    first = create_app(kept, fixed_clock).state.sandbox.signer

    again = create_app(kept, fixed_clock).state.sandbox.signer

    assert again.to_pem() == first.to_pem()
