"""What Amazon does with a seller's mail after it has taken it: the buyer gets it, or its sender is told why not, or nobody is told.

One task does one after the other, in the order in which they came, so that taking mail waits for nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from services.sandbox.mail.buyer_mail import make_message_id
from services.sandbox.mail.notices import (
    Reported,
    compose_confirmation,
    compose_failure,
    compose_report,
)
from services.sandbox.mail.passing_on import failure_reason, refused_file
from services.sandbox.mail.received_replies import ReceivedReplies, ReceivedReply, ReplyState
from services.sandbox.mail.sender import MailSender, SentKind
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.scenarios import BOUNCE_WORDS, FAILURE_REASONS
from services.sandbox.state.sellers import AddressWrong, Notification, Order, Seller, bare_address
from services.sandbox.state.threads import Author, Written
from shared.marketplaces import BY_COUNTRY

_LOG = logging.getLogger(__name__)
DELAY_SECONDS: Final = 600.0
# A mail of this size is parsed in a thread: it takes longer than others should wait.
_LARGE_BYTES: Final = 64 * 1024
# So many notices are signed and sent at the same time.
_MAX_SENDING: Final = 8


class MailRoom:
    """Owns the replies that were taken, and the tasks that do with them what Amazon does."""

    def __init__(self, sandbox: Sandbox, sender: MailSender) -> None:
        self._sandbox = sandbox
        self._sender = sender
        self.replies = ReceivedReplies()
        self._queue: asyncio.Queue[ReceivedReply] = asyncio.Queue()
        self._sending = asyncio.Semaphore(_MAX_SENDING)
        self._notices: set[asyncio.Task[None]] = set()
        sandbox.when_clock_moves(self._release_due)

    def take(self, reply: ReceivedReply) -> None:
        """Keep a reply, and do the rest soon."""
        self.replies.add(reply)
        self._queue.put_nowait(reply)

    def release(self, wanted: Callable[[ReceivedReply], bool]) -> int:
        """Let held replies go on. Says how many."""
        held = [reply for reply in self.replies.all() if reply.state is ReplyState.HELD and wanted(reply)]
        for reply in held:
            reply.state = ReplyState.ARRIVED
            self._queue.put_nowait(reply)
        return len(held)

    def _release_due(self) -> None:
        now = self._sandbox.now()
        self.release(lambda reply: reply.release_at is not None and reply.release_at <= now)

    def forget(self) -> None:
        """Drop every reply, and every notice that is still to be sent."""
        self.replies.forget()
        while not self._queue.empty():
            self._queue.get_nowait()
        for task in self._notices:
            task.cancel()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Handle what was taken as long as the block lasts."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            self.forget()
            await asyncio.gather(task, *self._notices, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            reply = await self._queue.get()
            if len(reply.raw) > _LARGE_BYTES:
                await asyncio.to_thread(getattr, reply, "files")
            try:
                self._handle(reply)
            except Exception:  # noqa: BLE001 - one mail does not hold up the others
                _LOG.exception("a reply could not be handled")
            if self._queue.empty():  # who waits looks at all replies each time
                await self.replies.tell_change()

    def _handle(self, reply: ReceivedReply) -> None:
        scenarios, seller_id = self._sandbox.scenarios, reply.seller.seller_id
        if reply.release_at is None and (delay := scenarios.use("reply-delayed", seller_id)):
            reply.state = ReplyState.HELD
            reply.release_at = self._sandbox.now() + timedelta(seconds=delay.seconds or DELAY_SECONDS)
            return
        if scenarios.happens("reply-not-shown", seller_id):
            reply.state = ReplyState.NOT_SHOWN
            return
        if bounce := scenarios.use("reply-bounces", seller_id):
            reply.state = ReplyState.BOUNCED
            self._report(reply, Reported.FAILED, bounce.words or BOUNCE_WORDS)
            return
        if late := scenarios.use("reply-late-report", seller_id):
            self._report(reply, Reported.DELAYED, late.words or "451 4.4.1 connection timed out")
        reason = self._failure_reason(reply)
        if reason is not None:
            reply.state, reply.reason = ReplyState.FAILED, reason
            self._answer_failure(reply, reason)
            return
        self._show(reply)

    def _failure_reason(self, reply: ReceivedReply) -> str | None:
        scenarios, seller_id = self._sandbox.scenarios, reply.seller.seller_id
        for reason in FAILURE_REASONS:
            if scenarios.happens(f"reply-fails-{reason.replace('_', '-')}", seller_id):
                return reason
        is_unwanted = scenarios.is_on("buyer-opted-out", seller_id) and not self._sandbox.threads.has_buyers(
            reply.order.order_id
        )
        return failure_reason(reply, is_unwanted=is_unwanted)

    def _show(self, reply: ReceivedReply) -> None:
        reply.state = ReplyState.SHOWN
        self._sandbox.threads.add(
            reply.order.order_id,
            Author.SELLER_BY_MAIL,
            at=self._sandbox.now(),
            mail_message_id=reply.message_id.strip("<>"),
            read=lambda: Written(reply.content.text or reply.content.html, reply.content.files),
            size=len(reply.raw),
        )
        if reply.seller.addresses_in(reply.order.country, Notification.CONFIRMATIONS):
            self._confirm(reply.seller, reply.order, reply.content.text, about=self._about(reply))

    def answer_in_seller_central(self, seller: Seller, order: Order, text: str) -> None:
        """The buyer has what the seller wrote in Seller Central. Nobody gets a mail of it, except as a confirmation."""
        now = self._sandbox.now()
        self._sandbox.threads.add(
            order.order_id,
            Author.SELLER_CENTRAL,
            at=now,
            mail_message_id=make_message_id(BY_COUNTRY[order.country], now, uuid4()),
            read=lambda: Written(text),
            size=len(text),
        )
        self._confirm(seller, order, text)

    def _confirm(self, seller: Seller, order: Order, text: str, *, about: str | None = None) -> None:
        """Send the notice that the message was sent to each address for confirmations. `about` is the Message-ID that it names."""
        for address in tuple(seller.addresses_in(order.country, Notification.CONFIRMATIONS)):
            self._notice(
                self._sender.send_notice(
                    seller,
                    order,
                    SentKind.CONFIRMATION,
                    lambda to, message_id, now: compose_confirmation(
                        order, text, to=to, message_id=message_id, now=now, about=about
                    ),
                    to=address,
                )
            )

    def _answer_failure(self, reply: ReceivedReply, reason: str) -> None:
        if not _can_be_answered(reply):
            return
        about = self._about(reply)
        files = reply.files
        file = refused_file(reply) or (files[0].filename if files else "")
        self._notice(
            self._sender.send_notice(
                reply.seller,
                reply.order,
                SentKind.DELIVERY_FAILURE,
                lambda to, message_id, now: compose_failure(
                    reply.order,
                    reason,
                    sender=reply.mail_from,
                    file=file,
                    to=to,
                    message_id=message_id,
                    now=now,
                    about=about,
                ),
                to=reply.mail_from,
            )
        )

    def _report(self, reply: ReceivedReply, reported: Reported, words: str) -> None:
        if not _can_be_answered(reply):
            return
        self._notice(
            self._sender.send_notice(
                reply.seller,
                reply.order,
                SentKind.DELIVERY_REPORT,
                lambda to, message_id, now: compose_report(
                    reply.order, reported, words, returned=reply.raw, to=to, message_id=message_id, now=now
                ),
                to=reply.mail_from,
            )
        )

    def _about(self, reply: ReceivedReply) -> str | None:
        """The Message-ID that Amazon's mails about this reply name, if they name one."""
        names_it = self._sandbox.scenarios.is_on("notices-name-the-reply", reply.seller.seller_id)
        return reply.message_id or None if names_it else None

    def _notice(self, sending: Coroutine[Any, Any, object]) -> None:
        async def send() -> None:
            async with self._sending:
                await sending

        task = asyncio.create_task(send())
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)


def _can_be_answered(reply: ReceivedReply) -> bool:
    """No mail answers one without a sender (RFC 5321 §4.5.5), and none goes to what is no address."""
    try:
        bare_address(reply.mail_from)
    except AddressWrong:
        return False
    return True
