"""What the settings alone tell: nothing here is asked of another server."""

import re
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from services.connector.settings import ConnectorSettings
from shared.doctor.findings import Finding, note, ok, warning, wrong

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Amazon's two forms of an application id, and the one of the credentials, which sellers' consent pages refuse (MD1000, MD4100).
_APPLICATION_ID: Final = re.compile(r"amzn1\.(sp\.solution|sellerapps\.app)\.[0-9a-f-]{36}")
_CLIENT_ID: Final = re.compile(r"amzn1\.application-oa2-client\.[0-9a-f]{32}")


# Amazon's reminder comes 90 days before.
_SECRET_TOLD: Final = timedelta(days=90)
_SECRET_SOON: Final = timedelta(days=30)
_SECRET_URGENT: Final = timedelta(days=7)


def settings_findings(settings: ConnectorSettings) -> list[Finding]:
    """Whether the settings fit Amazon's rules. With the sandbox in Amazon's place they need not."""
    if settings.amazon_base_url is not None:
        return [note("The sandbox stands in for Amazon: no real store can be connected.")]
    return [
        _application_id(settings),
        _client_id(settings),
        *_proxies(settings),
        *_public_url(settings),
        *_previous_secret(settings),
        *_ways_out(settings),
        *_notices(settings),
    ]


def end_of_client_secret(ends_at: datetime | None, now: datetime) -> Finding:
    """The nearer the louder, by the steps of the alarms in deploy/alerts. Amazon takes the old secret for seven days after a rotation."""
    if ends_at is None:
        return note(
            "When the client secret ends is not known: Amazon has not told, and `keys` has stored none."
        )
    left = ends_at - now
    if left > _SECRET_TOLD:
        return ok("The client secret is good for months.")
    text = f"The client secret ends on {ends_at:%Y-%m-%d}. Run `keys rotate-client-secret`."
    if left > _SECRET_SOON:
        return note(text)
    return warning(text) if left > _SECRET_URGENT else wrong(text)


def _application_id(settings: ConnectorSettings) -> Finding:
    if _APPLICATION_ID.fullmatch(settings.amazon_application_id):
        return ok("The application id has Amazon's form.")
    if _CLIENT_ID.fullmatch(settings.amazon_application_id):
        return wrong(
            "REPLYCO_AMAZON_APPLICATION_ID holds the LWA client id; Amazon's consent page answers MD1000. Set it to the id "
            "that begins with amzn1.sp.solution."
        )
    return wrong(
        "REPLYCO_AMAZON_APPLICATION_ID does not look like amzn1.sp.solution.… with a UUID. Copy it from Solution Provider Portal."
    )


def _client_id(settings: ConnectorSettings) -> Finding:
    if _CLIENT_ID.fullmatch(settings.amazon_client_id):
        return ok("The LWA client id has Amazon's form.")
    return wrong(
        "REPLYCO_AMAZON_CLIENT_ID does not look like amzn1.application-oa2-client.… Copy it from the application's LWA credentials."
    )


def _proxies(settings: ConnectorSettings) -> list[Finding]:
    if settings.proxies:
        named = ", ".join(str(proxy) for proxy in settings.proxies)
        return [
            ok(
                f"These proxies, and nobody else, are believed about a client's address: {named}. If another one comes, the log of `serve` "
                "holds forwarded_address_ignored."
            )
        ]
    if not settings.public_url.startswith("https:"):
        return []
    return [
        warning(
            "REPLYCO_TRUSTED_PROXIES is none: all clients seem to have the address of what ends TLS in front of `serve`, and share "
            "its limits. If that is a proxy which sends X-Forwarded-For, name its address; the log of `serve` then holds forwarded_address_ignored."
        )
    ]


def _public_url(settings: ConnectorSettings) -> list[Finding]:
    parts = urlsplit(settings.public_url)
    register = note(
        f"Register at Amazon: OAuth redirect URI {settings.redirect_uri} and OAuth login URI "
        f"{settings.public_url}/amazon/login. Whether they are, only Solution Provider Portal shows."
    )
    if parts.hostname in _LOOPBACK:
        return [
            wrong(
                "REPLYCO_PUBLIC_URL names this machine; Amazon sends sellers' browsers there. Set it to the address on the internet."
            ),
            register,
        ]
    if parts.scheme != "https":
        return [
            wrong("REPLYCO_PUBLIC_URL must begin with https://; Amazon registers no other address."),
            register,
        ]
    return [ok("The public address is one that Amazon registers."), register, _signing(settings)]


def _signing(settings: ConnectorSettings) -> Finding:
    # The key is the mail worker's alone.
    return note(
        f"Whether replies from {settings.mail_domain} are signed, and what its DNS lacks for that, says `python -m services.mailrelay dns "
        "--check`, run as the mail worker."
    )


def _previous_secret(settings: ConnectorSettings) -> list[Finding]:
    if settings.amazon_client_secret_previous is None:
        return []
    return [
        note(
            "REPLYCO_AMAZON_CLIENT_SECRET_PREVIOUS is set. Amazon takes that secret for seven days after a rotation; unset it then."
        )
    ]


def _ways_out(settings: ConnectorSettings) -> list[Finding]:
    if not settings.outgoing_allowed_networks:
        return []
    return [
        note(
            "REPLYCO_OUTGOING_ALLOWED_NETWORKS opens networks of yours to the SMTP servers and webhooks that sellers name. "
            "Unset it in production."
        )
    ]


def _notices(settings: ConnectorSettings) -> list[Finding]:
    if settings.notice_smtp_host is not None:
        return []
    return [
        note(
            "REPLYCO_NOTICE_SMTP_HOST is not set: mails to sellers, such as of a lock that turns red, wait until a mail "
            "server is named."
        )
    ]
