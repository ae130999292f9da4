"""Why a server has refused a reply for good, from its code and its words. Pure.

Servers say it in words of their own, and many give the same enhanced code to different things: words that are sure decide first, the code where
they say nothing. What neither tells is `unknown`, with the words shown; a wrong reason would send an agent to the wrong cure.
"""

import re
from typing import Final

from services.mailrelay.parsing.kinds import failure_reason_in
from services.mailrelay.parsing.patterns import WORDING
from shared.outgoing.smtp import Answer
from shared.tables import ReplyFailure

MOST_CHARACTERS: Final = 500
_STATUS: Final = re.compile(r"(?<![0-9.])[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_NO_WORDS: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)
# The codes at the beginning of a line say nothing to people.
_CODES: Final = re.compile(r"(?:^|(?<=\n))[ \t]*[245]\.[0-9]{1,3}\.[0-9]{1,3}[ \t]*")

# The first that is found decides: what is more special stands above.
_WORDS: Final[tuple[tuple[ReplyFailure, re.Pattern[str]], ...]] = tuple(
    (failure, re.compile(pattern, re.IGNORECASE))
    for failure, pattern in (
        (
            ReplyFailure.BUYER_OPTED_OUT,
            (
                r"\bopt(?:ed)?[- ]?out\b|\bunsubscribed\b|\bkeine (?:weiteren )?nachrichten (?:mehr )?(?:erhalten|empfangen)\b"
                r"|\b(?:nachrichten|kommunikation)\b.{0,40}\b(?:abbestellt|abgemeldet|deaktiviert)\b"
            ),
        ),
        (
            ReplyFailure.SENDER_NOT_APPROVED,
            (
                r"\bsender\b.{0,60}\b(?:not|un)[ -]?(?:been )?(?:approved|authori[sz]ed|registered|recogni[sz]ed|verified)\b"
                r"|\b(?:not|un)[ -]?(?:an? )?(?:approved|authori[sz]ed|registered|recogni[sz]ed|verified)\b.{0,30}\b(?:sender|from)\b"
                r"|\b(?:address|identity|e-?mail)\b.{0,60}\bnot (?:verified|registered|approved|authori[sz]ed)\b"
                r"|\babsender\w*\b.{0,60}\bnicht (?:zugelassen|genehmigt|freigegeben|registriert|autorisiert|bestätigt|verifiziert)\b"
                r"|\bnicht (?:zugelassene|genehmigte|freigegebene|registrierte|autorisierte)\w* absender"
            ),
        ),
        (
            ReplyFailure.ATTACHMENT_REFUSED,
            (
                r"\battachments?\b|\bfile (?:type|extension|name)s?\b|\bprohibited file\b|\bexecutable\b|\banh[äa]ng\w*\b|\bdateianh"
                r"|\bdateityp\w*\b|\bvirus\b|\bmalware\b"
            ),
        ),
        (
            ReplyFailure.TOO_LARGE,
            (
                r"\b(?:message|mail|size)\b.{0,40}\b(?:too (?:large|big)|exceeds?\b.{0,40}\b(?:size|limit|maximum))"
                r"|\bmax(?:imum)? (?:message )?size\b|\bzu groß\b|\bmaximale (?:nachrichten)?größe\b"
            ),
        ),
        (
            ReplyFailure.SENDER_RESTRICTED,
            (
                r"\b(?:seller|account|sender|messaging)\b.{0,60}\b(?:restricted|suspended|blocked|disabled|deactivated)\b"
                r"|\b(?:restricted|suspended) (?:seller|account|sender)\b"
                r"|\b(?:verkäufer\w*|konto|absender)\b.{0,60}\b(?:gesperrt|eingeschränkt|gesperrtes|deaktiviert)\b"
            ),
        ),
        (
            ReplyFailure.MESSAGE_LIMIT,
            (
                r"\b(?:message|messages|sending|mail|daily|hourly|rate|recipient)\b.{0,30}\b(?:limit|quota)\b.{0,30}\b(?:exceeded|reached)\b"
                r"|\btoo many (?:messages|mails|e-?mails)\b|\b(?:limit|quota) (?:exceeded|reached)\b"
                r"|\b(?:limit|kontingent|anzahl)\b.{0,40}\b(?:erreicht|überschritten)\b|\bzu viele (?:nachrichten|mails|e-?mails)\b"
            ),
        ),
        (
            ReplyFailure.CONVERSATION_CLOSED,
            (
                r"\b(?:conversation|thread|case|order|contact window)\b.{0,40}\b(?:closed|expired|no longer (?:open|available|active))\b"
                r"|\b(?:unterhaltung|konversation|nachrichtenverlauf|vorgang|bestellung)\b.{0,40}\b(?:geschlossen|abgelaufen|beendet)\b"
            ),
        ),
        (
            ReplyFailure.GUIDELINE_BLOCKED,
            (
                r"\bguidelines?\b|\b(?:communication|messaging|content) polic(?:y|ies)\b|\bprohibited (?:content|link|word)"
                r"|\bcontent (?:rejected|blocked|not allowed)\b|\brichtlinien?\b|\bunzulässige\w* inhalte?\b|\bspam\b"
            ),
        ),
        (
            ReplyFailure.ADDRESS_UNKNOWN,
            (
                r"\b(?:user|mailbox|recipient|address|account)\b.{0,40}\b(?:unknown|not found|does(?: not|n't) exist|unavailable|invalid)\b"
                r"|\b(?:no such|unknown|invalid) (?:user|mailbox|recipient|address)\b"
                r"|\b(?:empfänger|adresse|postfach)\b.{0,40}\b(?:unbekannt|nicht gefunden|existiert nicht|ungültig)\b"
            ),
        ),
    )
)
_TOO_LARGE: Final = 552


def reason_of(answer: Answer) -> ReplyFailure:
    """The reason that these words, and the enhanced status, tell for certain, or `unknown`."""
    words = " ".join(answer.words.split())
    # Amazon's own words are those of its failure mails.
    told = failure_reason_in(words, WORDING)
    if told is None:
        told = next((reason for reason, pattern in _WORDS if pattern.search(words)), None)
    if told is None:
        told = WORDING.report_statuses.get(status_in(answer) or "")
    if told is None and answer.code == _TOO_LARGE:
        told = ReplyFailure.TOO_LARGE
    return ReplyFailure(told) if told is not None else ReplyFailure.UNKNOWN


def clean_words(answer: Answer) -> str:
    """The server's words as one line that people can be shown, the code before them."""
    return shown_line(f"{answer.code} {status_in(answer) or ''} {_CODES.sub('', answer.words)}")


def shown_line(words: str) -> str:
    """A stranger's words as one line without signs that nobody sees or that turn its direction; at most 500 characters."""
    return " ".join(_NO_WORDS.sub(" ", words).split())[:MOST_CHARACTERS]


def status_in(answer: Answer) -> str | None:
    """The enhanced status code (RFC 3463) in an answer, if it has one."""
    found = _STATUS.search(answer.words)
    return found[0] if found is not None else None
