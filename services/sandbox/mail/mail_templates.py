"""The words that stand around a buyer's text in Amazon's mails, by language. The wordings are our own, the shape is Amazon's."""

from dataclasses import dataclass
from typing import Final

KINDS: Final = ("product", "order", "return", "invoice", "other")


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """The words of one language. `subjects` are by kind, with `{name}` for the buyer's name; `order` stands before the order id,
    `wrote` before a message that is quoted."""

    received: str
    begin: str
    end: str
    helpful: str
    resolve: str
    report: str
    rights: str
    order: str
    wrote: str
    subjects: dict[str, str]


MAIL_TEMPLATES: Final[dict[str, MailTemplate]] = {
    "de": MailTemplate(
        received="Sie haben eine Nachricht erhalten.",
        begin="Nachricht:",
        end="Ende der Nachricht",
        helpful="War diese E-Mail hilfreich?",
        resolve="Fall lösen",
        report="Fragwürdige Aktivität melden",
        rights="Alle Rechte vorbehalten.",
        order="Bestellung:",
        wrote="Am {date} um {time} schrieb {name}:",
        subjects={
            "product": "Frage zu Produktdetails von Amazon-Kunde {name}",
            "order": "Frage zur Lieferung von Amazon-Kunde {name}",
            "return": "Rückgabe-Anfrage von Amazon-Kunde {name}",
            "invoice": "Rechnungsanfrage von Amazon-Kunde {name}",
            "other": "Anfrage von Amazon-Kunde {name}",
        },
    ),
    "en": MailTemplate(
        received="You have received a message.",
        begin="Message:",
        end="End message",
        helpful="Was this email helpful?",
        resolve="Resolve case",
        report="Report questionable activity",
        rights="All rights reserved.",
        order="Order:",
        wrote="On {date} at {time}, {name} wrote:",
        subjects={
            "product": "Product details enquiry from Amazon customer {name}",
            "order": "Shipping enquiry from Amazon customer {name}",
            "return": "Return enquiry from Amazon customer {name}",
            "invoice": "Invoice request from Amazon customer {name}",
            "other": "Enquiry from Amazon customer {name}",
        },
    ),
    "fr": MailTemplate(
        received="Vous avez reçu un message.",
        begin="Message :",
        end="Fin du message",
        helpful="Cet e-mail vous a-t-il été utile ?",
        resolve="Résoudre le cas",
        report="Signaler une activité suspecte",
        rights="Tous droits réservés.",
        order="Commande :",
        wrote="Le {date} à {time}, {name} a écrit :",
        subjects={
            "product": "Question sur le produit du client Amazon {name}",
            "order": "Question sur la livraison du client Amazon {name}",
            "return": "Demande de retour du client Amazon {name}",
            "invoice": "Demande de facture du client Amazon {name}",
            "other": "Question du client Amazon {name}",
        },
    ),
    "es": MailTemplate(
        received="Ha recibido un mensaje.",
        begin="Mensaje:",
        end="Finalizar mensaje",
        helpful="¿Le pareció útil este correo?",
        resolve="Resolver caso",
        report="Informar de actividad sospechosa",
        rights="Todos los derechos reservados.",
        order="Pedido:",
        wrote="El {date} a las {time}, {name} escribió:",
        subjects={
            "product": "Consulta sobre detalles del producto del cliente de Amazon {name}",
            "order": "Consulta sobre el envío del cliente de Amazon {name}",
            "return": "Consulta sobre una devolución del cliente de Amazon {name}",
            "invoice": "Solicitud de factura del cliente de Amazon {name}",
            "other": "Consulta del cliente de Amazon {name}",
        },
    ),
    "it": MailTemplate(
        received="Hai ricevuto un messaggio.",
        begin="Messaggio:",
        end="Fine del messaggio",
        helpful="Questa e-mail è stata utile?",
        resolve="Risolvi il caso",
        report="Segnala attività sospetta",
        rights="Tutti i diritti riservati.",
        order="Ordine:",
        wrote="Il {date} alle {time}, {name} ha scritto:",
        subjects={
            "product": "Domanda sul prodotto dal cliente Amazon {name}",
            "order": "Domanda sulla spedizione dal cliente Amazon {name}",
            "return": "Richiesta di reso dal cliente Amazon {name}",
            "invoice": "Richiesta di fattura dal cliente Amazon {name}",
            "other": "Domanda dal cliente Amazon {name}",
        },
    ),
    "nl": MailTemplate(
        received="U hebt een bericht ontvangen.",
        begin="Bericht:",
        end="Einde bericht",
        helpful="Was deze e-mail nuttig?",
        resolve="Zaak oplossen",
        report="Verdachte activiteit melden",
        rights="Alle rechten voorbehouden.",
        order="Bestelling:",
        wrote="Op {date} om {time} schreef {name}:",
        subjects={
            "product": "Productvraag van Amazon-klant {name}",
            "order": "Vraag over de bezorging van Amazon-klant {name}",
            "return": "Retourvraag van Amazon-klant {name}",
            "invoice": "Factuuraanvraag van Amazon-klant {name}",
            "other": "Vraag van Amazon-klant {name}",
        },
    ),
    "ja": MailTemplate(
        received="メッセージを受信しました。",
        begin="メッセージ:",
        end="メッセージ終了",
        helpful="このEメールは役に立ちましたか?",
        resolve="ケースを解決",
        report="不審な行為を報告",
        rights="All rights reserved.",
        order="注文番号:",
        wrote="{date} {time} {name}:",
        subjects={
            "product": "Amazonのカスタマー {name} 様からの商品詳細に関するお問い合わせ",
            "order": "Amazonのカスタマー {name} 様からの配送に関するお問い合わせ",
            "return": "Amazonのカスタマー {name} 様からの返品に関するお問い合わせ",
            "invoice": "Amazonのカスタマー {name} 様からの請求書に関するお問い合わせ",
            "other": "Amazonのカスタマー {name} 様からのお問い合わせ",
        },
    ),
}


def template_language(wanted: str) -> str:
    """The wanted language if there is a template in it, else English, which Amazon falls back to as well."""
    return wanted if wanted in MAIL_TEMPLATES else "en"
