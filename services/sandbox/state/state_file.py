"""What outlives a restart of the sandbox, in one JSON file: the sellers with all that they entered, their refresh tokens, the
key that mails are signed with, which resolvers remember, the certificate authority, which clients trust, the orders that changed
last, and who wants to be told of what.

The connector's database goes on holding the grants, and sellers do not enter their addresses twice. Codes, access
tokens and sign-ins are short-lived at Amazon too; they are not kept.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.sandbox.state.certificate_authority import CertificateAuthority
from services.sandbox.state.memory import Authorization, Sandbox
from services.sandbox.state.order_making import first_orders
from services.sandbox.state.orders import PlacedOrder
from services.sandbox.state.sellers import Seller, make_seller
from services.sandbox.state.signing_key import SigningKey

_READ_ONLY_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class StateFileUnusable(Exception):
    """The file cannot be read or written; the text names the setting and the cure, and nothing from the file."""


@dataclass(slots=True)
class _SavedState:
    sellers: dict[str, Seller]
    refresh_tokens: dict[str, Authorization]
    # Older files have none of these.
    signing_key: str | None = None
    smtp_authority: str | None = None
    orders: list[PlacedOrder] = field(default_factory=list)
    destinations: dict[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


_SAVED_STATE: Final = TypeAdapter(_SavedState)
_NOT_SAVED: Final = {"sellers": {"__all__": {"orders"}}}  # they are kept with what became of them
# A file that is written anew at each change stays small: thousands of orders are for tests, which have no file.
_MAX_ORDERS: Final = 1_000


class StateFile:
    """Reads one sandbox's state from its file and writes it back."""

    def __init__(self, path: Path, sandbox: Sandbox) -> None:
        self._path = path
        self._sandbox = sandbox
        self._written = b""

    def open(self) -> None:
        """Restore the state from the file, if there is one, and make sure that the file can be written. Raises StateFileUnusable."""
        try:
            content = self._path.read_bytes() if self._path.exists() else None
            if content is not None:
                self._restore(_SAVED_STATE.validate_json(content))
            self.save()
        except OSError as error:
            raise StateFileUnusable(
                f"The sandbox's file {self._path} cannot be used ({os.strerror(error.errno or 0)}). "
                "Set REPLYCO_SANDBOX_STATE_FILE to a file that can be read and written."
            ) from None
        except (ValueError, KeyError):
            # Not chained: what is wrong would be quoted, and it may be a token.
            raise StateFileUnusable(
                f"The sandbox's file {self._path} is broken. Delete it, or set REPLYCO_SANDBOX_STATE_FILE to another "
                "file. The sandbox then starts anew: connect the stores and enter their addresses again."
            ) from None

    def save(self) -> None:
        """Replace the whole file if anything has changed, so that a reader finds the old state or the new one."""
        kept = _SavedState(
            self._sandbox.sellers,
            self._sandbox.refresh_tokens,
            self._sandbox.signing_key.to_pem(),
            self._sandbox.smtp_authority.to_pem(),
            self._sandbox.orders.last_changed(_MAX_ORDERS),
            dict(self._sandbox.notices.destinations),
            self._sandbox.notices.all_subscriptions(),
        )
        content = _SAVED_STATE.dump_json(kept, exclude=_NOT_SAVED, indent=1)
        if content == self._written:
            return
        new = self._path.with_name(f"{self._path.name}.new")
        new.unlink(missing_ok=True)  # of a sandbox that was killed while it wrote
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._written = content

    def _restore(self, kept: _SavedState) -> None:
        by_seller: dict[str, dict[str, PlacedOrder]] = {}
        for placed in kept.orders:
            by_seller.setdefault(placed.seller_id, {})[placed.order_id] = placed
        for seller_id, seller in kept.sellers.items():
            made = make_seller(
                seller_id, seller.store_name, seller.region, seller.countries, seller.orders_per_country
            )
            orders = {placed.order_id: placed for placed in first_orders(made, self._sandbox.now())}
            orders |= by_seller.get(seller_id, {})
            seller.orders = tuple(placed.order for placed in orders.values())
            self._sandbox.add_seller(seller, list(orders.values()))
        self._sandbox.notices.restore(kept.destinations, kept.subscriptions)
        for token, authorization in kept.refresh_tokens.items():
            self._sandbox.refresh_tokens.put(token, authorization)
        if kept.signing_key is not None:
            self._sandbox.signing_key = SigningKey.from_pem(kept.signing_key)
        if kept.smtp_authority is not None:
            self._sandbox.smtp_authority = CertificateAuthority.from_pem(kept.smtp_authority)


class SaveBeforeAnswer:
    """Middleware that saves before the first byte of an answer leaves, so that what was answered survives a restart."""

    def __init__(self, app: ASGIApp, state_file: StateFile) -> None:
        self._app = app
        self._state_file = state_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def save_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._state_file.save()
            await send(message)

        may_change = scope["type"] == "http" and scope["method"] not in _READ_ONLY_METHODS
        await self._app(scope, receive, save_and_send if may_change else send)
