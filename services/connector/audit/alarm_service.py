"""What administrators are told of without looking: somebody reads far more than a day's work needs, or many sign-ins fail.

Looked for in the logs, every few minutes, by one worker at a time. Each is told once a day: as an entry of the audit log, as a mail to
whoever may change the account, and as a count for the operators.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import system_audit_entry
from services.connector.accounts.notices import notify_admins
from shared.database import Sessions
from shared.tables import NoticeKind

log = structlog.get_logger()

# A hundred of all accounts together: who is left is found a few minutes later.
_MASS_READING = text(
    "SELECT account_id, reader_id AS subject_id, count(DISTINCT (subject_id, part_id)) AS count FROM read_log"
    " WHERE id >= uuid_at(CAST(:now AS timestamptz) - interval '1 hour') AND kind <> 'search'"
    " GROUP BY account_id, reader_id HAVING count(DISTINCT (subject_id, part_id)) >= :most"
    " LIMIT 100"
)
_FAILED_SIGN_INS = text(
    "SELECT account_id, account_id AS subject_id, count(*) AS count FROM audit_log"
    " WHERE id >= uuid_at(CAST(:now AS timestamptz) - interval '1 hour') AND action = 'sign_in_failed'"
    " GROUP BY account_id HAVING count(*) >= :most LIMIT 100"
)
_TOLD = text(
    "SELECT EXISTS (SELECT FROM audit_log WHERE account_id = :account_id AND subject_id = :subject_id AND action = :action"
    " AND id >= uuid_at(CAST(:now AS timestamptz) - interval '1 day'))"
)


@dataclass(frozen=True, slots=True)
class _Found:
    account_id: UUID
    subject_id: UUID
    count: int


class Alarms:
    """Looks for what is unusual. One a worker process."""

    def __init__(
        self,
        sessions: Sessions,
        registry: CollectorRegistry,
        *,
        reads_an_hour: int,
        failed_sign_ins_an_hour: int,
    ) -> None:
        self._sessions = sessions
        self._reads_an_hour = reads_an_hour
        self._failed_sign_ins_an_hour = failed_sign_ins_an_hour
        self._told = Counter(
            "replyco_alarms", "What administrators of an account were told of", ["kind"], registry=registry
        )
        for kind in (NoticeKind.MASS_READING, NoticeKind.FAILED_SIGN_INS):
            self._told.labels(kind.value)

    async def watch(self, now: datetime) -> None:
        """Once."""
        async with self._sessions.reading() as reader:
            rows = await reader.execute(_MASS_READING, {"now": now, "most": self._reads_an_hour})
            readers = [_Found(*row) for row in rows]
            rows = await reader.execute(_FAILED_SIGN_INS, {"now": now, "most": self._failed_sign_ins_an_hour})
            attacked = [_Found(*row) for row in rows]
        for found in readers:
            await self._tell(NoticeKind.MASS_READING, found, now)
        for found in attacked:
            await self._tell(NoticeKind.FAILED_SIGN_INS, found, now)

    async def _tell(self, kind: NoticeKind, found: _Found, now: datetime) -> None:
        """Unless it was told already."""
        action = "mass_reading" if kind is NoticeKind.MASS_READING else "failed_sign_ins"
        async with self._sessions.begin() as session:
            if await _was_told(session, found, action, now):
                return
            entry = system_audit_entry(found.account_id, action, found.subject_id, count=str(found.count))
            session.add(entry)
            await session.flush()
            await notify_admins(
                session,
                found.account_id,
                kind,
                entry.id,
                subject=str(found.subject_id),
                count=str(found.count),
            )
        self._told.labels(kind.value).inc()
        log.warning(kind.value, account_id=str(found.account_id), count=found.count)


async def _was_told(session: AsyncSession, found: _Found, action: str, now: datetime) -> bool:
    values = {
        "account_id": found.account_id,
        "subject_id": found.subject_id,
        "action": action,
        "now": now,
    }
    return bool(await session.scalar(_TOLD, values))
