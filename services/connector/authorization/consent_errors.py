"""What Amazon's own error pages mean during the consent: in plain words, and who can do something about it.

Amazon shows these codes on its page and never sends the browser back with them, so that the seller reads them to us. Collected
from Amazon's documentation and from what integrators have reported.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.connector.http.language import Language


class WhoActs(StrEnum):
    """Who can cure an error of Amazon's consent page."""

    SELLER = "seller"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class ConsentError:
    """`texts` are pairs of title and what to do."""

    code: str
    who_acts: WhoActs
    texts: dict[Language, tuple[str, str]]


_SUPPORT_DE: Final = "Das liegt an uns, nicht am Store. Beim Nachfragen helfen der Code und das Land."
_SUPPORT_EN: Final = (
    "This is our fault, not the store's. When you ask for help, the code and the country are useful."
)


def _sellers(code: str, de: tuple[str, str], en: tuple[str, str]) -> ConsentError:
    return ConsentError(code, WhoActs.SELLER, {Language.DE: de, Language.EN: en})


def _ours(code: str, de: str, en: str) -> ConsentError:
    texts = {Language.DE: (de, _SUPPORT_DE), Language.EN: (en, _SUPPORT_EN)}
    return ConsentError(code, WhoActs.OPERATOR, texts)


CONSENT_ERRORS: Final = (
    _sellers(
        "SPDC8143",
        (
            "Nur der Hauptnutzer darf zustimmen",
            (
                "Zustimmen kann der Hauptnutzer des Verkäuferkontos. Oder er vergibt in Seller Central unter Benutzerberechtigungen das Recht, autorisierte Partner zu verwalten."
            ),
        ),
        (
            "Only the primary user may consent",
            (
                "Sign in at Amazon as the primary user of the seller account. Or ask them to give you the right to manage authorized partners, "
                "in Seller Central under User Permissions."
            ),
        ),
    ),
    _sellers(
        "INDIVIDUAL_PLAN",
        (
            "Der Tarif „Einzelanbieter“ genügt nicht",
            (
                "Amazon lässt nur Verkäuferkonten im Tarif „Professionell“ Anwendungen autorisieren; einen eigenen Fehlercode zeigt Amazon dafür nicht immer. Der Tarif lässt sich in Seller Central unter Kontoinformationen wechseln."
            ),
        ),
        (
            "The Individual selling plan is not enough",
            (
                "Amazon lets only seller accounts on the Professional plan authorize applications, and does not always show a code of its "
                "own for that. Change the plan in Seller Central under Account Info."
            ),
        ),
    ),
    _sellers(
        "SPSA0404",
        (
            "Dieses Konto passt nicht zu unserer Anwendung",
            (
                "Es ist ein Vendor-Konto oder eines, das Amazon hierfür nicht zulässt. Nötig ist die Anmeldung bei Amazon mit einem Verkäuferkonto (Seller Central)."
            ),
        ),
        (
            "This account cannot be used with our application",
            "It is a vendor account, or one that Amazon does not allow here. Sign in at Amazon with a seller account (Seller Central).",
        ),
    ),
    _sellers(
        "SPSA2043",
        (
            "Dem Vendor-Konto fehlt eine Rolle",
            "Wir verbinden Verkäuferkonten. Nötig ist die Anmeldung bei Amazon mit einem Verkäuferkonto (Seller Central).",
        ),
        (
            "The vendor account lacks a role",
            "We connect seller accounts. Sign in at Amazon with a seller account (Seller Central).",
        ),
    ),
    _sellers(
        "MD9999",
        (
            "Amazon nennt keinen Grund",
            (
                "Meist sind die zehn Minuten vorbei, oder der Link wurde verändert. Bitte hier noch einmal beginnen; bleibt es dabei, helfen Uhrzeit und Code beim Nachfragen."
            ),
        ),
        (
            "Amazon gives no reason",
            (
                "Usually the ten minutes are over, or the link was changed. Start again here. If it keeps happening, the time and the code are useful when you ask for help."
            ),
        ),
    ),
    _sellers(
        "MD4010",
        (
            "Im Link fehlt die Anwendung",
            "Der Link ist unterwegs verkürzt worden. Bitte hier noch einmal beginnen; bleibt es dabei, hilft der Code beim Nachfragen.",
        ),
        (
            "The application is missing from the link",
            "The link was shortened on its way. Start again here. If it keeps happening, the code is useful when you ask for help.",
        ),
    ),
    _ours(
        "CONSENT_LIMIT_REACHED",
        "Amazon lässt uns im Moment keinen weiteren Store verbinden",
        "Amazon does not let us connect another store at the moment",
    ),
    _ours(
        "MD1000", "Amazon hält unsere Anwendung für einen Entwurf", "Amazon considers our application a draft"
    ),
    _ours("MD4100", "Amazon kennt unsere Anwendung nicht", "Amazon does not know our application"),
    _ours(
        "MD5100",
        "Unsere Anwendung ist bei Amazon noch nicht veröffentlicht",
        "Our application is not published at Amazon yet",
    ),
    _ours(
        "MD5101",
        "Unsere Rücksprungadresse ist bei Amazon nicht eingetragen",
        "Our redirect URI is not registered at Amazon",
    ),
    _ours("MD5110", "Unsere Rücksprungadresse ist ungültig", "Our redirect URI is not valid"),
    _ours(
        "MD9100",
        "Bei Amazon fehlt eine Adresse unserer Anwendung",
        "An address of our application is missing at Amazon",
    ),
)
