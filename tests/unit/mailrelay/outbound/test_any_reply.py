"""Whatever a person writes, and whatever the buyer's mail holds, the reply is a well-formed mail that says just that."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.mailrelay.outbound.reply import Reply, ReplyFile
from tests.unit.mailrelay.outbound.reading_back import a_reply, check_read_back, replies


@given(reply=replies(), eight_bit=st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@example(reply=a_reply(text="", subject=""), eight_bit=True)
@example(reply=a_reply(text="ä" * 100_000), eight_bit=True)
@example(reply=a_reply(text="\x00\ufeff"), eight_bit=False)
@example(reply=a_reply(files=(ReplyFile("", b""),) * 60), eight_bit=False)
def test_a_reply_is_read_back_as_it_was_written(reply: Reply, eight_bit: bool):
    check_read_back(reply, eight_bit=eight_bit)
