"""Amazon's limits are kept by all processes together, and learned from its answers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from services.connector.amazon.access import create_amazon
from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import QuotaUsed, Throttled
from services.connector.amazon.sellers import get_marketplace_participations
from services.connector.maintenance.jobs import keep_house
from services.connector.throttling.buckets import DatabaseBuckets
from shared.database import Sessions
from shared.marketplaces import Region
from shared.tables import ThrottleBucket
from tests.integration.connector.connecting import answering, http_answer

BURST = 15
OK = http_answer(200, '{"payload": []}')


def with_rate(rate: str) -> bytes:
    return OK.replace(b"Connection:", f"x-amzn-RateLimit-Limit: {rate}\r\nConnection:".encode())


class Server:
    """Answers with `answer`, and counts."""

    def __init__(self) -> None:
        self.answer = OK
        self.calls = 0

    async def __call__(self, _request: bytes) -> bytes:
        self.calls += 1
        return self.answer


@asynccontextmanager
async def processes(
    sessions: Sessions,
    server: Server,
    count: int = 1,
    seller_id: str = "A1LAMPENLADEN7",
    client_id: str = "client",
) -> AsyncIterator[list[Callable[[], SellerApi]]]:
    async with answering(server) as address:
        ways = [
            create_amazon(
                client_id,
                SecretStr("secret"),
                amazon_base_url=address,
                buckets=DatabaseBuckets(sessions),
            )
            for _ in range(count)
        ]
        yield [
            lambda way=way: SellerApi(way.sp_api, Region.EU, seller_id, SecretStr("Atza|a"))  # type: ignore[misc]
            for way in ways
        ]
        for way in ways:
            await way.close()


async def test_processes_share_a_sellers_bucket_and_stop_before_amazon_would_refuse(sessions: Sessions):
    server = Server()
    async with processes(sessions, server, 3) as apis:
        for number in range(BURST):
            await get_marketplace_participations(apis[number % 3]())
        with pytest.raises(Throttled) as refused:
            await get_marketplace_participations(apis[0]())

    assert server.calls == BURST
    assert 55 <= int(refused.value.fields["retry_after_seconds"]) <= 63


async def test_each_seller_has_a_bucket_of_its_own(sessions: Sessions):
    server = Server()
    async with (
        processes(sessions, server) as first,
        processes(sessions, server, seller_id="A2OTHER") as other,
    ):
        for _ in range(BURST):
            await get_marketplace_participations(first[0]())
        await get_marketplace_participations(other[0]())

    assert server.calls == BURST + 1


async def test_each_application_has_a_bucket_of_its_own(sessions: Sessions):
    server = Server()
    async with (
        processes(sessions, server) as ours,
        processes(sessions, server, client_id="other") as other,
    ):
        for _ in range(BURST):
            await get_marketplace_participations(ours[0]())
        await get_marketplace_participations(other[0]())
        with pytest.raises(Throttled):
            await get_marketplace_participations(ours[0]())

    assert server.calls == BURST + 1


async def test_a_429_in_spite_of_the_bucket_empties_it_for_every_process(sessions: Sessions):
    server = Server()
    server.answer = http_answer(429, '{"errors": [{"code": "QuotaExceeded", "message": ""}]}')
    async with processes(sessions, server, 2) as apis:
        for api in (apis[0], apis[1]):
            with pytest.raises(Throttled):
                await get_marketplace_participations(api())

    assert server.calls == 1


async def test_the_rate_that_amazon_tells_counts_and_nonsense_does_not(sessions: Sessions):
    server = Server()
    async with processes(sessions, server) as apis:
        for told in ("20.0", "nan", "-1", "many"):
            server.answer = with_rate(told)
            await get_marketplace_participations(apis[0]())
        await get_marketplace_participations(apis[0]())
        for _ in range(BURST):
            # Twenty a second: a moment's wait is enough.
            await get_marketplace_participations(apis[0]())

    async with sessions.begin() as session:
        bucket = (await session.scalars(select(ThrottleBucket))).one()
    assert bucket.key == "sp-api:client:eu:A1LAMPENLADEN7:getMarketplaceParticipations"
    assert bucket.rate == 20.0


async def test_a_bucket_that_is_full_again_is_forgotten(sessions: Sessions):
    async with processes(sessions, Server()) as apis:
        await get_marketplace_participations(apis[0]())
    await keep_house(sessions, datetime.now(UTC))
    async with sessions.begin() as session:
        kept = (await session.scalars(select(ThrottleBucket.key))).all()
        await session.execute(
            text("UPDATE throttle_buckets SET updated_at = updated_at - interval '2 hours'")
        )
    await keep_house(sessions, datetime.now(UTC))
    async with sessions.begin() as session:
        left = (await session.scalars(select(ThrottleBucket.key))).all()

    assert (len(kept), len(left)) == (1, 0)


async def test_the_rate_of_a_429_counts_too_and_says_how_long_to_wait(sessions: Sessions):
    server = Server()
    refusal = http_answer(429, '{"errors": [{"code": "QuotaExceeded", "message": ""}]}')
    async with processes(sessions, server) as apis:
        server.answer = refusal
        with pytest.raises(Throttled) as unknown:
            await get_marketplace_participations(apis[0]())
        async with sessions.begin() as session:
            await session.execute(text("UPDATE throttle_buckets SET tokens = 1"))
        server.answer = refusal.replace(b"Connection:", b"x-amzn-RateLimit-Limit: 0.1\r\nConnection:")
        with pytest.raises(Throttled) as told:
            await get_marketplace_participations(apis[0]())

    # One call in 62.5 seconds as published, then one in ten.
    assert unknown.value.fields["retry_after_seconds"] == 63
    assert told.value.fields["retry_after_seconds"] == 10


async def test_what_our_own_bucket_holds_back_is_no_trouble_of_amazons(sessions: Sessions):
    server = Server()
    async with processes(sessions, server) as apis:
        for _ in range(BURST):
            await get_marketplace_participations(apis[0]())
        with pytest.raises(QuotaUsed):
            await get_marketplace_participations(apis[0]())
