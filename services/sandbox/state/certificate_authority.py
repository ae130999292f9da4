"""The certificate authority that vouches for the sandbox's SMTP server. A client that has its certificate can check the server's."""

import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

_LIFE: Final = timedelta(days=3650)
_HOST_NAMES: Final = ("localhost", "sandbox.localhost")
_HOST_ADDRESSES: Final = ("127.0.0.1", "::1")


class CertificateFileUnusable(Exception):
    """The file cannot be written; the text names the setting and the cure."""


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A key and its self-signed certificate."""

    key: EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    @cache
    def shared(cls) -> Self:
        """One for all sandboxes of a process that bring none."""
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sandbox certificate authority")])
        certificate = _sign(key, name, key, name, is_authority=True)
        return cls(key, certificate)

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        """Key and certificate of a PEM file. Raises ValueError."""
        key = load_pem_private_key(pem.encode(), None)
        if isinstance(key, EllipticCurvePrivateKey):
            return cls(key, x509.load_pem_x509_certificate(pem.encode()))
        raise ValueError("no EC key")

    def to_pem(self) -> str:
        return _key_pem(self.key) + self.certificate_pem()

    def certificate_pem(self) -> str:
        """What a client needs to trust the server."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def write_certificate(self, path: Path) -> None:
        """Put the certificate into a file that clients read. Raises CertificateFileUnusable."""
        try:
            path.write_text(self.certificate_pem())
        except OSError as error:
            raise CertificateFileUnusable(
                f"The certificate cannot be written to {path} ({os.strerror(error.errno or 0)}). "
                "Set REPLYCO_SANDBOX_SMTP_CA_FILE to a file that can be written."
            ) from None

    def server_context(self) -> ssl.SSLContext:
        """For a server on this machine, with a new key and a certificate for the names and addresses of `localhost`."""
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _HOST_NAMES[0])])
        certificate = _sign(key, name, self.key, self.certificate.subject, is_authority=False)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module reads certificates from files alone.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "server.pem"
            file.touch(mode=0o600)
            file.write_text(_key_pem(key) + certificate.public_bytes(Encoding.PEM).decode())
            context.load_cert_chain(file)
        return context


def _sign(
    key: EllipticCurvePrivateKey,
    subject: x509.Name,
    issuer_key: EllipticCurvePrivateKey,
    issuer: x509.Name,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        # Which a strict client demands of an authority (RFC 5280 §4.2.1.3).
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not is_authority:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in _HOST_NAMES]
        names += [x509.IPAddress(ip_address(address)) for address in _HOST_ADDRESSES]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_pem(key: EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
