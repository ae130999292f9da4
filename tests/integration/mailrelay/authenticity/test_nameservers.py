"""Answers are remembered and shared, and dead servers are noticed once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from services.mailrelay.authenticity import nameservers
from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.authenticity.resolver import ResolverWithDeadline, Unanswered
from tests.signing import NameServer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def servers(dns: NameServer, clock: Clock, registry: CollectorRegistry) -> AsyncIterator[NameServers]:
    dns.zone.text("known.example", "a text", "and another")
    servers = NameServers([("127.0.0.1", dns.port)], DnsMetrics(registry), now=clock)
    yield servers
    await servers.close()


@pytest.fixture
async def impatient(dns: NameServer, clock: Clock, registry: CollectorRegistry) -> AsyncIterator[NameServers]:
    """For servers that are silent: waiting longer would bring nothing."""
    servers = NameServers([("127.0.0.1", dns.port)], DnsMetrics(registry), question_seconds=1, now=clock)
    yield servers
    await servers.close()


async def unanswered(servers: NameServers, name: str) -> None:
    with pytest.raises(Unanswered):
        await servers.ask(name, "TXT")


async def test_an_answer_is_remembered_for_as_long_as_it_says(
    servers: NameServers, dns: NameServer, clock: Clock, registry: CollectorRegistry
):
    first = await servers.ask("known.example", "TXT")
    clock.now += 299
    again = await servers.ask("KNOWN.example.", "TXT")
    assert set(first) == {"a text", "and another"}
    assert again == first
    assert dns.zone.asked == [("known.example", "TXT")]

    clock.now += 2
    await servers.ask("known.example", "TXT")

    assert len(dns.zone.asked) == 2
    assert registry.get_sample_value("replyco_mail_dns_remembered_total") == 1
    assert registry.get_sample_value("replyco_mail_dns_asked_total", {"outcome": "answered"}) == 2
    assert registry.get_sample_value("replyco_mail_dns_seconds_count") == 2


async def test_those_who_ask_the_same_at_once_share_the_answer(servers: NameServers, dns: NameServer):
    answers = await asyncio.gather(*(servers.ask("known.example", "TXT") for _ in range(50)))

    assert len({frozenset(answer) for answer in answers}) == 1
    assert len(dns.zone.asked) == 1


async def test_whoever_stops_waiting_leaves_the_answer_to_the_others(servers: NameServers, dns: NameServer):
    impatient = asyncio.create_task(servers.ask("known.example", "TXT"))
    patient = asyncio.create_task(servers.ask("known.example", "TXT"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient
    assert len(dns.zone.asked) == 1


async def test_nothing_is_remembered_as_such_for_a_minute(
    servers: NameServers, dns: NameServer, clock: Clock
):
    assert await servers.ask("nothing.example", "TXT") == ()
    assert await servers.ask("known.example", "A") == ()
    asked = len(dns.zone.asked)
    await servers.ask("nothing.example", "TXT")
    assert len(dns.zone.asked) == asked

    clock.now += nameservers.NOTHING_SECONDS
    dns.zone.text("nothing.example", "now there is")

    assert await servers.ask("nothing.example", "TXT") == ("now there is",)


async def test_what_can_be_no_name_has_no_records(servers: NameServers, dns: NameServer):
    for name in ("a..example", "x" * 64 + ".example", ".".join(["x" * 60] * 5)):
        assert await servers.ask(name, "TXT") == ()
    assert dns.zone.asked == []


async def test_a_server_that_fails_is_asked_again_after_seconds(
    servers: NameServers, dns: NameServer, clock: Clock
):
    dns.zone.failing.add("known.example")
    await unanswered(servers, "known.example")
    dns.zone.failing.clear()
    await unanswered(servers, "known.example")

    clock.now += nameservers.UNANSWERED_SECONDS

    assert await servers.ask("known.example", "TXT")


async def test_an_answer_of_any_size_comes_whole_but_only_small_ones_are_remembered(
    servers: NameServers, dns: NameServer
):
    dns.zone.text("huge.example", "x" * 30_000)

    for _ in range(2):
        assert await servers.ask("huge.example", "TXT") == ("x" * 30_000,)
    assert (
        len([name for name, _ in dns.zone.asked if name == "huge.example"]) == 4
    )  # each by UDP, then by TCP


async def test_no_more_than_so_many_answers_are_remembered(dns: NameServer, registry: CollectorRegistry):
    dns.zone.text("known.example", "a text")
    servers = NameServers([("127.0.0.1", dns.port)], DnsMetrics(registry), max_cached=2)
    for name in ("known.example", "b.example", "c.example", "known.example"):
        await servers.ask(name, "TXT")

    assert [name for name, _ in dns.zone.asked] == [
        "known.example",
        "b.example",
        "c.example",
        "known.example",
    ]
    await servers.close()


async def test_dead_servers_are_noticed_once(
    impatient: NameServers, dns: NameServer, clock: Clock, registry: CollectorRegistry
):
    dns.zone.is_dead = True
    await unanswered(impatient, "known.example")

    for number in range(200):
        await unanswered(impatient, f"n{number}.example")

    # The others were told without asking: one by one that would take 200 seconds.
    assert registry.get_sample_value("replyco_mail_dns_asked_total", {"outcome": "unanswered"}) == 1
    assert registry.get_sample_value("replyco_mail_dns_dead_total") == 1
    dns.zone.is_dead = False
    await unanswered(impatient, "known.example")
    clock.now += nameservers.DEAD_SECONDS
    assert await impatient.ask("other.example", "TXT") == ()


async def test_many_questions_at_once_find_dead_servers_together(
    impatient: NameServers, dns: NameServer, registry: CollectorRegistry
):
    dns.zone.is_dead = True

    await asyncio.gather(*(unanswered(impatient, f"n{number}.example") for number in range(50)))

    # Each of them looking for itself, in turn, would take 50 seconds.
    assert registry.get_sample_value("replyco_mail_dns_dead_total") == 1


async def test_a_port_where_nobody_listens_is_a_dead_server(registry: CollectorRegistry):
    servers = NameServers([("127.0.0.1", 9)], DnsMetrics(registry), question_seconds=1)

    await unanswered(servers, "known.example")

    assert registry.get_sample_value("replyco_mail_dns_dead_total") == 1


async def test_one_silent_domain_makes_the_servers_not_dead(
    impatient: NameServers, dns: NameServer, registry: CollectorRegistry
):
    dns.zone.silent.add("slow.example")

    await unanswered(impatient, "slow.example")

    assert registry.get_sample_value("replyco_mail_dns_dead_total") == 0
    assert registry.get_sample_value("replyco_mail_dns_asked_total", {"outcome": "unanswered"}) == 1


async def test_questions_that_wait_too_long_for_their_turn_are_dropped(
    dns: NameServer, registry: CollectorRegistry
):
    servers = NameServers([("127.0.0.1", dns.port)], DnsMetrics(registry), question_seconds=0.5, max_asking=1)
    names = [f"slow{number}.example" for number in range(20)]
    dns.zone.silent.update(names)

    await asyncio.gather(*(unanswered(servers, name) for name in names))

    assert len({name for name, _ in dns.zone.asked if name in names}) < 10
    await servers.close()


@pytest.mark.parametrize("name", ["known.example", "noted.example"], ids=["another name", "the same name"])
async def test_a_question_that_proves_never_waits_for_those_that_are_only_noted(
    dns: NameServer, registry: CollectorRegistry, name: str
):
    dns.zone.text(name, "a text")
    servers = NameServers([("127.0.0.1", dns.port)], DnsMetrics(registry), question_seconds=60)
    strangers = [f"slow{number}.example" for number in range(nameservers.MAX_NOTING)]
    dns.zone.silent.update(strangers)
    noting = [
        asyncio.create_task(servers.ask(stranger, "TXT", proves=False))
        for stranger in [*strangers, *(f"more{number}.example" for number in range(200)), "noted.example"]
    ]
    async with asyncio.timeout(15):
        while len({asked for asked, _ in dns.zone.asked}) < len(strangers):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)

    async with asyncio.timeout(15):
        assert await servers.ask(name, "TXT") == ("a text",)

    assert not any(task.done() for task in noting)
    for task in noting:
        task.cancel()
    await servers.close()


async def test_whoever_waits_only_so_long_finds_the_answer_later(servers: NameServers, dns: NameServer):
    hurried = ResolverWithDeadline(servers, asyncio.get_running_loop().time())
    with pytest.raises(Unanswered):
        await hurried.ask("known.example", "TXT")

    assert await servers.ask("known.example", "TXT")
    assert len(dns.zone.asked) == 1
