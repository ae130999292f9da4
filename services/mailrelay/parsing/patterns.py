"""How Amazon's mails are worded, as data: nothing but wording is here, and `recognition` decides.

Seen in reports of other developers: the marker lines in English and Spanish, the one `<pre>`, order ids, the shared
address of Amazon Business. Everything else is assumed, so one sign alone never decides, except where the first one says so.
All wording is compared casefolded and with straight apostrophes, as part of a line for phrases and as a whole line for markers.
"""

from dataclasses import dataclass
from enum import StrEnum


class MailKind(StrEnum):
    """What a mail is about; it says nothing about who really sent it."""

    BUYER_MESSAGE = "buyer_message"
    ORDER_NOTICE = "order_notice"
    CLAIM_NOTICE = "claim_notice"
    RETURN_NOTICE = "return_notice"
    DELIVERY_FAILURE = "delivery_failure"
    VERIFICATION = "verification"
    AUTO_REPLY = "auto_reply"
    OTHER = "other"
    UNPARSEABLE = "unparseable"


# Between dashes, before and after the buyer's words. The language of both may differ within one mail.
OPENING_MARKERS = frozenset(
    {
        "message",  # en, fr
        "nachricht",
        "mensaje",
        "messaggio",
        "bericht",
        "wiadomość",
        "meddelande",
        "mesaj",
        "mensagem",
        "メッセージ",
        "الرسالة",
    }
)
CLOSING_MARKERS = frozenset(
    {
        "end message",
        "ende der nachricht",
        "fin du message",
        "finalizar mensaje",
        "fine messaggio",
        "fine del messaggio",
        "einde bericht",
        "koniec wiadomości",
        "slut på meddelandet",
        "mesaj sonu",
        "encerrar mensagem",
        "メッセージ終了",
        "نهاية الرسالة",
    }
)
# In the frame around the `<pre>` of HTML, any language.
FRAME_SIGNS = ("https://sellercentral", "[commmgrtok:")

# Local parts of Amazon's own senders; nobody with such an address is a buyer.
SYSTEM_SENDERS = frozenset(
    {
        "atoz-guarantee-no-reply",
        "auto-confirm",
        "do-not-reply",
        "donotreply",
        "no-reply",
        "noreply",
        "order-update",
        "seller-notification",
        "seller-notifications",
        "seller-performance",
        "seller-returns",
        "shipment-tracking",
    }
)


@dataclass(frozen=True, slots=True)
class NoticeSigns:
    """Signs of one kind of notice: its sender, a phrase of its subject, a phrase of its text. Two of three decide."""

    kind: MailKind
    senders: frozenset[str]
    subject: tuple[str, ...]
    text: tuple[str, ...]


_GENERAL_SENDERS = frozenset({"donotreply", "do-not-reply", "no-reply", "noreply"})

# The order matters: a failed delivery of a reply about a return is a failed delivery.
NOTICES = (
    NoticeSigns(
        MailKind.DELIVERY_FAILURE,
        _GENERAL_SENDERS,
        (
            "konnte nicht zugestellt werden",
            "could not be delivered",
            "no se pudo entregar",
            "n'a pas pu être remis",
            "non è stato possibile consegnare",
            "kon niet worden bezorgd",
            "nie można było dostarczyć",
            "kunde inte levereras",
            "teslim edilemedi",
            "não pôde ser entregue",
            "配信できませんでした",
            "تعذر تسليم",
        ),
        (
            "wurde nicht zugestellt",
            "was not delivered",
            "no se entregó",
            "n'a pas été remis",
            "non è stato consegnato",
            "is niet bezorgd",
            "nie została dostarczona",
            "levererades inte",
            "teslim edilmedi",
            "não foi entregue",
            "配信されませんでした",
            "لم يتم تسليم",
        ),
    ),
    NoticeSigns(
        MailKind.CLAIM_NOTICE,
        frozenset({"atoz-guarantee-no-reply"}),
        ("a-to-z", "a bis z", "a à z", "a-z-garantie", "a-z garantie", "garantía de la a a la z", "garanzia dalla a alla z"),
        ("a-to-z guarantee claim", "a-bis-z-garantieantrag", "réclamation au titre de la garantie a à z", "garantía de la a a la z"),
    ),
    NoticeSigns(
        MailKind.RETURN_NOTICE,
        frozenset({"seller-returns"}),
        (
            "return request",
            "return authorization",
            "rücksendeantrag",
            "rücksendeanfrage",
            "demande de retour",
            "solicitud de devolución",
            "richiesta di reso",
            "retouraanvraag",
            "returbegäran",
            "iade talebi",
            "solicitação de devolução",
            "返品リクエスト",
        ),
        (
            "requested a return",
            "hat eine rücksendung beantragt",
            "a demandé un retour",
            "ha solicitado una devolución",
            "ha richiesto un reso",
            "heeft een retour aangevraagd",
        ),
    ),
    NoticeSigns(
        MailKind.ORDER_NOTICE,
        frozenset({"seller-notification", "seller-notifications", "auto-confirm"}),
        ("sold, ship now", "verkauft, jetzt versenden", "vendu, à expédier", "vendido, envía ahora", "venduto, spedisci ora"),
        ("you have a new order", "sie haben eine neue bestellung", "nouvelle commande", "nuevo pedido", "nuovo ordine"),
    ),
    NoticeSigns(
        MailKind.VERIFICATION,
        _GENERAL_SENDERS,
        (
            "e-mail-adresse bestätigen",
            "confirm your e-mail address",
            "verify your e-mail address",
            "verify your email address",
            "confirmez votre adresse",
            "confirma tu dirección de correo",
            "conferma il tuo indirizzo",
        ),
        ("bestätigungscode", "verification code", "code de vérification", "código de verificación", "codice di verifica"),
    ),
)  # fmt: skip
