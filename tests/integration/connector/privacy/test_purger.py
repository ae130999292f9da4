"""What a worker shows: how much is over, since when, and how much has ended; and that it does it every night."""

import pytest
from prometheus_client import CollectorRegistry

from services.connector.job_queue.runner import JobRunner
from services.connector.privacy import jobs
from services.connector.privacy.purger import Purger
from shared.database import Sessions
from tests.integration.connector.privacy.conftest import DAY, Shop


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def purger(shop: Shop, registry: CollectorRegistry) -> Purger:
    return Purger(shop.sessions, shop.blobs, registry, messages_end_with_orders=False)


async def test_what_is_over_is_shown_until_it_has_ended(
    shop: Shop, purger: Purger, registry: CollectorRegistry
):
    await shop.order(personal_ends_at=shop.now + DAY)
    kind = {"kind": "order_personal"}

    await purger.watch(shop.now + 3 * DAY)
    assert registry.get_sample_value("replyco_data_due", kind) == 1
    assert registry.get_sample_value("replyco_data_overdue_seconds") == (2 * DAY).total_seconds()

    await purger.purge(shop.now + 3 * DAY)
    await purger.watch(shop.now + 3 * DAY)
    assert registry.get_sample_value("replyco_data_due", kind) == 0
    assert registry.get_sample_value("replyco_data_overdue_seconds") == 0
    assert registry.get_sample_value("replyco_data_ended_total", kind) == 1


async def test_an_order_that_is_told_late_is_not_overdue_at_once(
    shop: Shop, purger: Purger, registry: CollectorRegistry
):
    await shop.order(purchased_at=shop.now - 700 * DAY, personal_ends_at=None, created_at=shop.now)

    await purger.watch(shop.now)

    assert registry.get_sample_value("replyco_data_due", {"kind": "orders"}) == 1
    assert registry.get_sample_value("replyco_data_overdue_seconds") == 0


async def test_the_purge_is_work_that_is_due_every_night(
    purger: Purger, registry: CollectorRegistry, sessions: Sessions
):
    runner = JobRunner(sessions, registry)

    jobs.register(runner, sessions, purger)

    assert (
        registry.get_sample_value("replyco_jobs_total", {"kind": "purge_what_is_over", "outcome": "done"})
        == 0
    )
