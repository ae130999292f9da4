"""Whose mail goes into the slow lane without being tried in its own: for how long, and for whom."""

from ipaddress import ip_address
from uuid import uuid4

from services.mailrelay.delivery.suspects import REMEMBERED_SECONDS, Suspects
from shared.networks import network_of

NETWORK = network_of(ip_address("192.0.2.1"))
OTHER = network_of(ip_address("192.0.2.2"))


def test_a_network_is_suspect_to_the_account_that_it_wrote_to_and_for_some_minutes():
    now = 0.0
    suspects = Suspects(clock=lambda: now)
    account, another = uuid4(), uuid4()
    suspects.note(NETWORK, account)

    assert suspects.has(NETWORK, account, is_proven=False)
    assert suspects.has(NETWORK, account, is_proven=True)
    assert not suspects.has(NETWORK, another, is_proven=False)
    assert not suspects.has(OTHER, account, is_proven=False)
    now = REMEMBERED_SECONDS
    assert not suspects.has(NETWORK, account, is_proven=False)


def test_a_network_that_was_slow_for_several_accounts_is_suspect_to_all_unless_amazons_mail_comes_from_it():
    suspects = Suspects(clock=lambda: 0.0)
    for _ in range(3):
        suspects.note(NETWORK, uuid4())

    assert suspects.has(NETWORK, uuid4(), is_proven=False)
    assert not suspects.has(NETWORK, uuid4(), is_proven=True)


def test_what_is_remembered_is_bounded():
    suspects = Suspects(clock=lambda: 0.0)
    account = uuid4()
    first = network_of(ip_address("10.0.0.0"))
    for number in range(10_001):
        suspects.note(network_of(ip_address(0x0A000000 + number)), account)

    assert not suspects.knows(first)
