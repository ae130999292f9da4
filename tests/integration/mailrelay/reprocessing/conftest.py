"""Messages that were delivered as the worker delivers them."""

from tests.integration.mailrelay.delivery.conftest import (
    accept,
    accept_forged,
    delivery,
    delivery_metrics,
    store,
)

__all__ = ["accept", "accept_forged", "delivery", "delivery_metrics", "store"]
