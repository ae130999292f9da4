"""Sending: the same bytes again after a temporary refusal, TLS where it is offered, and an end to all attempts."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.sandbox.mail.buyer_mail import BuyerMessage
from services.sandbox.mail.sender import MailSender, MailState
from services.sandbox.settings import SandboxSettings
from services.sandbox.state.memory import Sandbox, system_clock
from tests.integration.sandbox.conftest import Mailbox, Seller
from tests.integration.sandbox.writing import enter, first_order, write


async def test_bytes_on_the_wire_are_the_bytes_reported(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    text = ".\r\n..\n.leading dot\n" + "x" * 1_500

    sent = (await write(seller, await first_order(seller), text=text)).json()["mails"][0]

    content = mailbox.envelopes[0].original_content
    assert isinstance(content, bytes)
    assert hashlib.sha256(content).hexdigest() == sent["sha256"]
    assert sent["reply_code"] == 250
    assert sent["reply"] == "2.0.0 Accepted"
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    raw = await seller.client.get(f"/control/mails/{sent['mail_id']}/raw")
    assert raw.content == content


async def test_temporary_refusal_is_tried_again_with_the_same_bytes(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    mailbox.replies = ["451 4.3.0 later", "451 4.3.0 later"]

    sent = (await write(seller, await first_order(seller))).json()["mails"][0]
    assert (sent["state"], sent["reply_code"]) == ("retrying", 451)
    done = (await seller.client.get(f"/control/mails/{sent['mail_id']}?wait_seconds=20")).json()

    assert (done["state"], done["attempts"], done["sha256"]) == ("delivered", 3, sent["sha256"])


async def test_final_refusal_is_not_tried_again(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    mailbox.replies = ["550 5.1.1 unknown"]

    sent = (await write(seller, await first_order(seller))).json()["mails"][0]

    assert (sent["state"], sent["reply"], sent["attempts"]) == ("refused", "5.1.1 unknown", 1)


async def test_retries_end(seller: Seller, mailbox: Mailbox) -> None:
    await enter(seller)
    mailbox.replies = ["451 later"] * 20

    sent = (await write(seller, await first_order(seller))).json()["mails"][0]
    done = (await seller.client.get(f"/control/mails/{sent['mail_id']}?wait_seconds=20")).json()

    assert (done["state"], done["attempts"]) == ("given_up", 8)


class TlsNoticing:
    """Answers with whether the mail came encrypted."""

    async def handle_DATA(self, _server: SMTP, session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return "250 encrypted" if session.ssl is not None else "250 plain"


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.invalid")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(system_clock() - timedelta(days=1))
        .not_valid_after(system_clock() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "relay.pem"
    file.write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def make_sandbox(port: int) -> Sandbox:
    sandbox = Sandbox(
        SandboxSettings(relay_host="127.0.0.1", relay_port=port, first_retry_seconds=0.01), system_clock
    )
    sandbox.sellers["A1LAMPENLADEN7"].addresses_in("DE").append("aaabbbccc@replyco.email")
    return sandbox


@pytest.fixture
async def tls_port(tmp_path: Path) -> AsyncIterator[int]:
    context = self_signed(tmp_path)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(TlsNoticing(), tls_context=context), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def test_tls_is_used_where_it_is_offered_whoever_signed_the_certificate(tls_port: int) -> None:
    sandbox = make_sandbox(tls_port)
    seller = sandbox.sellers["A1LAMPENLADEN7"]

    (mail,) = await MailSender(sandbox).send(seller, BuyerMessage(seller.orders[0], "Hallo?"))

    assert (mail.state, mail.reply) == (MailState.DELIVERED, "encrypted")


async def test_mail_waits_for_a_relay_that_is_away(unused_tcp_port: int) -> None:
    sandbox = make_sandbox(unused_tcp_port)
    sender = MailSender(sandbox)
    seller = sandbox.sellers["A1LAMPENLADEN7"]
    (mail,) = await sender.send(seller, BuyerMessage(seller.orders[0], "Hallo?"))
    assert (mail.state, mail.reply_code) == (MailState.RETRYING, None)

    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(TlsNoticing()), "127.0.0.1", unused_tcp_port
    )
    await mail.finished.wait()

    assert (mail.state, mail.reply) == (MailState.DELIVERED, "plain")
    server.close()
    await server.wait_closed()
    await sender.close()
