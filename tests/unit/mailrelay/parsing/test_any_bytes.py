"""Whatever arrives, the parser answers, soon, within its limits, and with HTML that only formats."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.mailrelay.parsing.body import MAX_ATTACHMENTS, MAX_TEXT_CHARS
from services.mailrelay.parsing.charsets import decode_text
from services.mailrelay.parsing.decoding import decode_header
from services.mailrelay.parsing.filenames import MAX_FILENAME_CHARS
from services.mailrelay.parsing.mail import (
    MAX_SUBJECT_CHARS,
    MailKind,
    ParsedMail,
    parse_unguarded,
)
from services.mailrelay.parsing.mailboxes import read_mailboxes
from services.mailrelay.parsing.safe_html import make_safe
from services.mailrelay.parsing.structure import MAX_DEPTH
from services.mailrelay.parsing.transfer import decode_base64
from tests.unit.mailrelay.parsing.comparing import first_disallowed_html

MAILS = [path.read_bytes() for path in sorted((Path(__file__).parents[3] / "mails").glob("*.eml"))]
# Half a second is what the largest of these takes on a slow machine; a quadratic step takes minutes.
SECONDS_ALLOWED = 10.0
BUYER = b"From: Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: x\r\n"

# Snippets that mean something to a parser, so that mutations reach its branches.
SNIPPETS = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--b1\r\n", b"--b1--", b"=?utf-8?B?", b"?=", b"=?x?Q?=C3?=", b"From: a@b\r\n", b"\x00",
     b"Content-Type: multipart/mixed; boundary=b1\r\n", b"Content-Type: text/html; charset=utf-16\r\n", b"filename*0*=utf-8''%E2",
     b"Content-Transfer-Encoding: base64\r\n", b"<pre>", b"</pre>", b"<script>", b"<svg><style>", b"&#x0;", b"=\r\n", b"\xff\xfe"]
)  # fmt: skip


@st.composite
def mutated_mails(draw: st.DrawFn) -> bytes:
    mail = draw(st.sampled_from(MAILS))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(mail)))
        end = min(len(mail), at + draw(st.integers(0, 40)))
        mail = mail[:at] + draw(SNIPPETS | st.binary(max_size=12)) + mail[end:]
    return mail


def check_bounds(mail: ParsedMail) -> None:
    assert len(mail.text) <= MAX_TEXT_CHARS
    assert len(mail.subject or "") <= MAX_SUBJECT_CHARS
    assert len(mail.attachments) <= MAX_ATTACHMENTS
    assert all(len(a.filename or "") <= MAX_FILENAME_CHARS for a in mail.attachments)
    texts = [mail.subject, mail.sender_name, mail.sender_address, mail.buyer_name, mail.text, mail.html]
    for text in [*texts, *(a.filename for a in mail.attachments)]:
        # The database takes UTF-8 without NUL.
        assert "\x00" not in (text or "")
        (text or "").encode()
    assert first_disallowed_html(mail.html or "") is None
    assert mail.buyer_address is None or mail.amazon_domain


def check_shown(mail: ParsedMail, raw: bytes) -> None:
    """A mail that holds anything shows something, or says that there is more in it than is shown."""
    shows = mail.text or mail.attachments or mail.kind is MailKind.UNPARSEABLE or mail.truncated
    _, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    assert shows or not body.strip()


@given(raw=st.binary(max_size=3000))
@example(raw=b"")
@example(raw=b"\r\n")
@example(raw=b":")
@example(raw=b"From:\r\n\r\n")
def test_any_bytes_are_answered(raw: bytes):
    mail = parse_unguarded(raw)

    check_bounds(mail)
    check_shown(mail, raw)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(raw=mutated_mails())
def test_mutated_mails_are_answered(raw: bytes):
    check_bounds(parse_unguarded(raw))


@given(
    html=st.lists(
        SNIPPETS.map(lambda s: s.decode("latin-1")) | st.text("<>/=\"'&;ab svgonmlk!-[]", max_size=20)
    ).map("".join)
)
@example(
    html='<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">'
)
@example(html='<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">')
@example(html='<noscript><p title="</noscript><img src=x onerror=alert(1)>">')
def test_any_html_only_formats(html: str):
    assert first_disallowed_html(make_safe(html).html) is None


@given(value=st.text('abk@.<>(),;:"\\ =?-+', max_size=60))
def test_an_address_is_only_read_from_its_own_place(value: str):
    for box in read_mailboxes(value):
        assert f"{box.local}@{box.domain}" in value.lower() or box.address.lower() in value.lower()


@given(
    content=st.binary(max_size=300),
    charset=st.none() | st.text(max_size=20) | st.sampled_from(["utf-16", "iso-2022-jp", "gbk"]),
)
def test_any_text_is_decoded(content: bytes, charset: str | None):
    decode_text(content, charset).encode()


@given(content=st.binary(max_size=300))
def test_any_base64_and_any_header_are_decoded(content: bytes):
    decode_base64(content)
    decode_header(content).encode()


def _nested(levels: int, body: bytes) -> bytes:
    containers = [
        b'Content-Type: multipart/mixed; boundary="n%d"\r\n\r\n--n%d\r\n' % (i, i) for i in range(levels)
    ]
    return BUYER + b"".join(containers) + b"\r\n" + body


# Made when it is asked for: together they are a hundred megabytes.
HUGE = {
    "many levels": lambda: _nested(100_000, b"deep"),
    "levels that nearly match": lambda: BUYER
    + b"".join(b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n" % (b"b" * n, b"b" * n) for n in range(60, 12, -1))
    + b"\n--bbbbbbbbbbbbbx" * 300_000,
    "many parts": lambda: BUYER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 500_000,
    "one large field": lambda: BUYER + b"X-Large: " + b"a" * 10_000_000 + b"\r\n\r\nhello",
    "many folds": lambda: BUYER + b"X-Folded: a" + b"\r\n a" * 2_000_000 + b"\r\n\r\nhello",
    "many fields": lambda: BUYER + b"x:\r\n" * 2_000_000 + b"\r\nhello",
    "nested elements": lambda: BUYER + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 500_000,
    "many attributes": lambda: BUYER + b"Content-Type: text/html\r\n\r\n<a" + b"".join(b" a%d" % i for i in range(300_000)),
    "long text": lambda: BUYER + b"\r\n" + b"-----Message:-----\r\n" * 400_000,
    "many comments": lambda: b"From: " + b"(" * 1_000_000 + b"\r\n\r\nhello",
    "many senders": lambda: b"".join(b"From: " + b"".join(b"@%d." % i for i in range(1_000)) + b"\r\n" for _ in range(30)) + b"\r\nhello",
    "many separators": lambda: BUYER + b"\r\n-----Message:-----\r\nx\r\n" + b"--\r\nFrom:\r\nx\r\n" * 15_000 + b"-----End message-----\r\n",
    "many files in uuencode": lambda: BUYER + b"\r\n" + b"begin 644 a\r\n#0V%T\r\n`\r\nend\r\n" * 400_000,
    "many names in many sets": lambda: BUYER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + (b"--b\r\nContent-Type: a/b; name=\"" + b" ".join(b"=?x%d?Q?=E1=C8=F3?=" % (i % 5) for i in range(400)) + b"\"\r\n\r\nx\r\n") * 499,
    "many escapes": lambda: BUYER + b"\r\n" + b"\x1b$B$\"\x1b(B" * 4_000_000,
    "many old names without a label": lambda: BUYER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"".join(f"--b\r\nContent-Type: a/b; name={f'Счёт {i} для вас ' * 100}\r\n\r\nx\r\n".encode("koi8-r") for i in range(499)),
    "lines of blanks in the header": lambda: BUYER + b"X: a\r\n \r\n" * 1_000_000 + b"\r\nhello",
    "many words of two languages": lambda: BUYER + b"\r\n" + b"the und " * 20_000,
    "many introductions of codes": lambda: b"From: donotreply@amazon.com\r\nSubject: verify your e-mail address\r\n\r\n" + b"verification code " * 10_000,
}  # fmt: skip


# Within every limit, and slow if a step were quadratic.
NOT_TOO_MUCH = {"many comments", "many senders", "many separators", "many words of two languages", "many introductions of codes"}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_huge_mail_is_cut_in_time(name: str):
    huge = HUGE[name]()
    started = time.process_time()

    mail = parse_unguarded(huge)

    assert time.process_time() - started < SECONDS_ALLOWED
    check_bounds(mail)
    assert mail.truncated or name in NOT_TOO_MUCH


def test_the_deepest_allowed_part_is_read():
    assert parse_unguarded(_nested(MAX_DEPTH, b"deep")).text == "deep"


def test_a_part_below_the_deepest_is_told_as_cut():
    mail = parse_unguarded(_nested(MAX_DEPTH + 1, b"deep"))

    assert (mail.text, mail.truncated) == ("", True)
