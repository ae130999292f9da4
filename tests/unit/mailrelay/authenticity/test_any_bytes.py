"""No bytes make a check fail by itself."""

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.verdict import Examined, examine
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

    assert isinstance(examine(bytes(raw), SENDER, "amazon.de", datetime.now(UTC)), Examined)
