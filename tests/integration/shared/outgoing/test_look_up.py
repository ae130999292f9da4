"""Names in DNS, asked of a name server on loopback."""

import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_address

import dns.asyncresolver
import pytest

from shared.outgoing.connections import look_up
from tests.integration.mailrelay.dns_setup.test_dns import Zone, name_server

HOST = "smtp.seller.example"


@contextlib.asynccontextmanager
async def _answering(
    patch: pytest.MonkeyPatch, zone: Zone, *, failing: set[str] | None = None, silent: set[str] | None = None
) -> AsyncIterator[None]:
    """The machine's only name server is this one, and it knows this zone."""
    async with name_server(zone, failing=failing, silent=silent) as port:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], port
        resolver.search = [dns.name.from_text("inner.example.")]
        patch.setattr(dns.asyncresolver, "Resolver", lambda: resolver)
        yield


async def test_all_addresses_of_a_name_are_found(monkeypatch: pytest.MonkeyPatch):
    """# S: all A and AAAA records"""
    zone = {(HOST, "A"): ["192.0.2.1", "192.0.2.2"], (HOST, "AAAA"): ["2001:db8::1"]}

    async with _answering(monkeypatch, zone):
        found = await look_up(HOST)

    assert set(found) == {ip_address(text) for text in ("192.0.2.1", "192.0.2.2", "2001:db8::1")}


async def test_one_kind_of_address_is_enough(monkeypatch: pytest.MonkeyPatch):
    async with _answering(monkeypatch, {(HOST, "A"): ["192.0.2.1"]}):
        assert list(await look_up(HOST)) == [ip_address("192.0.2.1")]


@pytest.mark.parametrize(
    ("zone", "failing", "silent"),
    [
        ({("other.example", "A"): ["192.0.2.1"]}, set(), set()),
        ({(HOST, "MX"): ["10 mx.seller.example."]}, set(), set()),
        ({(HOST, "A"): ["192.0.2.1"]}, {HOST}, set()),
        ({(HOST, "A"): ["192.0.2.1"]}, set(), {HOST}),
    ],
)
async def test_a_name_without_address_or_answer_fails_in_time(
    monkeypatch: pytest.MonkeyPatch, zone: Zone, failing: set[str], silent: set[str]
):
    async with _answering(monkeypatch, zone, failing=failing, silent=silent):
        with pytest.raises(OSError, match="no answer from DNS"):
            await look_up(HOST, seconds=0.3)


async def test_no_search_domain_is_tried(monkeypatch: pytest.MonkeyPatch):
    async with _answering(monkeypatch, {(f"{HOST}.inner.example", "A"): ["10.0.0.1"]}):
        with pytest.raises(OSError, match="no answer from DNS"):
            await look_up(HOST)
