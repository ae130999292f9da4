"""An inbox that is kept in order."""

from tests.integration.connector.inbox.conftest import foreign_inbox, inbox

__all__ = ["foreign_inbox", "inbox"]
