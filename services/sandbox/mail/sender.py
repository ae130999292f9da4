"""Sends mails to the relay by SMTP as Amazon's mail service would: one transaction a mail, opportunistic TLS, and after
`4xx` or no answer the same bytes again, a bounded number of times. The relay's last reply is kept with the mail.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import uuid4

import aiosmtplib

from services.sandbox.mail.buyer_mail import (
    BuyerMessage,
    Thread,
    check_message,
    compose,
    compose_verification,
    make_message_id,
)
from services.sandbox.mail.dkim_signing import MAIL_SERVICE, sign
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.sellers import Order, Seller
from services.sandbox.state.threads import Author, Written
from shared.marketplaces import BY_COUNTRY

Composer = Callable[[str, str, datetime], bytes]  # address, Message-ID, time
MAX_ATTEMPTS: Final = 8
MAX_MAILS: Final = 1_000
MAX_BYTES_KEPT: Final = 200 * 1024 * 1024
_MAX_REPLY_CHARS: Final = 300
_TIMEOUT_SECONDS: Final = 30.0


class NoAddress(Exception):
    """The seller has entered no address for this country, so no mail is sent."""


class SentKind(StrEnum):
    """What Amazon sends: what a buyer wrote, or what Amazon writes itself."""

    BUYER_MESSAGE = "buyer_message"
    VERIFICATION = "verification"
    CONFIRMATION = "confirmation"
    DELIVERY_FAILURE = "delivery_failure"
    DELIVERY_REPORT = "delivery_report"


class MailState(StrEnum):
    """How far a mail has come: `retrying` follows a temporary refusal, `refused` a final one, `given_up` the last attempt."""

    SENDING = "sending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    REFUSED = "refused"
    GIVEN_UP = "given_up"


@dataclass(slots=True)
class SentMail:
    """One mail to one address, with the state of its delivery."""

    mail_id: str
    seller_id: str
    country: str
    order_id: str
    kind: SentKind
    to: str
    envelope_sender: str
    message_id: str
    raw: bytes
    made_at: datetime
    state: MailState = MailState.SENDING
    reply_code: int | None = None
    reply: str = ""
    attempts: int = 0
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


class MailSender:
    """Owns the mails that were made and the tasks that try them again."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.mails: OrderedDict[str, SentMail] = OrderedDict()
        self._bytes_kept = 0
        self._retries: set[asyncio.Task[None]] = set()

    async def send(
        self, seller: Seller, message: BuyerMessage, *, answering: bool = True, quoting: bool = False
    ) -> list[SentMail]:
        """One mail to each address that the seller entered for the order's country; the first attempt is awaited.

        A buyer who has a message of the seller's answers it, unless not `answering`; `quoting` it, as from a mail program. Raises
        MessageWrong, NoAddress.
        """
        check_message(message)
        order, threads = message.order, self._sandbox.threads
        addresses = tuple(seller.addresses_in(order.country))
        if not addresses:
            raise NoAddress
        thread = Thread(
            tuple(known.mail_message_id for known in threads.messages(order.order_id)),
            threads.last_of_seller(order.order_id),
            seller.store_name,
            quotes=quoting,
        )
        mails = [
            await self._send(
                order.country,
                SentKind.BUYER_MESSAGE,
                lambda to, message_id, now: compose(
                    message, to=to, message_id=message_id, now=now, thread=thread if answering else None
                ),
                to=address,
                seller=seller,
                order_id=order.order_id,
                is_signed=message.forgery is None or message.forgery.is_signed,
            )
            for address in addresses
        ]
        if message.forgery is None or message.forgery.is_signed:
            threads.add(
                order.order_id,
                Author.BUYER,
                at=mails[0].made_at,
                mail_message_id=mails[0].message_id,
                read=lambda: Written(message.text.strip(), message.attachments),
                size=len(mails[0].raw),
            )
        return mails

    async def send_verification(self, seller: Seller, country: str, code: str) -> list[SentMail]:
        """Send the mail by which Seller Central proves its addresses, in the same way. Raises NoAddress."""
        addresses = tuple(seller.addresses_in(country))
        if not addresses:
            raise NoAddress
        return [
            await self._send(
                country,
                SentKind.VERIFICATION,
                lambda to, message_id, now: compose_verification(
                    BY_COUNTRY[country], code, to=to, message_id=message_id, now=now
                ),
                to=address,
                seller=seller,
            )
            for address in addresses
        ]

    async def send_notice(
        self, seller: Seller, order: Order, kind: SentKind, compose_for: Composer, *, to: str
    ) -> SentMail:
        """Send what Amazon itself writes about a message of the seller's. The first attempt is awaited."""
        return await self._send(
            order.country, kind, compose_for, to=to, seller=seller, order_id=order.order_id
        )

    async def _send(
        self,
        country: str,
        kind: SentKind,
        compose_for: Composer,
        *,
        to: str,
        seller: Seller,
        order_id: str = "",
        is_signed: bool = True,
    ) -> SentMail:
        now = self._sandbox.now()
        message_id = make_message_id(BY_COUNTRY[country], now, uuid4())
        raw = compose_for(to, message_id, now)
        if is_signed:
            # A delivery report is the mail service's own.
            is_report = kind is SentKind.DELIVERY_REPORT
            domains = (MAIL_SERVICE,) if is_report else (BY_COUNTRY[country].retail_domain, MAIL_SERVICE)
            raw = await asyncio.to_thread(sign, raw, self._sandbox.signing_key, *domains)
        mail = SentMail(
            mail_id=uuid4().hex,
            seller_id=seller.seller_id,
            country=country,
            order_id=order_id,
            kind=kind,
            to=to,
            # RFC 3464 §2: a report has no sender to report to.
            envelope_sender="" if kind is SentKind.DELIVERY_REPORT else message_id,
            message_id=message_id,
            raw=raw,
            made_at=now,
        )
        await self._begin(mail)
        return mail

    async def _begin(self, mail: SentMail) -> None:
        self._keep(mail)
        self._sandbox.counters.mails["made"] += 1
        await self._attempt(mail)
        if mail.state is MailState.RETRYING:
            task = asyncio.create_task(self._retry(mail))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)

    def _keep(self, mail: SentMail) -> None:
        """Keep a mail; the oldest are dropped when there are too many, or too many bytes of them."""
        self.mails[mail.mail_id] = mail
        self._bytes_kept += len(mail.raw)
        while len(self.mails) > MAX_MAILS or self._bytes_kept > MAX_BYTES_KEPT:
            _, oldest = self.mails.popitem(last=False)
            self._bytes_kept -= len(oldest.raw)

    async def _retry(self, mail: SentMail) -> None:
        pause = self._sandbox.settings.first_retry_seconds
        # A mail that was dropped from the list is not tried again.
        while mail.state is MailState.RETRYING and mail.mail_id in self.mails:
            await asyncio.sleep(pause)
            pause *= 2
            await self._attempt(mail)

    async def _attempt(self, mail: SentMail) -> None:
        mail.attempts += 1
        self._sandbox.counters.mails["attempts"] += 1
        try:
            mail.reply_code, mail.reply = await self._transaction(mail)
        except aiosmtplib.SMTPResponseException as error:
            mail.reply_code, mail.reply = error.code, error.message
        except (aiosmtplib.SMTPException, OSError) as error:
            mail.reply_code, mail.reply = None, type(error).__name__
        mail.reply = mail.reply[:_MAX_REPLY_CHARS]
        mail.state = _state_after(mail.reply_code, mail.attempts)
        if mail.state is not MailState.RETRYING:
            self._sandbox.counters.mails[mail.state.value] += 1
            mail.finished.set()

    async def _transaction(self, mail: SentMail) -> tuple[int, str]:
        settings = self._sandbox.settings
        # As between mail servers: TLS where it is offered, certificates unchecked (RFC 7435).
        client = aiosmtplib.SMTP(
            hostname=settings.relay_host,
            port=settings.relay_port,
            timeout=_TIMEOUT_SECONDS,
            validate_certs=False,
            local_hostname="sandbox.localhost",
        )
        await client.connect()
        try:
            await client.mail(mail.envelope_sender)
            await client.rcpt(mail.to)
            reply = await client.data(mail.raw)
        finally:
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
            client.close()
        return reply.code, reply.message

    def forget(self) -> None:
        """Drop every mail and every retry."""
        for task in self._retries:
            task.cancel()
        self.mails.clear()
        self._bytes_kept = 0

    async def close(self) -> None:
        self.forget()
        await asyncio.gather(*self._retries, return_exceptions=True)


def _state_after(reply_code: int | None, attempts: int) -> MailState:
    if reply_code is not None and 200 <= reply_code < 300:
        return MailState.DELIVERED
    if reply_code is not None and reply_code >= 500:
        return MailState.REFUSED
    return MailState.RETRYING if attempts < MAX_ATTEMPTS else MailState.GIVEN_UP
