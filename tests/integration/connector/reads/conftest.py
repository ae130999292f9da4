"""An inbox that is read."""

from tests.integration.connector.inbox.conftest import foreign_inbox, inbox, worker

__all__ = ["foreign_inbox", "inbox", "worker"]
