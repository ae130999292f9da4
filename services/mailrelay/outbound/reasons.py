"""Why a server has refused a reply for good, from its code and its words. Pure.

Servers say it in words of their own, and many give the same enhanced code to different things: words that are sure decide first, the code where
they say nothing. What neither tells is `unknown`, with the words shown; a wrong reason would send an agent to the wrong cure.
"""

import re
from typing import Final

from shared.outgoing.smtp import Answer
from shared.tables import ReplyFailure

MOST_CHARACTERS: Final = 500
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
_BY_CODE: Final[dict[tuple[int, int], ReplyFailure]] = {
    (1, 0): ReplyFailure.ADDRESS_UNKNOWN,
    (1, 1): ReplyFailure.ADDRESS_UNKNOWN,
    (1, 2): ReplyFailure.ADDRESS_UNKNOWN,
    (1, 3): ReplyFailure.ADDRESS_UNKNOWN,
    (1, 6): ReplyFailure.ADDRESS_UNKNOWN,
    (1, 10): ReplyFailure.ADDRESS_UNKNOWN,
    (2, 1): ReplyFailure.ADDRESS_UNKNOWN,
    (2, 3): ReplyFailure.TOO_LARGE,
    (3, 4): ReplyFailure.TOO_LARGE,
}
_TOO_LARGE: Final = 552


def reason_of(words: str, enhanced: tuple[int, int, int] | tuple[()], code: int) -> ReplyFailure:
    """The reason that these words and codes tell for certain, or `unknown`."""
    text = " ".join(words.split())
    for failure, pattern in _WORDS:
        if pattern.search(text):
            return failure
    if enhanced:
        return _BY_CODE.get(enhanced[1:], ReplyFailure.UNKNOWN)
    return ReplyFailure.TOO_LARGE if code == _TOO_LARGE else ReplyFailure.UNKNOWN


def clean_words(answer: Answer) -> str:
    """The server's words as one line that people can be shown, the code before them; at most 500 characters."""
    text = _NO_WORDS.sub(" ", _CODES.sub("", answer.words))
    enhanced = re.search(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", answer.words)
    codes = f"{answer.code} {enhanced[0]}" if enhanced is not None else str(answer.code)
    return f"{codes} {' '.join(text.split())}"[:MOST_CHARACTERS].strip()
