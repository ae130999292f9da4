"""The sandbox in Amazon's place."""

from tests.integration.connector.connecting import amazon, settings

__all__ = ["amazon", "settings"]
