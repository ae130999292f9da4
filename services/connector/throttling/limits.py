"""What may be done only so often, and how often: every such limit of ours is in this file."""

import math
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from services.connector.http.client_networks import WIDE, network_of, wide_network_of
from services.connector.throttling.buckets import take
from shared.database import Sessions
from shared.errors import Expected


class TooOften(Expected):
    """One of the limits below is reached for this user, account or network."""

    code = "too_often"


@dataclass(frozen=True, slots=True)
class Limit:
    """`most` at once, and as many again within `seconds`. Use cases call `require` first."""

    name: str
    most: int
    seconds: int = 60

    async def require(self, sessions: Sessions, whose: UUID | str) -> None:
        """Count one try of this user, account or network. Raises TooOften, which says when to come back."""
        seconds = await take(
            sessions, f"own:{self.name}:{whose}", rate=self.most / self.seconds, burst=self.most
        )
        if seconds:
            raise TooOften(retry_after_seconds=math.ceil(seconds))

    async def require_from(self, sessions: Sessions, client_address: str) -> None:
        """Count one try of this client's network, and of its wider one, which may do more. Raises TooOften."""
        network, wide_network = network_of(client_address), wide_network_of(client_address)
        await self.require(sessions, network)
        if wide_network != network:
            await replace(self, most=self.most * WIDE).require(sessions, wide_network)


# By user: each stores an attempt.
CONNECTS: Final = Limit("connect", 10)
# By API key: each writes an entry of the audit log.
PROGRAM_LINKS: Final = Limit("program-link", 60)
# By user, or by network where nobody is signed in: anybody can call Amazon's redirect addresses.
CALLBACKS: Final = Limit("callback", 30)
# By network: each stores a question that anybody may ask for.
PASSKEY_SIGN_INS: Final = Limit("passkey-sign-in", 30)
# By network: each may send a mail to somebody.
PASSWORD_RESETS: Final = Limit("password-reset", 20, seconds=900)
# By account: each sends a mail to somebody who has not asked for it.
INVITATIONS: Final = Limit("invitation", 30, seconds=3600)
# By network: each asks whether a link is good.
INVITATION_ANSWERS: Final = Limit("invitation-answer", 30)
# By network: each stores an attempt, and may ask a provider what it says of itself. By user, to prove again who they are.
SINGLE_SIGN_ONS: Final = Limit("single-sign-on", 30)
# By network: each may have us redeem a code.
SINGLE_SIGN_ON_CALLBACKS: Final = Limit("single-sign-on-callback", 30)
# By network: each is counted, and a page's count must not be one person's.
PAGE_ANSWERS: Final = Limit("page-answer", 20, seconds=600)
# By account: each asks a server that the account has named, or its DNS.
SINGLE_SIGN_ON_TESTS: Final = Limit("single-sign-on-test", 20)
# Whoever may try servers at will can guess passwords and look for open ports.
SMTP_TESTS_OF_USER: Final = Limit("smtp-test:user", 5)
SMTP_TESTS_OF_ACCOUNT: Final = Limit("smtp-test:account", 20, seconds=3600)
# By account: each makes us connect to a server that the account has named. All its webhooks can be tried in turn, and what a
# receiver has missed can be sent again by a program.
WEBHOOK_PINGS: Final = Limit("webhook-ping", 20)
WEBHOOK_RESENDS: Final = Limit("webhook-resend", 120)
# Each sends up to a thousand again, and has to find them.
WEBHOOK_BULK_RESENDS: Final = Limit("webhook-bulk-resend", 30)
# By user or API key: each is read into memory, looked at and sealed.
REPLY_FILES: Final = Limit("reply-file", 120)
# By account: all accounts' replies go out through the same mail workers, in the order in which they are due.
REPLIES: Final = Limit("reply", 600)
