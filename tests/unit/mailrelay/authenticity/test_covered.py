"""What of a mail is under its signature, and what is not: the table "What is read of a proven mail" of docs/mail.md, line by line."""

from datetime import UTC, datetime

import pytest

from services.mailrelay.authenticity.canonical import SignedMail
from services.mailrelay.authenticity.covered import Covered
from services.mailrelay.authenticity.dkim import read_signatures
from services.mailrelay.parsing.claimed_sender import claimed_sender
from services.mailrelay.parsing.mail import MailKind, ParsedMail, parse_mail
from tests.signing import signed

MAIL = b"""\
Date: Thu, 26 Nov 2026 12:00:00 +0000\r
From: Kim <abc123def456gh7@marketplace.amazon.de>\r
To: mabtekrud@replyco.email\r
Message-ID: <1@example>\r
Subject: Frage zur Lampe\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
\r
------------- Nachricht: -------------\r
\r
Wann kommt meine gro\xc3\x9fe Lampe?\r
\r
------------- Ende der Nachricht -------------\r
"""
# What mailboxes that forward, programs that look for spam, and strangers add.
ADDED = [
    b"X-Pad: 1",
    b"X-Forwarded-For: shop@mail.example mabtekrud@replyco.email",
    b"X-Forwarded-To: mabtekrud@replyco.email",
    b"X-Gm-Message-State: AOJu0Yz",
    b"X-Google-Smtp-Source: AGHT+IF",
    b"X-Spam-Status: No, score=-2.1",
    b"X-Spam-Flag: YES",
    b"X-MS-Exchange-Organization-SCL: 1",
    b"X-Virus-Scanned: clean",
    b"Delivered-To: shop@mail.example",
    b"Received: by 2002:a05:6808 with SMTP id 1",
    b"ARC-Seal: i=1; a=rsa-sha256; d=google.com; cv=none; b=eA==",
    b"DKIM-Signature: v=1; a=rsa-sha256; d=list.example; s=s; h=from; bh=eA==; b=eA==",
    b"List-Id: <list.mail.example>",
    b"List-Unsubscribe: <mailto:off@mail.example>",
    b"Importance: high",
    b"Sender: kim@evil.example",
    b"Cc: other@mail.example",
    b"Resent-To: mabtekrud@replyco.email",
    b"In-Reply-To: <0@example>",
    b"Feedback-ID: 1:2:3",
]


def covered_of(raw: bytes) -> Covered:
    [signature] = [
        one
        for one in read_signatures(SignedMail.read(raw), datetime(2026, 11, 26, 12, tzinfo=UTC))
        if one.domain == "amazon.de"
    ]
    assert signature.fault is None
    assert signature.covered is not None
    return signature.covered


def read(raw: bytes) -> ParsedMail:
    return parse_mail(covered_of(raw).alone_in(raw))


def above(line: bytes, raw: bytes) -> bytes:
    return line + b"\r\n" + raw


def within(line: bytes, raw: bytes) -> bytes:
    """The line at the end of the header, where a careless reader would look last."""
    return raw.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n", 1)


@pytest.mark.parametrize("line", ADDED, ids=lambda line: line.partition(b":")[0].decode())
@pytest.mark.parametrize("add", [above, within], ids=["above", "within"])
def test_a_copy_with_another_unsigned_line_is_the_same_mail(add, line):
    true = signed(MAIL)
    copy = add(line, true)

    assert covered_of(copy).identity == covered_of(true).identity
    assert read(copy) == read(true)


def test_all_of_them_together_change_nothing_either():
    true = signed(MAIL)
    copy = true
    for line in ADDED:
        copy = within(line, above(line, copy))

    assert covered_of(copy).identity == covered_of(true).identity
    assert read(copy) == read(true)


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Disposition: attachment; filename=invoice.exe",
        b"Content-ID: <x>",
        b"Content-Language: fr",
        b"Auto-Submitted: auto-replied",
        b"Precedence: auto_reply",
        b"X-Autoreply: yes",
        b"X-Autorespond: yes",
        b"X-Marketplace-ID: A1RKKUPIHCS9HS",
        b"References: <0@example>",
        b"MIME-Version: 2.0",
    ],
    ids=lambda line: line.decode(),
)
@pytest.mark.parametrize("add", [above, within], ids=["above", "within"])
def test_a_line_that_changes_how_a_mail_is_read_changes_nothing_unsigned(add, line):
    raw = MAIL.replace(b"MIME-Version: 1.0\r\n", b"")
    mail = read(add(line, signed(raw)))

    assert mail == read(signed(raw))
    assert mail.kind is MailKind.BUYER_MESSAGE
    assert mail.text == "Wann kommt meine große Lampe?"
    assert (mail.country, mail.attachments) == ("DE", ())


def test_the_same_line_under_the_signature_counts():
    automatic = signed(within(b"Auto-Submitted: auto-replied", MAIL), b"auto-submitted")

    assert read(automatic).kind is MailKind.AUTO_REPLY


def test_of_two_lines_the_signed_one_counts():
    raw = signed(within(b"Auto-Submitted: no", MAIL), b"auto-submitted")

    assert read(above(b"Auto-Submitted: auto-replied", raw)).kind is MailKind.BUYER_MESSAGE


def test_a_line_whose_absence_is_signed_cannot_be_added():
    raw = signed(MAIL, b"auto-submitted")

    assert covered_of(raw).names >= {"auto-submitted"}
    # It is below the ones that are signed, so the signature breaks.
    copy = within(b"Auto-Submitted: auto-replied", raw)
    assert b"auto-submitted" in covered_of(copy).alone_in(copy).lower()


@pytest.mark.parametrize("declared", [b"Content-Transfer-Encoding: quoted-printable\r\n", b""])
def test_an_encoding_that_is_not_signed_is_known_by_the_body(declared: bytes):
    body = b"\r\n\r\nWann kommt meine gro=C3=9Fe Lampe? Ich warte schon so lange auf sie, und die=\r\n Tage sind kurz.\r\n"
    raw = signed(MAIL.partition(b"\r\n\r\n")[0] + body)

    mail = read(declared + raw)

    assert mail.text.startswith("Wann kommt meine große Lampe?")
    assert "die Tage" in mail.text


def test_an_encoding_that_is_signed_is_believed():
    raw = signed(
        within(b"Content-Transfer-Encoding: 7bit", MAIL.replace(b"gro\xc3\x9fe", b"=41")),
        b"content-transfer-encoding",
    )

    assert "=41" in read(raw).text


def test_what_is_signed_makes_another_mail():
    one = covered_of(signed(MAIL))

    for old, new in ((b"Lampe?", b"Lampen?"), (b"<1@example>", b"<2@example>"), (b"12:00", b"12:01")):
        assert covered_of(signed(MAIL.replace(old, new))).identity != one.identity


def test_who_signs_and_when_makes_no_other_mail():
    true = signed(MAIL)

    later = true.replace(b" t=", b" x=9999999999; t=", 1) if b" t=" in true else true
    assert covered_of(later).identity == covered_of(true).identity


def test_whom_the_signed_lines_name():
    raw = signed(within(b"Cc: Shop <shop@mail.example>, b@mail.example", MAIL), b"cc")

    assert [box.address for box in covered_of(raw).recipients] == [
        "mabtekrud@replyco.email",
        "shop@mail.example",
        "b@mail.example",
    ]
    unsigned = within(b"Cc: shop@mail.example", above(b"Bcc: shop@mail.example", signed(MAIL)))
    assert [box.address for box in covered_of(unsigned).recipients] == ["mabtekrud@replyco.email"]


def test_of_a_mail_that_nobody_signs_the_known_lines_of_its_way_do_not_count():
    plain = claimed_sender(MAIL).digest
    known = [
        line
        for line in ADDED
        if line.lower().startswith((b"x-forwarded", b"x-gm", b"x-google", b"x-spam", b"x-ms", b"received"))
    ]
    assert len(known) > 6

    assert {claimed_sender(above(line, MAIL)).digest for line in known} == {plain}
    assert claimed_sender(above(b"X-Pad: 1", MAIL)).digest != plain
