"""A mail is one trace from RCPT to the inbox, in whichever processes it is worked on, and the trace tells nothing of what is in it."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.crypto.mail_key_files import MailPrivateKeyFile, create_mail_key_pair
from shared.settings import TracingSettings
from shared.tracing import exporting, root_of
from tests.conftest import Database, Keys
from tests.integration.mailrelay.accepting import running_relay
from tests.integration.mailrelay.delivery.conftest import Accept, Store, mail
from tests.otlp import Seen, collector
from tests.signing import addressed, signed

# Of the mail buyer-question, its envelope and its store.
CANARIES = (
    "Robin", "Mühle", "302-7654321-1234567", "marketplace.amazon.de", "mabtekrud", "replyco.email", "sender.example", "127.0.0.1",
)  # fmt: skip


async def accepted(database: Database, keys: Keys, store: Store, endpoint: str) -> UUID:
    """The id that a relay says to the client."""
    address = f"{store.address.local_part}@replyco.email"
    async with (
        exporting("mailrelay", TracingSettings(otlp_endpoint=endpoint)),
        running_relay(database, keys) as relay,
        relay.client() as client,
    ):
        reply = await client.deliver(address, signed(addressed(mail("buyer-question"), address)))
    assert reply.startswith("250 2.0.0 accepted as ")
    return UUID(reply.split()[4])


def of_name(spans: list[Seen], name: str) -> Seen:
    [found] = [seen for seen in spans if seen.name == name]
    return found


async def test_a_mail_is_one_trace_with_the_id_that_its_sender_was_told(
    database: Database, keys: Keys, store: Store, delivery: Delivery
):
    async with collector() as taken:
        mail_id = await accepted(database, keys, store, taken.endpoint)
        async with exporting("mail-worker", TracingSettings(otlp_endpoint=taken.endpoint)):
            assert await deliver_due(delivery) == 1

    spans = taken.spans()
    assert taken.paths == {"POST /v1/traces HTTP/1.1"}
    assert {seen.span.trace_id for seen in spans} == {mail_id.bytes}
    assert [(seen.role, seen.name) for seen in spans] == [
        ("mailrelay", "accept mail"),
        ("mailrelay", "read mail"),
        ("mailrelay", "store mail"),
        ("mail-worker", "deliver mail"),
        ("mail-worker", "open mail"),
        ("mail-worker", "judge mail"),
        ("mail-worker", "parse mail"),
        ("mail-worker", "seal message"),
        ("mail-worker", "write message"),
    ]
    root, delivered = of_name(spans, "accept mail"), of_name(spans, "deliver mail")
    assert root.span.span_id == root_of(mail_id).to_bytes(8)
    assert root.span.parent_span_id == b""
    for seen in spans[1:]:
        below = root if seen.name in {"read mail", "store mail", "deliver mail"} else delivered
        assert seen.span.parent_span_id == below.span.span_id, seen.name
        assert seen.span.start_time_unix_nano >= below.span.start_time_unix_nano, seen.name
    assert all(seen.span.end_time_unix_nano >= seen.span.start_time_unix_nano for seen in spans)
    assert root.facts["replyco.account_id"] == str(store.account_id)
    facts = delivered.facts
    assert (facts["replyco.outcome"], facts["replyco.kind"]) == ("stored", "buyer_message")
    assert (facts["replyco.authenticity"], facts["replyco.lane"]) == ("authentic", "quick")


async def test_nothing_of_a_mail_is_in_its_spans(
    database: Database, keys: Keys, store: Store, delivery: Delivery
):
    """# S: no name, address or text in a span"""
    async with collector() as taken:
        await accepted(database, keys, store, taken.endpoint)
        async with exporting("mail-worker", TracingSettings(otlp_endpoint=taken.endpoint)):
            await deliver_due(delivery)

    sent = b"".join(taken.bodies).decode(errors="replace")
    assert "deliver mail" in sent
    for canary in CANARIES:
        assert canary not in sent, canary


async def test_a_mail_that_waits_says_why(delivery: Delivery, accept: Accept, tmp_path: Path):
    mail_id = await accept(mail("buyer-question"))
    create_mail_key_pair(tmp_path / "private.json", tmp_path / "public.json")
    with_another_key = replace(delivery, private_keys=MailPrivateKeyFile.load(tmp_path / "private.json"))
    async with (
        collector() as taken,
        exporting("mail-worker", TracingSettings(otlp_endpoint=taken.endpoint)),
    ):
        await deliver_due(with_another_key)

    [waits] = taken.spans()
    assert (waits.name, waits.is_error) == ("put mail off", True)
    assert waits.span.trace_id == mail_id.bytes
    assert waits.facts == {"replyco.mail_id": str(mail_id), "error.type": "mail_key_missing"}


async def test_a_collector_that_is_away_or_refuses_costs_no_mail(
    database: Database, keys: Keys, store: Store, delivery: Delivery
):
    await accepted(database, keys, store, "http://127.0.0.1:9")
    async with collector() as taken:
        taken.status = "400 Bad Request"
        async with exporting("mail-worker", TracingSettings(otlp_endpoint=taken.endpoint)):
            assert await deliver_due(delivery) == 1

    assert taken.bodies
