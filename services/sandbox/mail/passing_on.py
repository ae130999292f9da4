"""Whether Amazon passes a seller's mail on to the buyer, and if not, why. Pure."""

import tomllib
from pathlib import Path
from typing import Final

from services.sandbox.mail.received_replies import ReceivedReply

_ACCEPTED: Final = tomllib.loads(Path(__file__).with_name("accepted_files.toml").read_text("utf-8"))
MOST_FILE_BYTES: Final[int] = _ACCEPTED["most_bytes"]
NAME_ENDINGS: Final = frozenset[str](_ACCEPTED["name_endings"])


def failure_reason(reply: ReceivedReply, *, is_unwanted: bool) -> str | None:
    """The name of the reason for which the buyer does not get it, or None. `is_unwanted`: the buyer has opted out of such messages."""
    # One sender in the envelope and in From; who writes as two is none of those that were approved.
    is_one = {sender.lower() for sender in reply.senders} == {reply.mail_from.lower()}
    if not is_one or not reply.seller.may_send_from(reply.mail_from, reply.order.country):
        return "sender_not_approved"
    if sum(len(file.content) for file in reply.files) > MOST_FILE_BYTES:
        return "too_large"
    if refused_file(reply) is not None:
        return "attachment_refused"
    return "buyer_opted_out" if is_unwanted else None


def refused_file(reply: ReceivedReply) -> str | None:
    """The name of the first file whose kind Amazon does not take."""
    for file in reply.files:
        _, dot, ending = file.filename.rpartition(".")
        if not dot or ending.lower() not in NAME_ENDINGS:
            return file.filename
    return None
