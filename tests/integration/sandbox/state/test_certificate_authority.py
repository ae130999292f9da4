"""The certificate by which clients check the sandbox's mail server, as a file."""

import ssl
from pathlib import Path

import pytest

from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings
from services.sandbox.state.certificate_authority import CertificateAuthority, CertificateFileUnusable


def test_the_certificate_is_in_the_file_of_the_setting_without_the_key(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"

    app = create_app(SandboxSettings(smtp_ca_file=file))

    assert file.read_text() == app.state.sandbox.smtp_authority.certificate_pem()
    assert "PRIVATE KEY" not in file.read_text()
    [authority] = ssl.create_default_context(cafile=file).get_ca_certs()
    assert authority["subject"] == ((("commonName", "Sandbox certificate authority"),),)


def test_a_file_that_cannot_be_written_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(CertificateFileUnusable, match="Set REPLYCO_SANDBOX_SMTP_CA_FILE"):
        create_app(SandboxSettings(smtp_ca_file=tmp_path / "no folder" / "ca.pem"))


def test_an_authority_survives_as_pem_and_a_broken_one_is_refused() -> None:
    authority = CertificateAuthority.shared()

    assert CertificateAuthority.from_pem(authority.to_pem()).certificate == authority.certificate
    with pytest.raises(ValueError, match="PEM"):
        CertificateAuthority.from_pem("no pem")
