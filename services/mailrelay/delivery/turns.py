"""Whose mail is worked on next: due mail of a lane is taken in turns, by account, and within an account by address.

However much waits for one address, the mail of every other is reached after one mail of it, and finding that costs the same: the
index has lane, account and address in front, so that each next one is one step (docs/adr/0017). Where the turns have come to is
remembered in the process: what is forgotten with it is who was served last, and nothing more.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import zip_longest
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery.queue import QueuedMail, read_due, return_put_off
from services.mailrelay.delivery.queue_start import SINCE, QueueStart
from shared.availability import DATABASE
from shared.database import Sessions
from shared.driver import DRIVER_UNAVAILABLE
from shared.lanes import Lane

log = structlog.get_logger()

# What a frozen worker has in hand waits for no longer than this; one that lives renews its claim so often meanwhile.
LEASE_SECONDS: Final = 15.0
_RENEWALS: Final = 3
# Accounts whose place in the round of their addresses is remembered; the one served longest ago is forgotten first.
_REMEMBERED_ACCOUNTS: Final = 10_000
# How many due mails of an address are tried for a claim: more than all workers together have in hand.
_CANDIDATES: Final = 2000
# A round of accounts whose mails others have in hand is passed over; after so many rounds, this worker waits.
_ROUNDS: Final = 20
# All that is done for the mails of a turn: opening, checking, parsing, sealing, storing. Whoever comes meanwhile waits for it.
WHOLE_TURN_SECONDS: Final = 0.5
# Fewer would not be quicker: a turn has costs of its own, and a busy machine would fall behind with what is not slow at all.
_FEWEST: Final = 16
_MOST: Final = 1000
_NOBODY: Final = UUID(int=0)


# Each value once, from the one behind `after` to the end and on from the beginning: every step is one look into the index, and
# UNION ends it where the round closes. Bounds and orders name the index's columns from the first on, and no account or address is
# said to be equal: PostgreSQL would take an index with fewer columns then, and read through all that waits for others.
_ACCOUNTS: Final = text("""
    WITH RECURSIVE round AS (
        SELECT coalesce(
            (SELECT account_id FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                AND account_id > CAST(:after AS uuid) ORDER BY account_id LIMIT 1),
            (SELECT account_id FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                ORDER BY account_id LIMIT 1)) AS account_id
        UNION
        SELECT coalesce(
            (SELECT account_id FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                AND account_id > round.account_id ORDER BY account_id LIMIT 1),
            (SELECT account_id FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                ORDER BY account_id LIMIT 1))
        FROM round WHERE round.account_id IS NOT NULL
    )
    SELECT
        coalesce((SELECT next_attempt_at FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND is_put_off
            AND lane >= :lane AND lane <= :lane ORDER BY lane, next_attempt_at LIMIT 1) <= now(), false) AS has_put_off,
        ARRAY(SELECT account_id FROM round WHERE account_id IS NOT NULL LIMIT :most) AS account_ids
""").bindparams(SINCE)
_ADDRESSES: Final = text("""
    SELECT turn.account_id, found.relay_address_id
    FROM unnest(CAST(:accounts AS uuid[]), CAST(:after AS uuid[])) WITH ORDINALITY AS turn (account_id, after, place),
    LATERAL (
        WITH RECURSIVE round AS (
            SELECT coalesce(
                (SELECT relay_address_id FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                    AND (account_id, relay_address_id) > (turn.account_id, turn.after) AND account_id <= turn.account_id
                    ORDER BY account_id, relay_address_id LIMIT 1),
                (SELECT relay_address_id FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                    AND account_id >= turn.account_id AND account_id <= turn.account_id
                    ORDER BY account_id, relay_address_id LIMIT 1)) AS relay_address_id
            UNION
            SELECT coalesce(
                (SELECT relay_address_id FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                    AND (account_id, relay_address_id) > (turn.account_id, round.relay_address_id)
                    AND account_id <= turn.account_id ORDER BY account_id, relay_address_id LIMIT 1),
                (SELECT relay_address_id FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                    AND account_id >= turn.account_id AND account_id <= turn.account_id
                    ORDER BY account_id, relay_address_id LIMIT 1))
            FROM round WHERE round.relay_address_id IS NOT NULL
        )
        SELECT relay_address_id, row_number() OVER () AS place
        FROM (SELECT relay_address_id FROM round WHERE relay_address_id IS NOT NULL LIMIT :most) AS these
    ) AS found
    ORDER BY turn.place, found.place
""").bindparams(SINCE)
# Only as many rows are locked as are asked for, because a subquery with a LIMIT is read row by row.
_MAILS: Final = text("""
    SELECT turn.account_id, turn.relay_address_id, mail.id, mail.size
    FROM unnest(CAST(:accounts AS uuid[]), CAST(:addresses AS uuid[])) WITH ORDINALITY
        AS turn (account_id, relay_address_id, place),
    LATERAL (
        SELECT id, size, next_attempt_at
        FROM (
            SELECT id, size, next_attempt_at FROM accepted_mail WHERE id >= :since AND state = 'accepted' AND NOT is_put_off AND lane = :lane
                AND (account_id, relay_address_id) >= (turn.account_id, turn.relay_address_id)
                AND (account_id, relay_address_id) <= (turn.account_id, turn.relay_address_id) AND next_attempt_at <= now()
            ORDER BY account_id, relay_address_id, next_attempt_at LIMIT :candidates
        ) AS waiting
        WHERE pg_try_advisory_lock(hashtextextended(CAST(waiting.id AS text), 0)) LIMIT :share
    ) AS mail
    ORDER BY turn.place, mail.next_attempt_at
""").bindparams(SINCE)


# Said before a claim, too: so it is prepared when the claim ends. What PostgreSQL knows of the table is mostly from a time when nothing
# waited: it would read all that waits, by the index of what is due, and sort it, once for each address. Without sorting it takes the
# one index that has the order.
_RELEASE: Final = text(
    "SELECT pg_advisory_unlock_all(), set_config('idle_session_timeout', :lease, false), set_config('enable_sort', :sorting, false)"
)


class _Claimed(NamedTuple):
    account_id: UUID
    relay_address_id: UUID
    id: UUID
    size: int


class Turns:
    """Where the turns of one lane have come to, for all who take mail from it in this process."""

    def __init__(self, queue_start: QueueStart | None = None) -> None:
        self.queue_start = queue_start or QueueStart()
        self._account = _NOBODY
        self._address_by_account: OrderedDict[UUID, UUID] = OrderedDict()
        self._worthwhile = _MOST

    @property
    def worthwhile(self) -> int:
        """How many mails a turn has time for, after what the last one had."""
        return self._worthwhile

    @property
    def account(self) -> UUID:
        """The account that was served last."""
        return self._account

    def address_of(self, account_id: UUID) -> UUID:
        """The address of the account that was served last."""
        return self._address_by_account.get(account_id, _NOBODY)

    def end(self, mails: int, seconds: float) -> None:
        """A turn took so long for so many mails; the next one takes as many as fit, and after a quick one twice as many.

        Where nothing is due the next one begins with few, so that nobody waits for a first large batch that turns out to be slow.
        """
        if seconds > WHOLE_TURN_SECONDS:
            self._worthwhile = max(_FEWEST, int(mails * WHOLE_TURN_SECONDS / seconds))
        else:
            self._worthwhile = max(_FEWEST, min(_MOST, 2 * mails))

    def pass_over(self, accounts_and_addresses: Sequence[tuple[UUID, UUID]]) -> None:
        """These have had their turn, in this order: the next ones are those behind. Where one comes again, a new round has begun."""
        seen: set[tuple[UUID, UUID]] = set()
        seen_accounts: set[UUID] = set()
        for account_id, address_id in accounts_and_addresses:
            if account_id not in seen_accounts:
                seen_accounts.add(account_id)
                self._account = account_id
            if (account_id, address_id) not in seen:
                seen.add((account_id, address_id))
                self._address_by_account[account_id] = address_id
                self._address_by_account.move_to_end(account_id)
        while len(self._address_by_account) > _REMEMBERED_ACCOUNTS:
            self._address_by_account.popitem(last=False)


@asynccontextmanager
async def claim_due(
    sessions: Sessions,
    turns: Turns,
    *,
    lane: Lane,
    limit: int,
    max_bytes: int,
    lease_seconds: float = LEASE_SECONDS,
) -> AsyncIterator[list[QueuedMail]]:
    """Claim due mails of a lane that no other worker has, in turns: one of any size, or several of `max_bytes`.

    The claim holds until the block ends or the worker does: PostgreSQL ends a session's advisory locks with its connection, so
    what a killed worker had is free at once. What a frozen one had is free after `lease_seconds` by PostgreSQL's own clock: the
    claim is renewed while the block runs, and PostgreSQL ends a session that says nothing for so long. No transaction is open meanwhile.
    """
    async with sessions() as session:
        try:
            _ = await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            since = await turns.queue_start.find(session)
            await session.execute(_RELEASE, {"lease": f"{round(lease_seconds * 1000)}ms", "sorting": "off"})
            ids = await _claim(session, turns, lane=lane, since=since, limit=limit, max_bytes=max_bytes)
            async with _renewed(session, lease_seconds):
                yield [] if not ids else await _read(sessions, ids, since=since)
        except BaseException:
            # What it ended with is what is told, not that a dead session can let nothing go.
            with suppress(Exception):
                await _let_go(session)
            raise
        await _let_go(session)


async def _let_go(session: AsyncSession) -> None:
    try:
        await session.execute(_RELEASE, {"lease": "0", "sorting": "on"})
    except BaseException:
        await session.invalidate()  # back in the pool, it would keep the mails from everybody
        raise


async def _read(sessions: Sessions, ids: Sequence[UUID], *, since: UUID) -> list[QueuedMail]:
    """In a session of its own: the one that claims says nothing that PostgreSQL has not prepared, once it holds mail. Between Parse and
    Bind a session is not idle, so that the claim of a worker that is frozen there would have no end.
    """
    async with sessions.begin() as session:
        return await read_due(session, ids, since=since)


@asynccontextmanager
async def _renewed(session: AsyncSession, lease_seconds: float) -> AsyncIterator[None]:
    """Say often enough that the claim is still wanted. Losing it costs nothing but work: whoever stores first has delivered the mail."""
    is_over = asyncio.Event()

    connection = await session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection

    async def renew() -> None:
        while not is_over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(lease_seconds / _RENEWALS):
                    await is_over.wait()
                    return
            # In one message, as the driver sends what has no parameters.
            await driver.execute("SELECT 1")

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        is_over.set()
        [ended] = await asyncio.gather(renewing, return_exceptions=True)
        if isinstance(ended, Exception):
            if isinstance(ended, DRIVER_UNAVAILABLE):
                DATABASE.is_away(ended)
            else:
                log.warning("claim_lost", exc_info=ended)
            await session.invalidate()


async def _claim(
    session: AsyncSession, turns: Turns, *, lane: Lane, since: UUID, limit: int, max_bytes: int
) -> list[UUID]:
    for _ in range(_ROUNDS):
        accounts = await _due_accounts(session, turns, lane=lane, since=since, limit=limit)
        if not accounts:
            return []
        claimed = await _claim_of(session, turns, accounts, lane=lane, since=since, limit=limit)
        if claimed:
            return _within(claimed[:limit], max_bytes)
        if len(accounts) < limit:  # others have all that is due in hand
            return []
    return []


async def _due_accounts(
    session: AsyncSession, turns: Turns, *, lane: Lane, since: UUID, limit: int
) -> list[UUID]:
    """The next accounts with due mail. What was put off until now takes its place among them first."""
    values = {"lane": lane.value, "since": since, "after": turns.account, "most": limit}
    found = (await session.execute(_ACCOUNTS, values)).one()
    if found.has_put_off and await return_put_off(session, lane):
        found = (await session.execute(_ACCOUNTS, values)).one()
    return list(found.account_ids)


async def _claim_of(
    session: AsyncSession, turns: Turns, accounts: Sequence[UUID], *, lane: Lane, since: UUID, limit: int
) -> list[_Claimed]:
    """Mails of these accounts in the order of their turns: one of each account, from the next of its addresses, and so on."""
    after = [turns.address_of(account_id) for account_id in accounts]
    found = await session.execute(
        _ADDRESSES,
        {
            "lane": lane.value,
            "since": since,
            "accounts": accounts,
            "after": after,
            "most": max(1, limit // len(accounts)),
        },
    )
    pairs = [(row.account_id, row.relay_address_id) for row in found]
    if not pairs:
        return []
    # At once, so that whoever claims meanwhile looks behind them.
    turns.pass_over(pairs)
    locked = await session.execute(
        _MAILS,
        {
            "lane": lane.value,
            "since": since,
            "accounts": [account_id for account_id, _ in pairs],
            "addresses": [address_id for _, address_id in pairs],
            "candidates": _CANDIDATES,
            "share": -(-limit // len(pairs)),
        },
    )
    by_account: dict[UUID, dict[UUID, list[_Claimed]]] = {}
    for row in locked:
        mail = _Claimed(*row)
        by_account.setdefault(mail.account_id, {}).setdefault(mail.relay_address_id, []).append(mail)
    return _in_turns([_in_turns(list(of_addresses.values())) for of_addresses in by_account.values()])


def _in_turns(queues: Sequence[Sequence[_Claimed]]) -> list[_Claimed]:
    """The first of each queue, then the second of each, and so on."""
    return [mail for rank in zip_longest(*queues) for mail in rank if mail is not None]


def _within(mails: Sequence[_Claimed], max_bytes: int) -> list[UUID]:
    ids: list[UUID] = []
    total = 0
    for mail in mails:
        total += mail.size
        if ids and total > max_bytes:
            break
        ids.append(mail.id)
    return ids
