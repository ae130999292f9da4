"""No bytes make a check fail by itself."""

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.mailrelay.authenticity.addressees import Addressees
from services.mailrelay.authenticity.covered import Covered
from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.verdict import Examined, examine
from services.mailrelay.parsing.claimed_sender import claimed_sender
from services.mailrelay.parsing.structure import read_head
from tests.signing import signed

MAILS = sorted((Path(__file__).parents[3] / "mails").glob("*.eml"))
SENDER = Sender.of("192.0.2.1", None, "")


PIECES = st.sampled_from(
    [b"", b"\r\n", b";", b"=", b"\0", b"\xff", b"DKIM-Signature: v=1;", b"\r\nARC-Seal: i=1;"]
)
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([0, 1, 5, 100]), PIECES), max_size=20)


@given(st.sampled_from(MAILS), CHANGES)
@settings(max_examples=200, deadline=None)
def test_changed_mails_are_examined(path: Path, changes: list[tuple[int, int, bytes]]):
    raw = bytearray(signed(path.read_bytes()))
    for place, length, piece in changes:
        start = place % (len(raw) + 1)
        raw[start : start + length] = piece

    examined = examine(bytes(raw), SENDER, "amazon.de", datetime.now(UTC))

    assert isinstance(examined, Examined)
    for signature in examined.signatures:
        if signature.covered is not None:
            _use(signature.covered, bytes(raw))


def _use(covered: Covered, raw: bytes) -> None:
    """All that becomes of what is covered; nothing guards it, so nothing may fail."""
    assert len(covered.identity) == 32
    assert Addressees.of(covered, "mabtekrud@replyco.email").is_elsewhere_at_ours in {True, False}
    alone = covered.alone_in(raw)
    assert len(claimed_sender(alone).digest) == 32


VALUES = st.text(st.characters(max_codepoint=255), max_size=60).map(lambda text: text.encode("latin-1"))


@given(
    st.lists(st.tuples(st.sampled_from([b"To", b"Cc", b"Content-Type", b"From"]), VALUES), max_size=6),
    st.binary(max_size=300) | st.text("ABCDabcd0123+/=\r\n ", max_size=300).map(str.encode),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_covered_can_be_used(fields: list[tuple[bytes, bytes]], body: bytes):
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    raw = head + b"\r\n" + body
    covered = Covered(frozenset({"from"}), tuple(read_head(raw).fields), bytes(32))

    _use(covered, raw)
