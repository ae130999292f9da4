"""Asking a domain's DNS, by a real name server: what it says is read whole, and what it does not say proves nothing."""

from collections.abc import Iterator

import pytest

from services.connector.single_sign_on.domain_proof import ask_texts, is_proven
from tests.signing import NameServer, name_server

VALUE = "replyco-domain=AbC_1-2"


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with name_server() as running:
        zone = running.zone
        zone.text("_replyco.single.example", VALUE)
        # More than a datagram holds, and each longer than one string of a record.
        zone.text("_replyco.many.example", *(f"{number} {'x' * 400}" for number in range(9)), f" {VALUE} ")
        zone.records["_replyco.alias.example", "CNAME"] = ["_replyco.many.example."]
        zone.text("_replyco.other.example", f"{VALUE}3", VALUE.lower(), VALUE[:-1])
        zone.text("inner._replyco.above.example", VALUE)
        zone.records["_replyco.address.example", "A"] = ["192.0.2.1"]
        zone.failing.add("_replyco.failing.example")
        yield running


@pytest.mark.parametrize("domain", ["single.example", "SINGLE.example", "many.example", "alias.example"])
async def test_a_record_is_found(server: NameServer, domain: str):
    texts = await ask_texts(f"_replyco.{domain}", servers=[server.address])

    assert is_proven(texts, VALUE)


@pytest.mark.parametrize("domain", ["other.example", "above.example", "address.example"])
async def test_other_records_prove_nothing(server: NameServer, domain: str):
    texts = await ask_texts(f"_replyco.{domain}", servers=[server.address])

    assert not is_proven(texts, VALUE)


@pytest.mark.parametrize(
    "domain", ["missing.example", "failing.example", f"{'a' * 64}.example", "a..example"]
)
async def test_a_name_without_an_answer_is_an_error_of_its_own(server: NameServer, domain: str):
    with pytest.raises(OSError, match="no answer from DNS"):
        await ask_texts(f"_replyco.{domain}", servers=[server.address])
