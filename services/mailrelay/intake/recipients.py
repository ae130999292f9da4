"""Which relay address a recipient names: memory first, then the database.

Only found addresses are kept, so one that was made a second ago works at once. They are kept only while changes are heard
of (LISTEN): when that connection breaks, everything kept is forgotten and the database is asked each time. What is heard is
believed for no more than that: an address is forgotten, and looked up again.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from services.mailrelay.metrics import RelayMetrics
from shared.addresses import local_part_for
from shared.availability import DATABASE
from shared.channels import ADDRESS_CHANNEL, id_in
from shared.database_cures import database_cure
from shared.driver import DATABASE_AWAY, DRIVER_UNAVAILABLE, TABLES_MISSING, asyncpg_dsn, connect_driver
from shared.errors import Expected
from shared.restorations import IS_UNCERTAIN
from shared.schema_revision import FIND_REVISION, packaged_revisions, schema_problem

log = structlog.get_logger()

# About 400 bytes each.
_CACHED_ADDRESSES: Final = 100_000
_TIMEOUT_SECONDS: Final = 5
_RECONNECT_SECONDS: Final = 0.5
# A connection that died without a word is noticed after this long.
_CHECK_SECONDS: Final = 15

# RFC 5321 §4.5.1 and RFC 2142 §4: the addresses at which a domain's operator can be reached.
_OPERATOR_LOCAL_PARTS: Final = frozenset({"postmaster", "abuse"})

# In one round trip, so that a client that guesses costs no more after a restore: a look into a table of a row or none.
_FIND: Final = (
    f"SELECT address.id, account_id, retired_at IS NOT NULL AS is_retired, {IS_UNCERTAIN} AS is_uncertain "  # noqa: S608 - constants
    "FROM (VALUES (1)) one LEFT JOIN relay_addresses address ON local_part = $1"
)


class RecipientsUnavailable(Expected):
    """The database did not answer which recipient an address belongs to, or has not the tables in which a mail could be kept."""

    code = "recipients_unavailable"


class AddressUncertain(Expected):
    """The address is not in the database, which was restored: it may have been made after the point of the restore."""

    code = "address_uncertain"


@dataclass(frozen=True, slots=True)
class Recipient:
    relay_address_id: UUID
    account_id: UUID


class Recipients:
    """Finds recipients by address. A process has one, made with `open`; `run` listens for changed addresses."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        dsn: str,
        domain: str,
        postmaster_local_part: str | None,
        metrics: RelayMetrics,
    ) -> None:
        self.pool = pool
        self._dsn = dsn
        self._domain = domain
        self._postmaster_local_part = postmaster_local_part
        self._metrics = metrics
        self._found_in_memory = metrics.lookups.labels("memory")
        self._cache: OrderedDict[str, Recipient] = OrderedDict()
        self._local_parts: dict[UUID, str] = {}
        self._is_listening = False
        # Migrations go forward only; looked at again whenever the connection to the database was lost.
        self._tables_suit = False
        self._was_uncertain = False
        # Counts the changes heard of, so that an answer from before a change is not kept after it.
        self._change_count = 0

    @classmethod
    async def open(
        cls, database_url: str, *, domain: str, postmaster_local_part: str | None, metrics: RelayMetrics
    ) -> "Recipients":
        dsn = asyncpg_dsn(database_url)
        # No connection yet: the relay starts, and answers 451, while the database is away.
        pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(  # type: ignore[call-overload]  # the stubs want each of the driver's arguments by its name
            dsn,
            connect=connect_driver,
            min_size=0,
            max_size=4,
            timeout=_TIMEOUT_SECONDS,
            command_timeout=_TIMEOUT_SECONDS,
            server_settings={"application_name": "mailrelay recipients"},
        )
        return cls(pool, dsn, domain, postmaster_local_part, metrics)

    async def find(self, address: str) -> Recipient | None:
        """The recipient that an envelope address names, or None. Raises RecipientsUnavailable, AddressUncertain."""
        # RFC 5321 §4.5.1: the postmaster is known without a domain, too.
        local_part = (
            "postmaster" if address.lower() == "postmaster" else local_part_for(address, self._domain)
        )
        if local_part in _OPERATOR_LOCAL_PARTS:
            local_part = self._postmaster_local_part
        # PostgreSQL's text holds no NUL, and none of our addresses is anything but ASCII.
        if local_part is None or not local_part.isascii() or not local_part.isprintable():
            return None
        if not self._tables_suit and await self.database_problem() is not None:
            self._metrics.lookups.labels("failed").inc()
            raise RecipientsUnavailable
        known = self._cache.get(local_part)
        if known is not None:
            self._cache.move_to_end(local_part)
            self._found_in_memory.inc()
            return known
        changes = self._change_count
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                row = await self.pool.fetchrow(_FIND, local_part)
        except (*DRIVER_UNAVAILABLE, asyncpg.PostgresError) as error:
            self._metrics.lookups.labels("failed").inc()
            raise RecipientsUnavailable from error
        self._metrics.lookups.labels("database").inc()
        if row is None or row["is_retired"]:
            return None
        if row["id"] is None:
            self._require_certain(is_uncertain=row["is_uncertain"])
            return None
        found = Recipient(row["id"], row["account_id"])
        if self._is_listening and changes == self._change_count:
            self._cache[local_part] = found
            self._local_parts[found.relay_address_id] = local_part
            if len(self._cache) > _CACHED_ADDRESSES:
                _, oldest = self._cache.popitem(last=False)
                del self._local_parts[oldest.relay_address_id]
        return found

    def _require_certain(self, *, is_uncertain: bool) -> None:
        if is_uncertain != self._was_uncertain:
            self._was_uncertain = is_uncertain
            # Once each time, however many ask.
            log.warning("unknown_addresses_put_off" if is_uncertain else "unknown_addresses_refused")
        if is_uncertain:
            raise AddressUncertain

    async def database_problem(self) -> str | None:
        """Why no mail can be kept now: the database is away, or its tables are of an older version. None if it can."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                found = await self.pool.fetchval(FIND_REVISION)
        except TABLES_MISSING:
            found = None
        except (*DRIVER_UNAVAILABLE, asyncpg.PostgresError) as error:
            return database_cure(error) or DATABASE_AWAY
        problem = schema_problem(found, packaged_revisions())
        self._tables_suit = problem is None
        return problem

    async def run(self) -> None:
        """Listen for ever; connect again whenever the connection breaks."""
        while True:
            try:
                await self._listen()
            except (*DRIVER_UNAVAILABLE, asyncpg.PostgresError) as error:
                DATABASE.is_away(error)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def close(self) -> None:
        self.pool.terminate()

    async def _listen(self) -> None:
        connection = await connect_driver(
            self._dsn,
            timeout=_TIMEOUT_SECONDS,
            command_timeout=_TIMEOUT_SECONDS,
            server_settings={"application_name": "mailrelay recipients listen"},
        )
        broken = asyncio.Event()

        def on_broken(_connection: object) -> None:
            # At once, not when this task is next run: no kept address outlives the connection.
            self._clear_cache(is_listening=False)
            broken.set()

        connection.add_termination_listener(on_broken)
        try:
            await connection.add_listener(ADDRESS_CHANNEL, self._on_change)
            self._clear_cache(is_listening=True)
            while not broken.is_set():
                try:
                    async with asyncio.timeout(_CHECK_SECONDS):
                        await broken.wait()
                except TimeoutError:
                    await connection.fetchval("SELECT 1")
        finally:
            connection.terminate()
            self._clear_cache(is_listening=False)

    def _on_change(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        address_id = id_in(str(payload))
        if address_id is None:
            # Of a version that names addresses in another way: it may be any of them.
            self._clear_cache(is_listening=self._is_listening)
            return
        self._change_count += 1
        local_part = self._local_parts.pop(address_id, None)
        if local_part is not None:
            del self._cache[local_part]

    def _clear_cache(self, *, is_listening: bool) -> None:
        self._change_count += 1
        self._cache.clear()
        self._local_parts.clear()
        self._is_listening = is_listening
        self._tables_suit = self._tables_suit and is_listening
        self._metrics.listening.set(is_listening)
