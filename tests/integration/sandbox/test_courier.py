"""How mails travel: TLS where the relay offers it, patience where the relay is away."""

import asyncio
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
from services.sandbox.mail.courier import Courier, MailState
from services.sandbox.settings import SandboxSettings
from services.sandbox.state.memory import Sandbox, system_clock


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
    sandbox.sellers["A1LAMPENLADEN7"].enter_address("DE", "aaabbbccc@replyco.email")
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

    (mail,) = await Courier(sandbox).send(seller, BuyerMessage(seller.orders[0], "Hallo?"))

    assert (mail.state, mail.reply) == (MailState.DELIVERED, "encrypted")


async def test_mail_waits_for_a_relay_that_is_away(unused_tcp_port: int) -> None:
    sandbox = make_sandbox(unused_tcp_port)
    courier = Courier(sandbox)
    seller = sandbox.sellers["A1LAMPENLADEN7"]
    (mail,) = await courier.send(seller, BuyerMessage(seller.orders[0], "Hallo?"))
    assert (mail.state, mail.reply_code) == (MailState.RETRYING, None)

    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(TlsNoticing()), "127.0.0.1", unused_tcp_port
    )
    await mail.finished.wait()

    assert (mail.state, mail.reply) == (MailState.DELIVERED, "plain")
    server.close()
    await server.wait_closed()
    await courier.close()
