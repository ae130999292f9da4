"""A store's own server that is a real Postfix with SASL and TLS, as Debian has it: it takes replies, or says why not."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from shared.outgoing.addresses import networks
from shared.outgoing.connections import OutgoingConnections
from shared.tables import SmtpConfiguration
from tests.bench.postfix import running_postfix, why_not
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.integration.mailrelay.outbound.conftest import Senders, Shop, give_own_server, send_all
from tests.integration.mailrelay.outbound.peer import Peer
from tests.integration.shared.outgoing.conftest import HOST, Names, certificate, names

__all__ = ["certificate", "names"]

_SASLPASSWD = "saslpasswd2"
USER, PASSWORD, SENDER = "shop", "correct horse battery", "shop@seller.example"

pytestmark = pytest.mark.skipif(
    why_not() is not None or shutil.which(_SASLPASSWD) is None,
    reason=why_not() or "saslpasswd2 is not installed (Debian: apt-get install sasl2-bin)",
)

# A submission service: nobody without TLS and a password, and each user from their own address alone. What it takes goes to the test's server.
_SUBMISSION = """\
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = {host}
cyrus_sasl_config_path = {folder}/config/sasl
smtpd_tls_auth_only = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_sender_login_maps = inline:{{ {{ {sender} = {user}@{host} }} }}
smtpd_sender_restrictions = reject_sender_login_mismatch
default_transport = smtp:[127.0.0.1]:{port}
smtp_tls_security_level = none
local_header_rewrite_clients =
"""
_SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/sasldb2
mech_list: PLAIN LOGIN
"""


@pytest.fixture
def submission(certificate: CertificateFiles, peer: Peer) -> Iterator[int]:
    """Its port. Postfix's own processes must be able to enter the folder, which pytest's are not made for."""
    with tempfile.TemporaryDirectory(prefix="postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        # Debian's Postfix looks there.
        (folder / "config" / "sasl").mkdir(parents=True)
        (folder / "config" / "sasl" / "smtpd.conf").write_text(_SASL.format(folder=folder))
        subprocess.run(
            [_SASLPASSWD, "-p", "-c", "-f", folder / "sasldb2", "-u", HOST, USER],
            input=PASSWORD.encode(),
            check=True,
            capture_output=True,
        )
        shutil.chown(folder / "sasldb2", "postfix")
        more = _SUBMISSION.format(
            certificate=certificate.certificate_file,
            key=certificate.key_file,
            folder=folder,
            host=HOST,
            sender=SENDER,
            user=USER,
            port=peer.port,
        )
        with running_postfix(folder, more=more) as port:
            yield port


def outgoing(names: Names, certificate: CertificateFiles) -> OutgoingConnections:
    return OutgoingConnections(
        allowed=networks("127.0.0.1/32"),
        resolve=names.resolve,
        new_tls_context=certificate.client_context,
    )


async def reply_through(
    submission: int, senders: Senders, shop: Shop, ways: OutgoingConnections, **columns: Any
) -> Any:
    values = {"host": HOST, "port": submission, "username": f"{USER}@{HOST}"}
    values |= {"password": PASSWORD, "sender_address": SENDER}
    await give_own_server(shop, **values | columns)
    reply = await shop.reply(await shop.question(), text="Grüße.\n.\n..\nvom Laden")
    sender = senders(None, outgoing=ways)
    await send_all(sender)
    await sender.close()
    return await shop.row(reply)


async def test_the_right_password_sends_the_reply(  # noqa: PLR0917 - fixtures
    submission: int, senders: Senders, shop: Shop, peer: Peer, names: Names, certificate: CertificateFiles
):
    row = await reply_through(submission, senders, shop, outgoing(names, certificate))

    [taken] = await peer.until_mails(1)
    mail = message_from_bytes(taken.raw, policy=policy.default)
    assert (row.state, row.transport, row.sent_from) == ("handed_over", "own", SENDER)
    assert (taken.sender, mail["From"]) == (SENDER, SENDER)
    assert mail.get_content().splitlines() == ["Grüße.", ".", "..", "vom Laden"]
    assert mail["Message-ID"] == f"<{row.id.hex}.1@replyco.email>"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"password": "wrong"}, "535 5.7.8"),
        ({"sender_address": "other@seller.example"}, "553 5.7.1"),
    ],
)
async def test_a_refusal_is_told_with_the_servers_words(  # noqa: PLR0917 - fixtures
    submission: int,
    senders: Senders,
    shop: Shop,
    names: Names,
    certificate: CertificateFiles,
    columns: dict[str, Any],
    said: str,
):
    row = await reply_through(submission, senders, shop, outgoing(names, certificate), **columns)

    assert (row.state, row.failure) == ("failed", "smtp_refused")
    assert (await shop.server_words(row.id) or "").startswith(said)
    async with shop.sessions() as session:
        stored = await session.get_one(SmtpConfiguration, shop.integration.id)
    assert stored.refused_since is not None


async def test_a_certificate_of_another_name_waits_to_be_mended(
    submission: int, senders: Senders, shop: Shop, names: Names, certificate: CertificateFiles
):
    names.say("other.seller.example", ["127.0.0.1"])

    row = await reply_through(
        submission, senders, shop, outgoing(names, certificate), host="other.seller.example"
    )

    assert row.state == "delayed"
    assert "other.seller.example" in (await shop.server_words(row.id) or "")


@pytest.fixture
def expired(certificate: CertificateFiles) -> CertificateFiles:
    certificate.renew(has_expired=True)
    return certificate


async def test_a_certificate_that_has_expired_waits_to_be_mended(
    expired: CertificateFiles, submission: int, senders: Senders, shop: Shop, names: Names
):
    row = await reply_through(submission, senders, shop, outgoing(names, expired))

    assert row.state == "delayed"
    assert await shop.server_words(row.id) == "TLS: certificate has expired"
