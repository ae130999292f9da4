"""The table of replies holds together."""

import inspect

from services.mailrelay.intake import journal, recipients
from services.mailrelay.smtp import limits, replies
from services.mailrelay.smtp.dialogue import REPLY_BY_ERROR
from services.mailrelay.smtp.replies import Reply
from shared.blobs import BlobsForbidden, BlobsFull, BlobsUnavailable
from shared.errors import Expected


def test_every_expected_failure_has_a_reply_that_asks_to_try_again():
    expected = {
        member
        for room in (journal, limits, recipients)
        for _name, member in inspect.getmembers(room, inspect.isclass)
        if issubclass(member, Expected) and member is not Expected
    } | {BlobsForbidden, BlobsFull, BlobsUnavailable}

    assert set(REPLY_BY_ERROR) == expected
    assert all(400 <= reply.code < 500 for reply in REPLY_BY_ERROR.values())


def test_the_enhanced_code_has_the_class_of_the_reply():
    every = [reply for _name, reply in inspect.getmembers(replies) if isinstance(reply, Reply)]

    assert len(every) > 20
    assert all(str(reply.code)[0] == reply.status[0] for reply in every)


def test_a_reply_fits_into_a_line_with_its_identifiers():
    # RFC 5321 §4.5.3.1.5: 512 octets with the end of the line.
    every = [reply for _name, reply in inspect.getmembers(replies) if isinstance(reply, Reply)]
    identifiers = " 01930e5c-6f3a-7c1e-9d5e-0123456789ab (0123456789abcdef)\r\n"

    assert all(len(f"{reply.code} {reply.status} {reply.text}{identifiers}") <= 512 for reply in every)
