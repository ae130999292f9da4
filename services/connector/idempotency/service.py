"""A POST that carries an Idempotency-Key is done once: its repetition is answered as it was.

Successes are kept, for a day. A failure has changed nothing, so its repetition is tried anew. Who dies on the way leaves a
claim behind that ends by itself.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Delete, Update, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from services.connector.idempotency.replay import Headers, Replay
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.database import UNAVAILABLE, Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables import IdempotencyKey

log = structlog.get_logger()

# Longer than any request takes.
_CLAIM_LASTS: Final = timedelta(minutes=2)
_KEPT: Final = timedelta(hours=24)
_KEY_FORM: Final = re.compile(r"[\x20-\x7e]{1,255}")
_RETRY_SECONDS: Final = 1
# What the edge adds to every answer anew is not kept.
_HEADERS_KEPT: Final = frozenset({b"content-type", b"content-language", b"etag", b"location", b"set-cookie"})


class IdempotencyKeyInvalid(Expected):
    """The header is empty, too long, or holds what is not printable ASCII."""

    code = "idempotency_key_invalid"


class IdempotencyKeyReused(Expected):
    """The key belongs to another request of this caller."""

    code = "idempotency_key_reused"


class IdempotencyInProgress(Expected):
    """The first request with this key is still being answered."""

    code = "idempotency_in_progress"


@dataclass(frozen=True, slots=True)
class RequestClaim:
    """A request that this process has claimed: it must carry it out and keep its answer."""

    sessions: Sessions
    account_keys: AccountKeys
    identity: dict[str, UUID | str]
    row_id: UUID

    async def finish(self, status: int, headers: Headers, body: bytes) -> None:
        """Keep the answer to a request that succeeded; end the claim after any other. Nobody's answer waits for it in vain."""
        statement: Delete | Update = delete(IdempotencyKey)
        if 200 <= status < 400:
            kept = _pack([pair for pair in headers if pair[0].lower() in _HEADERS_KEPT], body)
            answer = self.account_keys.seal(_place(self.row_id), kept)
            statement = update(IdempotencyKey).values(status=status, answer=answer)
        try:
            async with self.sessions.begin() as session:
                await session.execute(statement.filter_by(**self.identity, row_id=self.row_id))
        except (*UNAVAILABLE, DBAPIError) as error:
            log.warning("idempotency_answer_lost", error=type(error).__name__)


async def claim(
    sessions: Sessions,
    keyring: Keyring,
    *,
    account_id: UUID,
    caller_id: UUID,
    key: str,
    method: str,
    path: str,
    body: bytes,
) -> RequestClaim:
    """Claim a request for its first time. Raises Replay for a repetition, and IdempotencyKeyInvalid, …Reused, …InProgress."""
    if _KEY_FORM.fullmatch(key) is None:
        raise IdempotencyKeyInvalid
    row_id = new_id()
    identity: dict[str, UUID | str] = {"account_id": account_id, "caller_id": caller_id, "key": key}
    request = {"method": method, "path": path, "request_digest": hashlib.sha256(body).digest()}
    times = {"locked_until": func.now() + _CLAIM_LASTS, "expires_at": func.now() + _KEPT}
    fresh = {"row_id": row_id, **request, **times, "status": None, "answer": None}
    was_left_behind = and_(
        IdempotencyKey.status.is_(None),
        IdempotencyKey.locked_until < func.now(),
        *(getattr(IdempotencyKey, name) == value for name, value in request.items()),
    )
    statement = (
        insert(IdempotencyKey)
        .values(**identity, **fresh)
        .on_conflict_do_update(
            index_elements=list(identity),
            set_=fresh,
            where=or_(IdempotencyKey.expires_at < func.now(), was_left_behind),
        )
        .returning(IdempotencyKey.row_id)
    )
    account_keys = await keyring.of(sessions, account_id)
    async with sessions.begin() as session:
        if (await session.execute(statement)).first() is not None:
            return RequestClaim(sessions, account_keys, identity, row_id)
        found = await session.scalar(select(IdempotencyKey).filter_by(**identity))
    if found is None:
        raise IdempotencyInProgress(retry_after_seconds=_RETRY_SECONDS)
    if any(getattr(found, name) != value for name, value in request.items()):
        raise IdempotencyKeyReused
    if found.status is None or found.answer is None:
        raise IdempotencyInProgress(retry_after_seconds=_RETRY_SECONDS)
    raise Replay(found.status, *_open(account_keys, found.row_id, found.answer))


def _place(row_id: UUID) -> Place:
    return Place("idempotency_keys", "answer", row_id)


def _pack(headers: Headers, body: bytes) -> bytes:
    """The form in which an answer is sealed: one line of headers, then the body."""
    return (
        json.dumps([(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers]).encode() + b"\n" + body
    )


def _open(account_keys: AccountKeys, row_id: UUID, sealed: Sealed) -> tuple[Headers, bytes]:
    line, _, body = account_keys.open(_place(row_id), sealed).partition(b"\n")
    return [(n.encode("latin-1"), v.encode("latin-1")) for n, v in json.loads(line)], body
