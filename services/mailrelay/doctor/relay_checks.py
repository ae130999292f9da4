"""What `doctor serve` looks at: everything that accepting mail needs."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from services.mailrelay.dns_setup.check import DnsLookup, check_mail_host
from services.mailrelay.dns_setup.records import RecordCheck, RecordStatus
from services.mailrelay.doctor.certificate import certificate_findings
from services.mailrelay.doctor.ports import PUBLIC_PORT, side_port, smtp_ports
from services.mailrelay.process.privileges import PrivilegesNotDropped, drop_privileges_to
from services.mailrelay.settings import RelaySettings
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.raw_mail import MailPublicKey
from shared.doctor.blob_store import blob_findings
from shared.doctor.database import Rights, database_findings
from shared.doctor.findings import Finding, note, ok, unsafe_findings, warning, wrong
from shared.process import key_file_cure

if TYPE_CHECKING:
    from shared.doctor.database import Connection

_RIGHTS: Final = Rights(
    "replyco_relay",
    needed=(("relay_addresses", "SELECT"), ("accepted_mail", "INSERT"), ("proven_networks", "SELECT")),
    # The internet talks to it.
    forbidden=(
        ("accepted_mail", "SELECT", "may read accepted mail"),
        ("messages", "SELECT", "may read messages"),
        ("grants", "SELECT", "may read the tokens of stores"),
        ("users", "SELECT", "may read who signs in"),
    ),
)


async def examine_relay(
    settings: RelaySettings, ask: DnsLookup, *, public_port: int = PUBLIC_PORT
) -> list[Finding]:
    """In the order in which one would repair it. Whoever is root becomes the user of the settings, as the relay does."""
    findings = [ok("The settings are complete."), *unsafe_findings(settings)]
    findings += await smtp_ports(settings, public_port=public_port)
    findings.append(
        await side_port(
            settings.side_host,
            settings.side_port,
            setting="REPLYCO_SIDE_PORT",
            metric="replyco_smtp_sessions_open",
            role="the relay",
        )
    )
    findings += _user(settings.run_as)
    findings += await database_findings(settings.database_url.get_secret_value(), _RIGHTS, _addresses)
    findings += [
        _mail_key(settings),
        *certificate_findings(settings, datetime.now(UTC)),
        *await blob_findings(settings, in_development=settings.development, lists=False),
    ]
    found = await check_mail_host(settings.mail_domain, settings.smtp_hostname, ask)
    return findings + [record_finding(checked) for checked in found]


def record_finding(checked: RecordCheck) -> Finding:
    """What was found at the name is somebody else's text, and not shown."""
    record = checked.record
    what = f"the {record.kind} record of {record.name} ({record.reason})"
    match checked.status:
        case RecordStatus.RIGHT:
            return ok(f"DNS: {what} is right.")
        case RecordStatus.UNCHECKED:
            return warning(f"DNS: {what} could not be asked for. Do this machine's name servers answer?")
        case status:
            return wrong(
                f"DNS: {what} is {status.value}. `python -m services.mailrelay dns --check` says what it should be."
            )


def _user(run_as: str | None) -> list[Finding]:
    if os.geteuid() != 0:
        return []
    if run_as is None:
        return [
            warning("The relay would run as root. Set REPLYCO_RUN_AS to a user with no rights of its own.")
        ]
    try:
        drop_privileges_to(run_as)
    except PrivilegesNotDropped as refused:
        return [wrong(str(refused))]
    return [ok(f"The relay becomes {run_as}; what follows was tried as that user.")]


def _mail_key(settings: RelaySettings) -> Finding:
    try:
        key = MailPublicKey.load(settings.mail_public_key_file)
    except KeyFileUnusable as unusable:
        return wrong(key_file_cure(unusable))
    except ValueError:
        return wrong(
            f"The key file {settings.mail_public_key_file} holds no key. Put it back from your copy."
        )
    return note(
        f"Mail is sealed to the mail key {key.key_id}. `doctor worker` names the one that it holds: it has to be the same."
    )


async def _addresses(connection: "Connection") -> Sequence[Finding]:
    if await connection.fetchval("SELECT EXISTS (SELECT id FROM relay_addresses WHERE retired_at IS NULL)"):
        return [ok("There are relay addresses.")]
    return [
        note(
            "There is no relay address yet, so that all mail is refused. The first connected store gets the first."
        )
    ]
