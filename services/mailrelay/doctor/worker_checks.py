"""What `doctor worker` looks at: everything that delivering mail and sending replies need."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from services.mailrelay.delivery.clamav import Scanner
from services.mailrelay.dns_setup.check import DnsLookup, check_dkim_record, lookup_with
from services.mailrelay.doctor.ports import side_port
from services.mailrelay.doctor.relay_checks import record_finding
from services.mailrelay.settings import MailWorkerSettings
from shared.crypto.dkim_keys import DkimKeyFile
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.key_source import KeySource
from shared.crypto.mail_key_files import MailPrivateKeyFile
from shared.doctor.blob_store import blob_findings
from shared.doctor.database import Rights, database_findings
from shared.doctor.findings import Finding, note, ok, unsafe_findings, warning, wrong
from shared.doctor.keys import key_source, opens_keys_of
from shared.errors import Expected
from shared.outgoing.addresses import networks
from shared.outgoing.connections import OutgoingConnections
from shared.outgoing.smtp import SmtpFailed, open_session
from shared.process import key_file_cure

if TYPE_CHECKING:
    from shared.doctor.database import Connection

# In this form, because each of the two has an index of its own.
_WAITING: Final = (
    "SELECT mail_key_id, count(*) AS mails FROM (SELECT mail_key_id FROM accepted_mail WHERE state = 'accepted' UNION ALL "
    "SELECT mail_key_id FROM accepted_mail WHERE state IN ('resting', 'held')) waiting GROUP BY mail_key_id ORDER BY mail_key_id"
)
_SECONDS: Final = 10.0
_RIGHTS: Final = Rights(
    "replyco_mail_worker",
    needed=(("accepted_mail", "SELECT"), ("messages", "INSERT"), ("outbound_messages", "UPDATE")),
    forbidden=(
        ("grants", "SELECT", "may read the tokens of stores"),
        ("sessions", "SELECT", "may read who is signed in"),
        ("users", "SELECT", "may read who signs in"),
        ("api_keys", "SELECT", "may read API keys"),
    ),
)


async def examine_worker(settings: MailWorkerSettings, ask: DnsLookup | None = None) -> list[Finding]:
    """In the order in which one would repair it. Without `ask`, the name servers are asked that the worker would ask."""
    own = [lookup_with([str(address)], port=port) for address, port in settings.nameservers] or [
        lookup_with()
    ]
    findings = [ok("The settings are complete."), *unsafe_findings(settings)]
    keys, keys_finding = key_source(settings)
    mail_keys, mail_key_finding = _mail_keys(settings)
    findings += [
        await side_port(
            settings.side_host,
            settings.worker_port,
            setting="REPLYCO_WORKER_PORT",
            metric="replyco_mail_queue_age_seconds",
            role="the mail worker",
        ),
        keys_finding,
        mail_key_finding,
        *await _database(settings, keys, mail_keys),
        *await blob_findings(settings, in_development=settings.development),
        *([] if ask is not None else await _name_servers(settings, own)),
        *await _signing(settings, ask or own[0]),
        await _smarthost(settings),
    ]
    if settings.clamd is not None:
        findings.append(await _scanner(settings.clamd))
    return findings


async def _database(
    settings: MailWorkerSettings, keys: KeySource | None, mail_keys: MailPrivateKeyFile | None
) -> list[Finding]:
    url = settings.database_url.get_secret_value()

    async def of_tables(connection: "Connection") -> Sequence[Finding]:
        findings = []
        account_id = await connection.fetchval(
            "SELECT account_id FROM account_keys ORDER BY account_id DESC LIMIT 1"
        )
        if keys is not None and account_id is not None:
            findings.append(await opens_keys_of(url, keys, account_id))
        if mail_keys is not None:
            findings += await _sealed_to_others(connection, mail_keys)
        return findings

    return await database_findings(url, _RIGHTS, of_tables)


async def _sealed_to_others(connection: "Connection", mail_keys: MailPrivateKeyFile) -> list[Finding]:
    """The relay holds a key file of its own: what it has sealed tells whether it fits ours. What is delivered needs its mail key no more."""
    others = {
        row["mail_key_id"]: row["mails"]
        for row in await connection.fetch(_WAITING)
        if row["mail_key_id"] not in mail_keys.keys
    }
    if others:
        named = ", ".join(f"{count} to {key_id}" for key_id, count in others.items())
        return [
            wrong(
                f"Mails wait that are sealed to a mail key which we do not hold ({named}; ours is {', '.join(mail_keys.keys)}): they are kept, "
                "and nobody can read them. Give the relay the public key that belongs to ours, and put the other private key back from your copy."
            )
        ]
    last = await connection.fetchval("SELECT mail_key_id FROM accepted_mail ORDER BY id DESC LIMIT 1")
    if last in mail_keys.keys:
        return [ok("The mail that was accepted last is sealed to our mail key.")]
    return [note("No mail has come that tells whether the relay has the public key that belongs to ours.")]


def _mail_keys(settings: MailWorkerSettings) -> tuple[MailPrivateKeyFile | None, Finding]:
    try:
        keys = MailPrivateKeyFile.load(settings.mail_private_key_file)
    except KeyFileUnusable as unusable:
        return None, wrong(key_file_cure(unusable))
    except ValueError:
        return None, wrong(
            f"The key file {settings.mail_private_key_file} holds no key. Put it back from your copy."
        )
    named = f"The mail key {keys.current.key_id} is readable."
    others = [key_id for key_id in keys.keys if key_id != keys.current.key_id]
    return keys, ok(f"{named} Its file holds {', '.join(others)}, too." if others else named)


async def _signing(settings: MailWorkerSettings, ask: DnsLookup) -> list[Finding]:
    if settings.dkim_key_file is None:
        return [
            warning(
                "REPLYCO_DKIM_KEY_FILE is not set: replies are not signed here. Leave it so only where the smarthost signs for "
                f"{settings.mail_domain}."
            )
        ]
    try:
        key = DkimKeyFile.load(settings.dkim_key_file).current
    except KeyFileUnusable as unusable:
        return [wrong(key_file_cure(unusable))]
    return [
        ok(f"Replies are signed with {key.selector}."),
        record_finding(await check_dkim_record(key, settings.mail_domain, ask)),
    ]


async def _name_servers(settings: MailWorkerSettings, own: Sequence[DnsLookup]) -> list[Finding]:
    """Each of them, because the one that does not answer makes every mail wait."""
    named = [f"The name server {address} (port {port})" for address, port in settings.nameservers]
    named = named or ["The name server of this machine"]
    answers = await asyncio.gather(*(ask(settings.mail_domain, "MX") for ask in own))
    return [
        ok(f"{name} answers.")
        if answer is not None
        else wrong(
            f"{name} does not answer: nobody can prove that a mail is Amazon's, and mail waits in quarantine. Set REPLYCO_NAMESERVERS to ones "
            "that answer, or mend it."
        )
        for name, answer in zip(named, answers, strict=True)
    ]


async def _smarthost(settings: MailWorkerSettings) -> Finding:
    """As far as STARTTLS and EHLO: nobody signs in, and no mail is given."""
    if settings.smarthost is None:
        return warning(
            "REPLYCO_SMARTHOST_HOST is not set: replies of stores without an SMTP server of their own wait, and fail after four hours."
        )
    outgoing = OutgoingConnections(
        allowed=networks(settings.outgoing_allowed_networks),
        refused=networks(settings.outgoing_refused_networks),
    )
    named = f"The smarthost {settings.smarthost.host}:{settings.smarthost.port}"
    try:
        session = await open_session(
            replace(settings.smarthost, username=None, password=None),
            hello_name=settings.smtp_hostname,
            tls_context=outgoing.smtp_tls,
            step_seconds=_SECONDS,
        )
    except SmtpFailed as failed:
        why = failed.fields["reason"] or f"it answers {failed.fields['code']}"
        return wrong(
            f"{named} takes no session from here (at {failed.stage}: {why}). Is there a way out to it, do REPLYCO_SMARTHOST_PORT and "
            "REPLYCO_SMARTHOST_TLS fit, and is its certificate for that name?"
        )
    except Expected as failed:
        return wrong(f"{named} cannot be reached ({failed.code}). Is there a way out to it?")
    await session.close()
    return ok(
        f"{named} takes sessions from here. Whether it takes our password and our mail, only a reply shows."
    )


async def _scanner(address: str) -> Finding:
    if await Scanner(address, seconds=_SECONDS).is_there():
        return ok("clamd answers.")
    return wrong(
        "clamd does not answer at REPLYCO_CLAMD: attachments are kept unscanned. Is it running, and may this user reach its socket or port?"
    )
