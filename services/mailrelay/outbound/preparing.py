"""From a claimed reply and its facts to what is sent: opened, its files fetched and scanned, addressed. Or why it cannot be sent."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import structlog
from pydantic import SecretStr

from services.mailrelay.outbound import queries
from services.mailrelay.outbound.answered_mail import AnsweredMail, buyer_in, read_answered_mail
from services.mailrelay.outbound.outcomes import Outcome, failed
from services.mailrelay.outbound.queries import Answered, Facts, File, Store
from services.mailrelay.outbound.queue import Claim
from services.mailrelay.outbound.reply import NotAnswerable, Reply, ReplyFile, require_answerable
from shared.blobs import Blob, BlobDamaged, BlobMissing, BlobStore, blob_id_of, fetch_sealed
from shared.crypto.envelope import AccountKeys, Place, SealBroken
from shared.crypto.raw_mail import ContentKey
from shared.database import Sessions
from shared.keyring import Keyring
from shared.outgoing.smtp import SmtpServer
from shared.tables import ReplyFailure, ReplyTransport, Scan, SmtpConfiguration, TlsMode

log = structlog.get_logger()

_NOT_ANSWERABLE: Final = failed(ReplyFailure.NOT_ANSWERABLE)


# What may be read of a raw mail that came at this time and got this verdict, for this reason, with these results.
Readable = Callable[[bytes, datetime, str | None, str], bytes]


class Scanner(Protocol):
    """A malware scanner."""

    async def scan(self, content: bytes) -> Scan:
        """Scan a file. Never raises: if the scanner is away, the result is `failed`."""


class CannotSend(Exception):
    """The reply is not sent in this attempt; the outcome says what becomes of it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.state.value)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that sending needs. `own`: the store's own server, if that is the way."""

    reply: Reply = field(repr=False)
    answered_id: UUID
    own: SmtpServer | None

    @property
    def transport(self) -> ReplyTransport:
        return ReplyTransport.PLATFORM if self.own is None else ReplyTransport.OWN


@dataclass(frozen=True, slots=True)
class Preparation:
    """What preparing needs of the process."""

    sessions: Sessions
    keyring: Keyring
    blobs: BlobStore
    scanner: Scanner | None
    mail_domain: str
    readable: Readable


async def prepare(parts: Preparation, claim: Claim, facts: Facts, *, now: datetime) -> Prepared:
    """Raises CannotSend, BlobsUnavailable."""
    store, answered = facts.store, facts.answered
    if store is None or store.is_away or store.local_part is None or answered is None:
        raise CannotSend(_NOT_ANSWERABLE)
    keys = await parts.keyring.of(parts.sessions, claim.reply.account_id)
    header = await _answered_mail(parts, keys, answered)
    reply = Reply(
        outbound_message_id=claim.id,
        round_number=claim.round,
        from_address=_sender(store, parts.mail_domain),
        to_address=header.buyer_address or buyer_in(_opened(keys, answered, "sender_address")) or "",
        subject=_opened(keys, answered, "subject") or "",
        # A thread that was used again for another order names that one.
        order_id=answered.order_ids[0] if answered.order_ids else claim.order_id,
        text=keys.open_text(Place("outbound_messages", "body_text", claim.id), claim.body_text),
        sent_at=now,
        files=tuple([await _file(parts, keys, file) for file in facts.files]),
        in_reply_to=header.message_id,
        references=header.references,
    )
    try:
        require_answerable(reply)
    except NotAnswerable:
        raise CannotSend(_NOT_ANSWERABLE) from None
    return Prepared(reply, answered.id, None if store.own is None else _own_server(keys, store.own))


def _sender(store: Store, mail_domain: str) -> str:
    return store.own.sender_address if store.own is not None else f"{store.local_part}@{mail_domain}"


def _own_server(keys: AccountKeys, own: SmtpConfiguration) -> SmtpServer:
    password = keys.open_text(Place("smtp_configurations", "password", own.integration_id), own.password)
    return SmtpServer(own.host, own.port, TlsMode(own.tls_mode).value, own.username, SecretStr(password))


def _opened(keys: AccountKeys, answered: Answered, column: str) -> str | None:
    sealed = answered.subject if column == "subject" else answered.sender_address
    return None if sealed is None else keys.open_text(Place("messages", column, answered.id), sealed)


async def _answered_mail(parts: Preparation, keys: AccountKeys, answered: Answered) -> AnsweredMail:
    """What the buyer's mail says of itself; nothing, if it is gone: Amazon knows the thread by the address. Raises BlobsUnavailable."""
    if answered.raw is None:
        return AnsweredMail()
    try:
        sealed = await fetch_sealed(parts.blobs, answered.raw)
        key = ContentKey(
            keys.account_id,
            answered.accepted_mail_id,
            keys.open(Place("messages", "raw_key", answered.id), answered.raw_key),
        )
        blob_id = blob_id_of(answered.raw.key) if isinstance(answered.raw, Blob) else None
        raw = key.open_mail(sealed, blob_id)
    except (BlobMissing, BlobDamaged, SealBroken) as lost:
        log.exception("answered_mail_unreadable", message_id=str(answered.id), code=lost.code)
        return AnsweredMail()
    if answered.authentication_results is None:
        return read_answered_mail(raw)
    results = keys.open_text(
        Place("messages", "authentication_results", answered.id), answered.authentication_results
    )
    # Whatever of the mail is not proven to be Amazon's is not believed here either.
    return await asyncio.to_thread(
        lambda: read_answered_mail(
            parts.readable(raw, answered.received_at, answered.authenticity_reason, results)
        )
    )


async def _file(parts: Preparation, keys: AccountKeys, file: File) -> ReplyFile:
    """Raises CannotSend, BlobsUnavailable."""
    try:
        sealed = await fetch_sealed(parts.blobs, file.content)
        content = keys.open(Place("reply_files", "content", file.id), sealed)
        name = keys.open_text(Place("reply_files", "filename", file.id), file.filename)
    except (BlobMissing, BlobDamaged, SealBroken) as lost:
        log.exception("reply_file_unreadable", reply_file_id=str(file.id), code=lost.code)
        raise CannotSend(failed(ReplyFailure.UNKNOWN)) from lost
    if parts.scanner is not None and file.scan != Scan.CLEAN:
        # A scanner that is away holds up no reply, as it holds up no mail.
        scan = await parts.scanner.scan(content)
        async with parts.sessions.begin() as session:
            await queries.store_scan(session, file.id, scan)
        if scan is Scan.INFECTED:
            raise CannotSend(failed(ReplyFailure.ATTACHMENT_INFECTED))
    return ReplyFile(name, content)
