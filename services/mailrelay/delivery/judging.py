"""Whose mail it is: asked for each mail before it is stored, outside every transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.mailrelay.authenticity.verdict import Verdict, judge_claim
from services.mailrelay.delivery.opening import Opened
from services.mailrelay.parsing.mail import ParsedMail
from shared.tables import Authenticity

_NOT_CHECKED: Final = Verdict(Authenticity.NOT_CHECKED, "not_checked")


@dataclass(frozen=True, slots=True)
class Understood:
    """A mail that was opened and parsed."""

    opened: Opened
    mail: ParsedMail


async def judge(items: Sequence[Understood]) -> list[Verdict]:
    """Whether each mail is from whom it says."""
    return [judge_claim(item.mail.claim) or _NOT_CHECKED for item in items]


def wait_before_storing(verdict: Verdict, accepted_at: datetime, now: datetime) -> timedelta | None:
    """How long to wait for a better verdict; None: store it with this one."""
    del verdict, accepted_at, now
    return None


def recheck_at(verdict: Verdict, now: datetime) -> datetime | None:
    """When a stored message is looked at again."""
    del verdict, now
    return None
