"""How many requests a caller may make to one process."""

from typing import Any

import pytest

from services.connector.http.rate_limits import RATE_LIMIT_STATE, RateLimited, RateLimits


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _headers(limits: RateLimits, key: str = "a") -> dict[bytes, bytes]:
    scope: dict[str, Any] = {}
    limits.take(key, scope)
    return dict(scope[RATE_LIMIT_STATE].headers())


def test_the_answer_tells_the_quota_what_is_left_and_when_it_is_whole_again():
    limits = RateLimits("caller", 60, clock=Clock())

    _headers(limits)
    assert _headers(limits) == {
        b"ratelimit-policy": b'"caller";q=60;w=60',
        b"ratelimit": b'"caller";r=58;t=2',
    }


def test_who_has_used_his_quota_is_told_how_long_to_wait():
    clock = Clock()
    limits = RateLimits("caller", 30, clock=clock)
    for _ in range(30):
        limits.take("a", {})

    scope: dict[str, Any] = {}
    with pytest.raises(RateLimited) as refused:
        limits.take("a", scope)
    assert refused.value.fields == {"retry_after_seconds": 2}
    assert dict(scope[RATE_LIMIT_STATE].headers())[b"ratelimit"] == b'"caller";r=0;t=60'

    clock.now += 2
    limits.take("a", {})
    with pytest.raises(RateLimited):
        limits.take("a", {})


def test_one_caller_s_loop_does_not_slow_another():
    limits = RateLimits("caller", 1, clock=Clock())
    limits.take("a", {})
    with pytest.raises(RateLimited):
        limits.take("a", {})

    limits.take("b", {})


def test_no_more_than_so_many_buckets_are_kept():
    limits = RateLimits("address", 1, clock=Clock(), kept=3)
    for key in "abcd":
        limits.take(key, {})

    with pytest.raises(RateLimited):
        limits.take("d", {})
    # Forgotten: the least recent.
    limits.take("a", {})
