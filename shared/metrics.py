"""Metrics for Prometheus. Every label has a closed set of values, never an address, a name or an id."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render(registry: CollectorRegistry) -> bytes:
    """The text that `/metrics` answers."""
    return generate_latest(registry)
