"""What a mail is about, by Amazon's wording: two signs of three decide, else it is `other`, and its full text is shown."""

from dataclasses import dataclass

from services.mailrelay.parsing.mailboxes import Mailbox
from services.mailrelay.parsing.patterns import MailKind, Wording, fold
from services.mailrelay.parsing.reports import DeliveryReport
from services.mailrelay.parsing.structure import Header

# A notice says soon what it is about.
MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Recognised:
    """A kind, and what its wording tells: the language of it, why a delivery failed, the code of a verification."""

    kind: MailKind
    language: str | None = None
    failure_reason: str | None = None
    verification_code: str | None = None


def recognise_notice(sender: Mailbox, subject: str | None, text: str, wording: Wording) -> Recognised:
    """What an Amazon sender other than a buyer has written."""
    local = sender.local.lower()
    folded_subject, folded_text = fold(subject or ""), fold(text[:MAX_CHARS])
    for notice in wording.notices:
        in_subject = notice.subjects.language_in(folded_subject)
        in_text = notice.texts.language_in(folded_text)
        signs = (local in notice.senders, in_subject is not None, in_text is not None)
        if sum(signs) >= 2:
            return Recognised(
                kind=notice.kind,
                language=in_text or in_subject,
                failure_reason=_failure_reason(folded_text, wording)
                if notice.kind is MailKind.DELIVERY_FAILURE
                else None,
                verification_code=_code(folded_text, wording)
                if notice.kind is MailKind.VERIFICATION
                else None,
            )
    return Recognised(MailKind.OTHER)


def recognise_report(report: DeliveryReport | None, wording: Wording) -> Recognised:
    """What a delivery status notification is about: one that reports a delay or a success is no failure, and nobody has to read it."""
    if report is not None and not report.has_failed:
        return Recognised(MailKind.AUTO_REPLY)
    reason = None
    if report is not None:
        # Words say more than a status: Amazon may refuse for several reasons with one.
        reason = failure_reason_in(report.diagnostic, wording)
        reason = reason or wording.report_statuses.get((report.status or "").split(" ")[0])
    return Recognised(MailKind.DELIVERY_FAILURE, failure_reason=reason)


def recognise_message(header: Header, subject: str | None, own_text: str, wording: Wording) -> Recognised:
    """Whether a buyer has written themselves, or a program for them."""
    if _says_auto_reply(header):
        return Recognised(MailKind.AUTO_REPLY)
    in_subject = wording.auto_reply.subjects.language_before(fold(subject or ""))
    in_text = wording.auto_reply.texts.language_in(fold(own_text[:MAX_CHARS]))
    # A question mistaken for an auto-reply would get no answer in time, so one sign is not enough here either.
    signs = (_says_automatic(header), in_subject is not None, in_text is not None)
    if sum(signs) >= 2:
        return Recognised(MailKind.AUTO_REPLY, language=in_text)
    return Recognised(MailKind.BUYER_MESSAGE)


def _says_auto_reply(header: Header) -> bool:
    # RFC 3834 §5; the others are what older systems write instead.
    return (
        _keyword(header, "auto-submitted") == "auto-replied"
        or _keyword(header, "precedence") == "auto_reply"
        or _keyword(header, "x-autoreply") not in {"", "no"}
        or _keyword(header, "x-autorespond") not in {"", "no"}
    )


def _says_automatic(header: Header) -> bool:
    # Amazon itself may mark what it passes on as `auto-generated`.
    return _keyword(header, "auto-submitted") not in {"", "no"}


def _keyword(header: Header, name: str) -> str:
    return (header.text(name) or "").partition(";")[0].strip().lower()


def failure_reason_in(text: str, wording: Wording) -> str | None:
    """Why a reply did not arrive, by the words of a server or of Amazon's; None if they tell nothing for certain."""
    return _failure_reason(fold(text), wording)


def _failure_reason(folded_text: str, wording: Wording) -> str | None:
    """The reason of which a wording is there; None for none, and for several."""
    found = [
        reason
        for reason, phrases in wording.failure_reasons.items()
        if phrases.language_in(folded_text) is not None
    ]
    return found[0] if len(found) == 1 else None


def _code(folded_text: str, wording: Wording) -> str | None:
    for phrase in wording.code_introductions.phrases:
        # The subject of the sentence may come twice: the code stands behind one of them.
        for start in phrase.ends_in(folded_text):
            match = wording.code.match(folded_text, start)
            if match is not None:
                return match.group(1)
    return None
