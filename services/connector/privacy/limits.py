"""How long things are kept. docs/privacy.md says why; an account may keep what came from the SP-API longer, because a law demands it. Pure."""

from datetime import timedelta
from typing import Final

from services.connector.orders.model import PURGE_TAKES

# Amazon's Data Protection Policy, 1.7: all, at most 30 days after the authorization ended. What is not personal: `orders.model.ORDERS_KEPT`.
KEPT_AFTER_AUTHORIZATION: Final = timedelta(days=30) - PURGE_TAKES
# The least that an account may choose, and that a conversation is kept after its last message whatever its order's date.
LEAST_MESSAGES_KEPT: Final = timedelta(days=30)
# What came later than this is still waited for, whatever it has to wait for: a lock, a blob, the night.
OVERDUE_AFTER: Final = timedelta(days=1)
