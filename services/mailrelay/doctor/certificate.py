"""The certificate that senders see after STARTTLS."""

import os
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry

from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.settings import RelaySettings
from services.mailrelay.smtp.starttls import Certificate, CertificateUnusable
from shared.crypto.certificate_chains import end_of_chain, names_of_chain
from shared.doctor.findings import Finding, note, ok, warning, wrong

# As the alarms in deploy/alerts.
_SOON: Final = timedelta(days=14)
_URGENT: Final = timedelta(days=3)


def certificate_findings(settings: RelaySettings, now: datetime) -> list[Finding]:
    """Whether it can be used, whose it is, and how long it is good."""
    missing = [
        path
        for path in (settings.tls_certificate_file, settings.tls_key_file)
        # Path.exists() raises where a folder above is closed to this user, as certbot's is.
        if path is not None and not os.access(path, os.F_OK)
    ]
    if missing:
        return [
            wrong(
                f"{missing[0]} is not there, or this user may not look for it. Has the certificate been made? What gets it "
                "(replyco-certificate.service, Caddy) says in its log why not."
            )
        ]
    try:
        certificate = Certificate.configured(settings, RelayMetrics(CollectorRegistry()))
    except CertificateUnusable as unusable:
        return [wrong(str(unusable))]
    if certificate is None or settings.tls_certificate_file is None:
        return [note("There is no certificate, so that mail comes unencrypted.")]
    pem = settings.tls_certificate_file.read_bytes()
    return [_end(end_of_chain(pem), now), _name(names_of_chain(pem), settings.smtp_hostname)]


def _end(ends_at: datetime | None, now: datetime) -> Finding:
    if ends_at is None:
        return warning("The certificate can be used; when it ends cannot be read.")
    if ends_at <= now:
        return wrong(
            f"The certificate ended on {ends_at:%Y-%m-%d}: senders that check it send nothing. Renew it; the relay reads it again by itself."
        )
    text = f"The certificate is good until {ends_at:%Y-%m-%d}."
    if ends_at - now > _SOON:
        return ok(text)
    text = f"{text} Why is it not renewed? Look into the log of what renews it."
    return warning(text) if ends_at - now > _URGENT else wrong(text)


def _name(names: frozenset[str], hostname: str) -> Finding:
    name = hostname.rstrip(".").lower()
    if name in names or f"*.{name.partition('.')[2]}" in names:
        return ok(f"The certificate is for {name}.")
    return wrong(
        f"The certificate is not for {name}, the name of REPLYCO_SMTP_HOSTNAME: senders that check it send nothing. Get one for that name."
    )
