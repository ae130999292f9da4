"""What is personal in an order, opened for somebody who may read it. A value that does not open costs that value alone (D8).

Whoever opens orders gets the keys from `keys_of`, which asks for the permission.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import structlog

from services.connector.accounts.callers import Caller
from services.connector.orders import personal
from services.connector.orders.model import Address, Buyer
from services.connector.orders.queries import SealedItem, WholeOrder
from shared.crypto.envelope import AccountKeys, SealBroken, Sealed
from shared.database import Sessions
from shared.keyring import Keyring
from shared.permissions import Level, Permission

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenedItem:
    """An item as it is read. `report_columns`: what reports say of it beyond all the other fields, personal or not."""

    row: SealedItem
    gift_message: str | None
    customized_url: str | None
    report_columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OpenedOrder:
    """An order to be read. `is_whole`: everything that is stored of it could be opened."""

    order: WholeOrder
    buyer: Buyer | None
    recipient: Address | None
    items: Sequence[OpenedItem]
    is_whole: bool


async def keys_of(caller: Caller, sessions: Sessions, keyring: Keyring) -> AccountKeys:
    """The keys with which the account's orders are opened. Raises PermissionMissing for who may not read them, whatever the route lets in."""
    caller.require(Permission.INBOX_ORDERS, Level.VIEW)
    return await keyring.of(sessions, caller.account_id)


class _Opener:
    def __init__(self, keys: AccountKeys) -> None:
        self._keys = keys
        self.is_whole = True

    def open(
        self, way: Callable[[AccountKeys, UUID, Sealed], T], row_id: UUID, sealed: Sealed | None
    ) -> T | None:
        if sealed is None:
            return None
        try:
            return way(self._keys, row_id, sealed)
        except SealBroken as error:
            # An operator's matter: a wrong key, or somebody has changed the row.
            log.exception(error.code, row_id=str(row_id), **error.fields)
            self.is_whole = False
            return None


def open_order(keys: AccountKeys, order: WholeOrder) -> OpenedOrder:
    """Open an order and its items."""
    opener, row_id = _Opener(keys), order.listed.id
    buyer = opener.open(personal.open_buyer, row_id, order.more.buyer)
    recipient = opener.open(personal.open_recipient, row_id, order.more.recipient)
    items = [
        OpenedItem(
            item,
            opener.open(personal.open_gift, item.id, item.gift),
            opener.open(personal.open_customization, item.id, item.customization),
            (item.report_columns or {})
            | (opener.open(personal.open_report_cells, item.id, item.report_personal) or {}),
        )
        for item in order.items
    ]
    return OpenedOrder(order, buyer, recipient, items, opener.is_whole)
