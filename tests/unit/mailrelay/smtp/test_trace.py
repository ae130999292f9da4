"""What a trace tells, what it does not, and how little it keeps."""

import pytest

from services.mailrelay.smtp import replies
from services.mailrelay.smtp.trace import ENDED_SESSIONS, Trace, Traces


def _shown(*lines: bytes) -> list[str]:
    trace = Trace()
    for line in lines:
        trace.note_line(line)
    return [line.partition("C: ")[2] for line in trace.as_text("id").splitlines()[1:]]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"ehlo mail.sender.example", "EHLO mail.sender.example"),
        (b"EHLO [IPv6:2001:db8::1]", "EHLO [IPv6:2001:db8::1]"),
        (b"EHLO Jane Doe <jane@doe.example>", "EHLO [27 bytes]"),
        (b"HELO", "HELO"),
        (b"MAIL FROM:<janedoe@amazon.de> SIZE=100 BODY=8BITMIME", "MAIL FROM:<j…@amazon.de> SIZE=100 BODY=8BITMIME"),
        (b"MAIL FROM:<> SMTPUTF8", "MAIL FROM:<> SMTPUTF8"),
        (b"MAIL FROM:<jd@amazon.de>", "MAIL FROM:<…@amazon.de>"),
        (b'MAIL FROM:<"jane doe"@amazon.de>', "MAIL FROM:<…@amazon.de>"),
        (b"MAIL FROM:<janedoe>", "MAIL FROM:<…>"),
        (b"MAIL FROM:<jane@doe@amazon.de>", "MAIL FROM:<j…@amazon.de>"),
        (b"MAIL FROM:<jane@doe=example>", "MAIL FROM:<j…@…>"),
        (b"MAIL FROM:<janedoe@amazon.de", "MAIL [23 bytes]"),
        (b"MAIL FROM:<janedoe@amazon.de> AUTH=<jane>", "MAIL [36 bytes]"),
        (b"RCPT TO:<mabtekrud+jane@replyco.email>", "RCPT TO:<m…@replyco.email>"),
        (b"RCPT TO:<mabtekrud@replyco.email> ORCPT=rfc822;jane", "RCPT [46 bytes]"),
        (b"AUTH PLAIN AGphbmUAc2VjcmV0", "AUTH [22 bytes]"),
        (b"VRFY jane", "VRFY [4 bytes]"),
        (b"DATA", "DATA"),
        (b"jane's secret", "[13 bytes]"),
        (b"SECRET", "[6 bytes]"),
        (b"\xff\x00\x1b[2J", "[6 bytes]"),
        (b"", "[0 bytes]"),
        (b"MAIL FROM:<" + b"j" * 300 + b"@amazon.de>", "MAIL [195 bytes]"),
    ],
)  # fmt: skip
def test_a_command_is_shown_without_addresses_and_contents(line: bytes, shown: str):
    assert _shown(line) == [shown]


def test_replies_and_what_happened_are_shown_in_order():
    trace = Trace()
    trace.note_line(b"DATA")
    trace.note("a mail of 4,096 bytes in 12 ms")
    trace.note(replies.TOO_LARGE)

    assert [line[11:] for line in trace.as_text("id").splitlines()[1:]] == [
        "C: DATA",
        "a mail of 4,096 bytes in 12 ms",
        "S: 552 5.3.4 message is larger than this server takes",
    ]


def test_of_a_long_session_the_beginning_and_the_end_are_kept():
    trace = Trace()
    for number in range(10_000):
        trace.note(f"entry {number}")

    shown = trace.as_text("id")
    assert trace.entries == 80
    assert "entry 0\n" in shown
    assert "… 9920 entries left out …" in shown
    assert shown.endswith("entry 9999\n")


def test_only_the_last_sessions_that_ended_are_kept_and_none_in_which_nothing_was_said():
    traces = Traces()
    for number in range(ENDED_SESSIONS + 10):
        trace = Trace()
        traces.begin(str(number), trace)
        trace.note_line(b"NOOP")
        traces.end(str(number))
    traces.begin("silent", Trace())
    assert traces.page("/trace/silent") is not None
    traces.end("silent")

    assert traces.page("/trace/silent") is None
    assert traces.page("/trace/9") is None
    assert traces.page("/trace/10") is not None


def test_long_sessions_push_each_other_out_earlier():
    traces = Traces()
    for number in range(1000):
        trace = Trace()
        traces.begin(str(number), trace)
        for _ in range(100):
            trace.note_line(b"x" * 565)
        traces.end(str(number))

    assert sum(traces.page(f"/trace/{number}") is not None for number in range(1000)) == 50_000 // 80


@pytest.mark.parametrize("path", ["/trace/", "/trace/unknown", "/trace", "/", "0123456789abcdef"])
def test_other_paths_have_no_trace(path: str):
    traces = Traces()
    traces.begin("0123456789abcdef", Trace())

    assert traces.page(path) is None
