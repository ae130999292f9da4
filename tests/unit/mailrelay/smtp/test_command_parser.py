"""What MAIL and RCPT say."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailrelay.smtp import replies
from services.mailrelay.smtp.command_parser import CommandRefused, parse_mail, parse_rcpt


@pytest.mark.parametrize(
    ("argument", "address", "options"),
    [
        ("FROM:<>", "", ()),
        ("from:<a@b.example>", "a@b.example", ()),
        ("FROM: <a@b.example>", "a@b.example", ()),
        ("FROM:a@b.example", "a@b.example", ()),
        ("FROM:<@one.example,@two.example:a@b.example>", "a@b.example", ()),
        ('FROM:<"a b>c"@b.example>', '"a b>c"@b.example', ()),
        (r'FROM:<"a\"b"@b.example>', r'"a\"b"@b.example', ()),
        ("FROM:<a@b.example> size=1000 BODY=8bitmime", "a@b.example", ("SIZE=1000", "BODY=8bitmime")),
        ("FROM:<ä@b.example> SMTPUTF8", "ä@b.example", ("SMTPUTF8",)),
        (f"FROM:<{'a' * 320}@b.example>", f"{'a' * 320}@b.example", ()),
    ],
)
def test_a_sender_is_understood(argument: str, address: str, options: tuple[str, ...]):
    mail = parse_mail(argument, size_limit=1000)

    assert (mail.address, mail.options) == (address, options)


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", replies.SYNTAX),
        ("TO:<a@b.example>", replies.SYNTAX),
        ("FROM:", replies.SYNTAX),
        ("FROM:<a@b.example", replies.SYNTAX),
        ("FROM:<a b@b.example>", replies.SYNTAX),
        ("FROM:<a\0@b.example>", replies.SYNTAX),
        ("FROM:<<a@b.example>>", replies.SYNTAX),
        ("FROM:<a@b.example>SIZE=1", replies.SYNTAX),
        ("FROM:<a@b.example> SIZE", replies.SYNTAX),
        ("FROM:<a@b.example> SIZE=-1", replies.SYNTAX),
        ("FROM:<a@b.example> SIZE=1001", replies.TOO_LARGE),
        ("FROM:<a@b.example> BODY=BINARYMIME", replies.SYNTAX),
        ("FROM:<a@b.example> SMTPUTF8=1", replies.SYNTAX),
        ("FROM:<a@b.example> RET=FULL", replies.UNKNOWN_PARAMETER),
        ("FROM:<ä@b.example>", replies.NEEDS_SMTPUTF8),
    ],
)
def test_a_wrong_sender_gets_its_reply(argument: str, reply: replies.Reply):
    with pytest.raises(CommandRefused) as malformed:
        parse_mail(argument, size_limit=1000)

    assert malformed.value.reply == reply


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("TO:<>", replies.SYNTAX),
        ("TO:<a@b.example> NOTIFY=NEVER", replies.UNKNOWN_PARAMETER),
        ("<a@b.example>", replies.SYNTAX),
    ],
)
def test_a_wrong_recipient_gets_its_reply(argument: str, reply: replies.Reply):
    with pytest.raises(CommandRefused) as malformed:
        parse_rcpt(argument)

    assert malformed.value.reply == reply


def test_a_recipient_is_understood():
    assert parse_rcpt("TO:<MabTekRud@replyco.email>") == "MabTekRud@replyco.email"


@given(st.text(max_size=400))
def test_any_text_is_understood_or_malformed(text: str):
    with contextlib.suppress(CommandRefused):
        parse_rcpt("TO:" + text)
