"""The limits by themselves, with a clock that is moved by hand."""

from collections import Counter
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from services.mailrelay.settings import RelaySettings
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.limits import ClientQuota, LimitExceeded, LimitHit, Limits
from shared.networks import Network, network_of

STRANGER = "192.0.2.1"
OTHER = "198.51.100.1"
AMAZON = "54.240.1.7"
MB = 1_048_576


class Bench:
    """Limits with small numbers, and which were hit so far."""

    def __init__(self, **changed: Any) -> None:
        values: dict[str, Any] = {
            "database_url": SecretStr("postgresql://nobody@localhost/none"),
            "mail_public_key_file": "none",
            "connection_limit": 8,
            "network_connection_limit": 3,
            "command_limit": 100,
            "error_delay_from": 2,
            "error_limit": 4,
            "unknown_recipient_delay_from": 5,
            "unknown_recipient_limit": 10,
            "unknown_recipient_window_seconds": 600,
            "delay_seconds": 3,
            "memory_budget_bytes": 120 * MB,
            "trusted_networks": "54.240.0.0/18, 2001:db8:a::/48",
            **changed,
        }
        settings = RelaySettings(**values)
        self.now = 1000.0
        self.hits: Counter[LimitHit] = Counter()
        self.proven: set[Network] = set()
        # The clients whose connections were ended for others, in this order.
        self.made_way: list[str] = []
        self.limits = Limits(
            settings,
            connection_limit=settings.connection_limit,
            on_hit=lambda hit: self.hits.update([hit]),
            proven_networks=lambda: self.proven,
            clock=lambda: self.now,
        )

    def admit(self, address: str = STRANGER) -> ClientQuota:
        return self.limits.admit(ip_address(address), make_way=lambda: self.made_way.append(address))

    def name_unknown(self, quota: ClientQuota, times: int) -> list[float]:
        """Name unknown recipients; how long each reply has to wait."""
        return [quota.count_reply(replies.UNKNOWN_ADDRESS) for _ in range(times)]


def test_addresses_that_are_uncertain_after_a_restore_make_a_guess_as_slow_as_ever():
    certain, uncertain = Bench().admit(), Bench().admit()

    def guess(quota: ClientQuota, reply: replies.Reply) -> list[float]:
        return [quota.count_reply(reply) for _ in range(100)]

    delays = guess(uncertain, replies.ADDRESS_UNCERTAIN)
    assert delays == guess(certain, replies.UNKNOWN_ADDRESS)
    assert delays[-1] > 0
    with pytest.raises(LimitExceeded):
        uncertain.require_within_limits(has_recipient=False)


def test_an_ipv6_network_is_a_64_and_an_ipv4_one_an_address():
    one, same, other = (network_of(ip_address(f"2001:db8:0:{tail}")) for tail in ("1::1", "1:f::9", "2::1"))

    assert one == same != other
    assert network_of(ip_address("192.0.2.1")) != network_of(ip_address("192.0.2.2"))
    assert network_of(ip_address("::ffff:192.0.2.1")) == network_of(ip_address("192.0.2.1"))


def test_a_network_has_so_many_connections_and_gets_them_back():
    bench = Bench()
    quotas = [bench.admit() for _ in range(3)]

    with pytest.raises(LimitExceeded) as exceeded:
        bench.admit()
    assert exceeded.value.reply is replies.TOO_MANY_CONNECTIONS
    bench.admit(OTHER)
    quotas[0].release()
    bench.admit()
    assert bench.hits == {LimitHit.NETWORK_CONNECTIONS: 1}


def test_strangers_leave_places_free_for_trusted_networks():
    bench = Bench()
    for number in range(6):
        bench.admit(f"192.0.2.{number}").reserve_memory(1)  # a mail is on its way: they make way for nobody

    with pytest.raises(LimitExceeded):
        bench.admit("192.0.2.9")
    bench.admit(AMAZON)
    bench.admit(AMAZON)
    with pytest.raises(LimitExceeded):
        bench.admit(AMAZON)
    assert bench.hits == {LimitHit.CONNECTIONS: 2}


def test_without_trusted_networks_strangers_have_all_places():
    bench = Bench(trusted_networks="")

    for number in range(8):
        bench.admit(f"192.0.2.{number}").reserve_memory(1)
    with pytest.raises(LimitExceeded):
        bench.admit("192.0.2.9")


@pytest.mark.parametrize("address", [AMAZON, f"::ffff:{AMAZON}", "2001:db8:a:1::1"])
def test_a_trusted_network_is_held_by_no_limit_of_its_own(address: str):
    bench = Bench()
    quotas = [bench.admit(address) for _ in range(8)]

    assert set(bench.name_unknown(quotas[0], 1000)) == {0}
    assert {quotas[0].count_reply(replies.SYNTAX) for _ in range(1000)} == {0}
    quotas[0].require_within_limits(has_recipient=False)
    assert not bench.hits


def test_unknown_recipients_slow_a_network_down_and_then_end_its_sessions():
    bench = Bench()
    first, second = bench.admit(), bench.admit()

    assert bench.name_unknown(first, 6) == [0, 0, 0, 0, 0, 3]
    first.require_within_limits(has_recipient=False)
    # Another session of the same network goes on where the first was; another network does not.
    assert bench.name_unknown(second, 5) == [3] * 5
    with pytest.raises(LimitExceeded) as exceeded:
        second.require_within_limits(has_recipient=False)
    assert exceeded.value.reply is replies.TOO_MANY_UNKNOWN
    assert bench.name_unknown(bench.admit(OTHER), 5) == [0] * 5


def test_a_braked_network_is_never_slowed_for_recipients_that_exist():
    bench = Bench()
    bench.name_unknown(bench.admit(), 100)
    honest = bench.admit()

    for _ in range(50):
        honest.count_command()
        assert honest.count_reply(replies.RECIPIENT_OK) == 0
        honest.require_within_limits(has_recipient=True)


def test_a_mail_with_a_known_recipient_is_let_through_before_the_end():
    bench = Bench()
    quota = bench.admit()
    bench.name_unknown(quota, 11)

    quota.require_within_limits(has_recipient=True)
    with pytest.raises(LimitExceeded):
        quota.require_within_limits(has_recipient=False)
    quota.count_accepted_mail()
    quota.require_within_limits(has_recipient=False)


def test_unknown_recipients_are_forgotten_with_time():
    bench = Bench()
    quota = bench.admit()
    bench.name_unknown(quota, 10)

    bench.now += 300
    assert bench.name_unknown(quota, 1) == [3]
    bench.now += 600
    assert bench.name_unknown(quota, 5) == [0] * 5


def test_a_clock_that_stands_still_breaks_nothing():
    bench = Bench()

    assert bench.name_unknown(bench.admit(), 20)[-1] == 3


def test_no_more_networks_are_remembered_than_may_be():
    bench = Bench(connection_limit=100_000)

    for number in range(10_500):
        quota = bench.admit(f"10.0.{number // 256}.{number % 256}")
        quota.count_reply(replies.UNKNOWN_ADDRESS)
        quota.release()

    assert len(bench.limits._unknown_by_network) == 10_000
    assert not bench.limits._use_by_network


def test_errors_slow_down_and_then_end_and_a_mail_forgives_them():
    bench = Bench()
    quota = bench.admit()

    def err() -> float:
        return quota.count_reply(replies.SYNTAX)

    assert [err() for _ in range(4)] == [0, 0, 3, 3]
    quota.count_accepted_mail()
    assert [err() for _ in range(5)] == [0, 0, 3, 3, 3]
    with pytest.raises(LimitExceeded) as exceeded:
        quota.require_within_limits(has_recipient=False)
    assert exceeded.value.reply is replies.TOO_MANY_ERRORS


def test_what_is_our_fault_is_held_against_nobody():
    bench = Bench()
    quota = bench.admit()

    delays = {quota.count_reply(replies.DATABASE_AWAY) for _ in range(1000)}

    assert delays == {0}
    quota.require_within_limits(has_recipient=False)


def test_commands_are_counted_from_mail_to_mail():
    bench = Bench()
    quota = bench.admit()

    for _ in range(10):
        for _ in range(100):
            quota.count_command()
        quota.count_accepted_mail()
    for _ in range(100):
        quota.count_command()
    with pytest.raises(LimitExceeded):
        quota.count_command()
    assert bench.hits == {LimitHit.COMMANDS: 1}


def test_mails_in_flight_stay_within_the_budget():
    bench = Bench(trusted_networks="")
    quotas = [bench.admit(f"192.0.2.{number}") for number in range(5)]

    taken = [quota.reserve_memory(10 * MB) for quota in quotas]

    assert taken == [True, True, True, True, False]
    assert bench.limits.memory_bytes == 120 * MB
    quotas[0].release_memory()
    assert quotas[4].reserve_memory(10 * MB)
    for quota in quotas:
        quota.release()
    assert bench.limits.memory_bytes == 0
    assert bench.hits == {LimitHit.MEMORY: 1}


def test_a_mail_that_grows_takes_only_what_it_grew():
    bench = Bench()
    quota = bench.admit()

    assert [quota.reserve_memory(size * MB) for size in (1, 5, 3, 5)] == [True] * 4
    assert bench.limits.memory_bytes == 15 * MB


def test_a_lone_mail_is_taken_whatever_the_budget():
    bench = Bench(memory_budget_bytes=MB)
    alone, second = bench.admit(), bench.admit(OTHER)

    assert alone.reserve_memory(40 * MB)
    assert not second.reserve_memory(1)
    assert alone.reserve_memory(50 * MB)


def test_one_network_cannot_take_the_memory_of_all():
    bench = Bench()
    first, second = bench.admit(), bench.admit()

    assert first.reserve_memory(15 * MB)
    assert second.reserve_memory(5 * MB)
    assert not second.reserve_memory(6 * MB)
    assert bench.admit(OTHER).reserve_memory(10 * MB)
    # A quarter is left, for trusted networks.
    assert not bench.admit("203.0.113.1").reserve_memory(1)
    assert bench.admit(AMAZON).reserve_memory(10 * MB)
    assert not bench.admit(AMAZON).reserve_memory(1)


def test_trusted_networks_are_words_and_wrong_ones_are_named():
    settings = Bench(trusted_networks="54.240.0.0/18,199.255.192.0/22 2001:db8::/32").limits.settings

    assert [str(network) for network in settings.trusted_networks] == [
        "54.240.0.0/18",
        "199.255.192.0/22",
        "2001:db8::/32",
    ]
    with pytest.raises(ValueError, match="trusted_networks"):
        Bench(trusted_networks="amazon")


def test_a_site_counts_as_a_network_that_may_hold_four_times_as_much():
    bench = Bench(connection_limit=100)
    for number in range(12):
        bench.admit(f"2001:db8:b:{number}::1")

    with pytest.raises(LimitExceeded):
        bench.admit("2001:db8:b:ffff::1")
    bench.admit("2001:db8:c::1")
    assert bench.hits == {LimitHit.NETWORK_CONNECTIONS: 1}


def test_a_site_that_guesses_addresses_from_many_networks_is_stopped():
    bench = Bench(connection_limit=100)
    delays = [bench.name_unknown(bench.admit(f"2001:db8:b:{number:x}::1"), 4)[-1] for number in range(12)]

    assert delays[0] == 0
    assert delays[-1] == 3


def test_when_places_are_scarce_the_silent_make_way_and_first_of_the_network_that_holds_most():
    bench = Bench(trusted_networks="", network_connection_limit=5)
    alone = bench.admit("192.0.2.9")
    bench.now += 1
    flood = [bench.admit(STRANGER) for _ in range(5)]
    bench.now += 1
    useful = bench.admit("192.0.2.10")
    useful.count_mail([], 1000)
    sending = bench.admit("192.0.2.11")
    sending.reserve_memory(1)

    newcomers = [bench.admit(f"203.0.113.{number}") for number in range(6)]

    assert bench.made_way[:4] == [STRANGER] * 4
    assert set(bench.made_way[4:]) <= {STRANGER, "192.0.2.9"}
    assert "192.0.2.10" not in bench.made_way
    assert "192.0.2.11" not in bench.made_way
    assert bench.hits == {LimitHit.MADE_WAY: 6}
    for quota in [alone, *flood, useful, sending, *newcomers]:
        quota.release()
    assert not bench.limits._use_by_network


def test_whoever_has_brought_mail_makes_way_last_and_whose_mail_is_on_its_way_not_at_all():
    bench = Bench(connection_limit=2, trusted_networks="")
    useful, sending = bench.admit("192.0.2.10"), bench.admit("192.0.2.11")
    useful.count_mail([], 1000)
    sending.reserve_memory(1)

    bench.admit("192.0.2.12").reserve_memory(1)
    assert bench.made_way == ["192.0.2.10"]
    with pytest.raises(LimitExceeded):
        bench.admit("192.0.2.13")

    # A mail that does not come to its end keeps nobody out for ever.
    bench.now += 31
    bench.admit("192.0.2.13")
    assert len(bench.made_way) == 2


@pytest.mark.parametrize("known", ["trusted", "proven"])
def test_a_network_of_amazons_keeps_its_places_and_finds_one(known: str):
    bench = Bench(trusted_networks="54.240.0.0/18" if known == "trusted" else "")
    bench.proven = {ip_network("54.240.1.7/32")} if known == "proven" else set()
    amazons = [bench.admit(AMAZON) for _ in range(2)]
    for number in range(20):
        bench.admit(f"203.0.113.{number}")

    bench.admit(AMAZON)

    assert AMAZON not in bench.made_way
    assert all(quota.is_known for quota in amazons)


def test_an_address_takes_so_many_mails_an_hour_and_half_of_them_from_one_network():
    bench = Bench(address_mails_per_hour=10)
    address, another = uuid4(), uuid4()
    quota = bench.admit()
    for _ in range(5):
        assert quota.may_send_to(address)
        quota.count_mail([address], 1000)

    assert not quota.may_send_to(address)
    assert quota.may_send_to(another)
    assert bench.admit(OTHER).may_send_to(address)
    assert bench.hits == {LimitHit.ADDRESS_RATE: 1}
    bench.now += 3600 / 5 + 1
    assert quota.may_send_to(address)


def test_an_address_takes_so_many_bytes_an_hour():
    bench = Bench(address_bytes_per_hour=10 * MB)
    address = uuid4()
    first, second, third = bench.admit(), bench.admit(OTHER), bench.admit("203.0.113.1")
    first.count_mail([address], 5 * MB)
    assert not first.may_send_to(address)
    assert second.may_send_to(address)
    second.count_mail([address], 5 * MB)

    assert not third.may_send_to(address)


def test_a_flood_of_strangers_keeps_no_mail_of_a_known_network_out():
    bench = Bench(address_mails_per_hour=10, network_mails_per_hour=1000)
    bench.proven = {ip_network("198.51.100.1/32")}
    address = uuid4()
    for number in range(20):
        stranger = bench.admit(f"203.0.113.{number}")
        if stranger.may_send_to(address):
            stranger.count_mail([address], 1000)
        stranger.release()

    proven, trusted = bench.admit(OTHER), bench.admit(AMAZON)
    for _ in range(30):
        assert proven.may_send_to(address)
        proven.count_mail([address], 1000)
        assert trusted.may_send_to(address)
        trusted.count_mail([address], 1000)
    assert not bench.admit("203.0.113.99").may_send_to(address)


def test_a_network_sends_so_many_copies_and_bytes_an_hour_to_whomever():
    bench = Bench(network_mails_per_hour=100, network_bytes_per_hour=10 * MB)
    of_mails, of_bytes = bench.admit(), bench.admit(OTHER)
    of_mails.count_mail([uuid4() for _ in range(100)], 1000)
    of_bytes.count_mail([uuid4()], 10 * MB)

    assert not of_mails.may_send_to(uuid4())
    assert not of_bytes.may_send_to(uuid4())
    assert bench.hits == {LimitHit.NETWORK_RATE: 2}


def test_a_site_with_many_networks_sends_no_more_than_four():
    bench = Bench(network_mails_per_hour=10, connection_limit=100)
    sent = 0
    for number in range(100):
        quota = bench.admit(f"2001:db8:b:{number:x}::1")
        while quota.may_send_to(address := uuid4()):
            quota.count_mail([address], 1)
            sent += 1
        quota.release()

    assert sent == 40


def test_the_levels_of_mail_that_are_remembered_are_bounded():
    bench = Bench()
    quota = bench.admit()
    for _ in range(1100):
        quota.count_mail([uuid4() for _ in range(50)], 1)

    assert len(bench.limits.rates._levels) == 100_000
