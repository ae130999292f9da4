"""Certificates for tests, made on the spot."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "mx.test.example"


class CertificateFiles:
    """A self-signed certificate and its key in a folder, and a client that trusts what was ever made here."""

    def __init__(self, folder: Path, host: str = HOST, *, days: int = 1) -> None:
        self.host = host
        self._days = days
        self.certificate_file = folder / "certificate.pem"
        self.key_file = folder / "key.pem"
        self._trusted = ""
        self.renew()

    @property
    def settings(self) -> dict[str, Path]:
        return {"tls_certificate_file": self.certificate_file, "tls_key_file": self.key_file}

    def renew(self, *, has_expired: bool = False) -> None:
        """New files in the place of the old ones."""
        key = ec.generate_private_key(ec.SECP256R1())
        # A name for each: OpenSSL looks for trusted certificates by name and takes the first.
        self.serial_number = x509.random_serial_number()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(self.serial_number)[:40])])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(self.serial_number)
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=-1 if has_expired else self._days))
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.DNSName(self.host), x509.IPAddress(ip_address("127.0.0.1"))]
                ),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        self._trusted += pem.decode()
        self.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.certificate_file.write_bytes(pem)

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self._trusted)


def serial_number_of(connection: ssl.SSLObject) -> int:
    der = connection.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number
