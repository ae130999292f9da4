"""Sealed rows → what somebody reads. A value that does not open costs that value alone: the rest is shown without it (D8).

Whoever opens mail gets the keys from `keys_of`, which asks for the permission.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import structlog

from services.connector.accounts.callers import Caller
from services.connector.inbox.answering import Answering
from services.connector.inbox.filenames import clean_filename
from services.connector.inbox.listing import ListedConversation, SealedConversation
from services.connector.inbox.queries import ListedAttachment, SealedMessage
from services.connector.inbox.seller_central import thread_tag_of
from services.connector.orders.snapshots import Snapshot
from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed
from shared.database import Sessions
from shared.keyring import Keyring
from shared.permissions import Level, Permission

log = structlog.get_logger()


class OpenedConversation(NamedTuple):
    """A conversation as a list and its page show it."""

    listed: ListedConversation
    buyer_name: str | None
    subject: str | None
    snippet: str | None


@dataclass(frozen=True, slots=True)
class ReadConversation:
    """A conversation as its own page shows it. `thread_tag`: Amazon's name of the thread."""

    opened: OpenedConversation
    answering: Answering
    thread_tag: str | None


@dataclass(frozen=True, slots=True)
class OpenedAttachment:
    row: ListedAttachment
    filename: str


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A message to be read. `is_whole`: everything that is stored of it could be opened."""

    row: SealedMessage
    subject: str | None
    sender_name: str | None
    sender_address: str | None
    text: str | None
    quoted_text: str | None
    authentication_results: str | None
    sent_to: list[str] | None
    attachments: list[OpenedAttachment]
    order_snapshots: Sequence[Snapshot]
    is_whole: bool


class Beside(NamedTuple):
    """What messages are shown with, by message."""

    attachments: Mapping[UUID, list[ListedAttachment]]
    snapshots: Mapping[UUID, list[Snapshot]]


async def keys_of(caller: Caller, sessions: Sessions, keyring: Keyring) -> AccountKeys:
    """The keys with which mail of the caller's account is opened. Raises PermissionMissing for who may not read it, whatever the route lets in."""
    caller.require(Permission.INBOX_MESSAGES, Level.VIEW)
    return await keyring.of(sessions, caller.account_id)


class Opener:
    """Opens the texts of one row; what does not open is None, and `is_whole` says so."""

    def __init__(self, keys: AccountKeys, table: str, row_id: UUID) -> None:
        self._keys = keys
        self._table = table
        self._row_id = row_id
        self.is_whole = True

    def text(self, column: str, sealed: Sealed | None) -> str | None:
        if sealed is None:
            return None
        try:
            return self._keys.open_text(Place(self._table, column, self._row_id), sealed)
        except SealBroken:
            # An operator's matter: a wrong key, or somebody has changed the row.
            log.exception("seal_broken", table=self._table, column=column, row_id=str(self._row_id))
            self.is_whole = False
            return None


def open_conversation(keys: AccountKeys, found: SealedConversation) -> OpenedConversation:
    """Open a conversation's buyer, subject and snippet."""
    return open_conversations(keys, [found])[0]


def open_conversations(keys: AccountKeys, found: Iterable[SealedConversation]) -> list[OpenedConversation]:
    """The same for a page of them."""
    buyer_name = _text_of(keys, "conversations", "buyer_name")
    subject = _text_of(keys, "conversations", "subject")
    snippet = _text_of(keys, "messages", "snippet")
    return [
        OpenedConversation(
            each.listed,
            buyer_name(each.listed.id, each.buyer_name),
            subject(each.listed.id, each.subject),
            snippet(each.snippet_message_id, each.snippet),
        )
        for each in found
    ]


def _text_of(
    keys: AccountKeys, table: str, column: str
) -> Callable[[UUID | None, Sealed | None], str | None]:
    """Opens the texts of one column; what does not open, or is of no row, is None."""
    opened = keys.open_column(table, column)

    def text(row_id: UUID | None, sealed: Sealed | None) -> str | None:
        if sealed is None or row_id is None:
            return None
        try:
            return opened(row_id, sealed).decode()
        except SealBroken:
            # As above.
            log.exception("seal_broken", table=table, column=column, row_id=str(row_id))
            return None

    return text


def open_answering(keys: AccountKeys, found: SealedConversation, answering: Answering) -> ReadConversation:
    """Open a conversation for its page; of the buyer's address only the thread's tag is kept."""
    address = None
    if answering.message_id is not None:
        address = Opener(keys, "messages", answering.message_id).text(
            "sender_address", answering.sender_address
        )
    return ReadConversation(open_conversation(keys, found), answering, thread_tag_of(address))


def open_messages(keys: AccountKeys, found: Sequence[SealedMessage], beside: Beside) -> list[OpenedMessage]:
    """Open messages and their attachments' names."""
    return [
        _open_message(
            keys, message, beside.attachments.get(message.id, []), beside.snapshots.get(message.id, [])
        )
        for message in found
    ]


def _open_message(
    keys: AccountKeys,
    row: SealedMessage,
    attachments: list[ListedAttachment],
    snapshots: Sequence[Snapshot],
) -> OpenedMessage:
    opener = Opener(keys, "messages", row.id)
    subject = opener.text("subject", row.subject)
    sender_name = opener.text("sender_name", row.sender_name)
    sender_address = opener.text("sender_address", row.sender_address)
    text = opener.text("body_text", row.body_text)
    quoted_text = opener.text("quoted_text", row.quoted_text)
    results = opener.text("authentication_results", row.authentication_results)
    sent_to = opener.text("sent_to", row.sent_to)
    is_whole = opener.is_whole
    opened = []
    for attachment in attachments:
        of_attachment = Opener(keys, "attachments", attachment.id)
        filename = clean_filename(of_attachment.text("filename", attachment.filename) or "")
        is_whole &= of_attachment.is_whole
        opened.append(OpenedAttachment(attachment, filename))
    return OpenedMessage(
        row,
        subject,
        sender_name,
        sender_address,
        text,
        quoted_text,
        results,
        None if sent_to is None else sent_to.splitlines(),
        opened,
        snapshots,
        is_whole,
    )


def sealed_bytes(row: SealedMessage) -> int:
    """How much opening a message costs."""
    return sum(
        len(sealed.ciphertext)
        for sealed in (row.body_text, row.quoted_text, row.authentication_results)
        if sealed is not None
    )
