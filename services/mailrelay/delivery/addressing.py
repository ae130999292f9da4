"""What becomes of a true mail of Amazon's that Amazon has not addressed to the relay address at which it came.

Whoever has a mail of Amazon's can send it on, unchanged, to any address, and its signature stays true. So a mail counts here only if it
was meant to come here: it names this address, or a mailbox of which an administrator has confirmed that its mail is forwarded here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from services.mailrelay.authenticity.verdict import NOT_ADDRESSED_HERE, REPLAYED, Verdict
from services.mailrelay.delivery import queries
from services.mailrelay.delivery.authentication import AuthenticatedMail
from services.mailrelay.settings import AddressedElsewhere
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions
from shared.tables import Authenticity


async def settle_addressees(
    sessions: Sessions,
    mails: Sequence[AuthenticatedMail],
    keys: Mapping[UUID, AccountKeys],
    rule: AddressedElsewhere,
) -> list[AuthenticatedMail]:
    """The mails with the verdict that follows from whom they name. The database is asked only about those that do not name us."""
    elsewhere = [mail for mail in mails if mail.is_proven and mail.is_elsewhere]
    if not elsewhere:
        return list(mails)
    by_mailbox = [
        (mail, queries.Mailbox(mail.unsealed.queued.integration_id, key))
        for mail in elsewhere
        for key in mail.sent_to_keys(keys[mail.unsealed.queued.account_id])
    ]
    # In a transaction of its own, before the mails are stored: who had a mail first stays the first, whatever becomes of it here.
    async with sessions.begin() as session:
        confirmed = await queries.find_forwarded_mailboxes(session, [mailbox for _, mailbox in by_mailbox])
        first = await queries.first_accounts(
            session, [(mail.identity, mail.unsealed.queued.account_id) for mail in elsewhere]
        )
    is_forwarded = {mail.unsealed.queued.id for mail, mailbox in by_mailbox if mailbox in confirmed}
    verdicts = {
        mail.unsealed.queued.id: _verdict(
            mail,
            is_forwarded=mail.unsealed.queued.id in is_forwarded,
            was_elsewhere=first[mail.identity] != mail.unsealed.queued.account_id,
            rule=rule,
        )
        for mail in elsewhere
    }
    return [replace(mail, verdict=verdicts.get(mail.unsealed.queued.id, mail.verdict)) for mail in mails]


def _verdict(
    mail: AuthenticatedMail, *, is_forwarded: bool, was_elsewhere: bool, rule: AddressedElsewhere
) -> Verdict:
    """What an administrator has confirmed counts, whoever else had the mail: they may have got it by replaying it."""
    if is_forwarded:
        return mail.verdict
    if was_elsewhere or mail.is_elsewhere_at_ours:
        return replace(mail.verdict, authenticity=Authenticity.MISDIRECTED, reason=REPLAYED)
    if rule is AddressedElsewhere.MARK:
        return replace(mail.verdict, reason=NOT_ADDRESSED_HERE)
    return replace(mail.verdict, authenticity=Authenticity.MISDIRECTED, reason=NOT_ADDRESSED_HERE)
