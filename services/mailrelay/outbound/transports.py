"""The ways on which replies leave: the platform's smarthost, and the servers of stores that have their own.

A way is a few connections, used again and again within bounds. When a connection cannot be made, all who wait for one on the same way are
told so at once: a server that is away costs its stores one time-out, and nobody else anything.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from shared.errors import Expected
from shared.outgoing.connections import OutgoingFailed, Reason
from shared.outgoing.hosts import HostInvalid
from shared.outgoing.smtp import Answer, SmtpFailed, SmtpSession, Stage

# RFC 5321 §3.8: the server closes the connection.
_CLOSING: Final = 421

Connect = Callable[[], Awaitable[SmtpSession]]
# Makes the mail for a server that offers 8BITMIME, or does not.
Compose = Callable[[bool], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a way may use. `mails_per_second` is counted in this process. Servers close what was idle for minutes, so we do it sooner."""

    connections: int
    mails_per_second: float
    mails_per_connection: int = 100
    idle_seconds: float = 30.0


# What large providers allow one user: Microsoft 365 three connections and thirty mails a minute, others more.
OWN_BOUNDS: Final = Bounds(connections=2, mails_per_second=5.0)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail with its envelope. `before_end`: see `SmtpSession.give`."""

    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    compose: Compose
    before_end: Callable[[], Awaitable[None]]


class MailTooLarge(Expected):
    """The mail is larger than the server says that it takes."""

    code = "mail_too_large"


class Transport:
    """One way. There is one of it in a process as long as its server's settings stay."""

    def __init__(self, connect: Connect, bounds: Bounds) -> None:
        self._connect = connect
        self._bounds = bounds
        self._slots = asyncio.Semaphore(bounds.connections)
        self._idle: list[tuple[float, SmtpSession]] = []
        self._next_at = 0.0
        self._failed_at = -1.0
        self._failure: SmtpFailed | None = None
        self._offers_eight_bit = True
        self._is_retired = False

    async def give(self, outgoing: Outgoing) -> None:
        """Returns once the server has taken the mail. Raises SmtpFailed, MailTooLarge, and what `outgoing` raises."""
        came_at = asyncio.get_running_loop().time()
        # Before a connection is held: others use it meanwhile.
        mail = await outgoing.compose(self._offers_eight_bit)
        async with self._slots:
            if self._failed_at >= came_at and self._failure is not None:
                raise SmtpFailed(
                    self._failure.stage, self._failure.answer, self._failure.reason, self._failure.words
                )
            await self._pace()
            while (session := self._idle_session()) is not None:
                try:
                    await self._give(session, outgoing, mail)
                except SmtpFailed as failed:
                    # The server has closed it while it was idle, which says nothing of this mail.
                    if _was_stale(failed):
                        continue
                    raise
                return
            await self._give(await self._opened(), outgoing, mail)

    async def _give(self, session: SmtpSession, outgoing: Outgoing, mail: bytes) -> None:
        try:
            if not session.offers_eight_bit and not mail.isascii():
                mail = await outgoing.compose(False)
            if session.most_bytes is not None and len(mail) > session.most_bytes:
                raise MailTooLarge(bytes=len(mail), most_bytes=session.most_bytes)
            await session.give(outgoing.sender, outgoing.recipient, mail, before_end=outgoing.before_end)
        finally:
            self._return(session)

    async def _opened(self) -> SmtpSession:
        try:
            session = await self._connect()
        except (OutgoingFailed, HostInvalid) as error:
            reason = error.reason if isinstance(error, OutgoingFailed) else Reason.DNS
            raise self._remember(SmtpFailed(Stage.CONNECT, None, reason)) from error
        except SmtpFailed as error:
            raise self._remember(error) from None
        self._failure = None
        self._offers_eight_bit = session.offers_eight_bit
        return session

    def _remember(self, failure: SmtpFailed) -> SmtpFailed:
        self._failure, self._failed_at = failure, asyncio.get_running_loop().time()
        return failure

    async def _pace(self) -> None:
        """Wait for this mail's place in the rate."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_at)
        self._next_at = at + 1 / self._bounds.mails_per_second
        if at > now:
            await asyncio.sleep(at - now)

    def _idle_session(self) -> SmtpSession | None:
        self.close_idle()
        return self._idle.pop()[1] if self._idle else None

    def _return(self, session: SmtpSession) -> None:
        if session.is_open and not self._is_retired and session.sent < self._bounds.mails_per_connection:
            self._idle.append((asyncio.get_running_loop().time(), session))
        else:
            session.leave()

    @property
    def is_idle(self) -> bool:
        """Whether it holds no connection, and nobody uses it."""
        return not self._idle and not self._slots.locked()

    def retire(self) -> None:
        """Nothing more goes this way: its connections are left, each once what it sends is sent."""
        self._is_retired = True
        self.close_idle()

    def close_idle(self) -> None:
        """Say goodbye on connections that nobody has used for a while."""
        oldest = asyncio.get_running_loop().time() - self._bounds.idle_seconds
        kept = []
        for since, session in self._idle:
            if session.is_open and since >= oldest and not self._is_retired:
                kept.append((since, session))
            else:
                session.leave()
        self._idle = kept


def _was_stale(failed: SmtpFailed) -> bool:
    answer: Answer | None = failed.answer
    return failed.stage is Stage.SENDER and (answer is None or answer.code == _CLOSING)
