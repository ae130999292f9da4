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


_SUPPORT_DE: Final = "Sie können nichts dagegen tun. Nennen Sie unserem Support den Code und das Land."
_SUPPORT_EN: Final = "You cannot cure it. Tell our support the code and the country."


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
                "Melden Sie sich bei Amazon mit dem Hauptnutzer des Verkäuferkontos an. Oder er gibt Ihnen in Seller Central unter "
                "Benutzerberechtigungen das Recht, autorisierte Partner zu verwalten."
            ),
        ),
        (
            "Only the primary user may consent",
            (
                "Sign in at Amazon with the primary user of the seller account. Or he gives you the right to manage authorized partners, "
                "in Seller Central under User Permissions."
            ),
        ),
    ),
    _sellers(
        "INDIVIDUAL_PLAN",
        (
            "Der Tarif „Einzelanbieter“ genügt nicht",
            (
                "Amazon lässt nur Verkäuferkonten im Tarif „Professionell“ Anwendungen autorisieren; einen eigenen Fehlercode zeigt Amazon "
                "dafür nicht immer. Wechseln Sie in Seller Central unter Kontoinformationen den Tarif."
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
                "Es ist ein Vendor-Konto oder eines, das Amazon hierfür nicht zulässt. Melden Sie sich bei Amazon mit einem Verkäuferkonto "
                "(Seller Central) an."
            ),
        ),
        (
            "This account does not fit our application",
            "It is a vendor account, or one that Amazon does not admit here. Sign in at Amazon with a seller account (Seller Central).",
        ),
    ),
    _sellers(
        "SPSA2043",
        (
            "Dem Vendor-Konto fehlt eine Rolle",
            "Wir verbinden Verkäuferkonten. Melden Sie sich bei Amazon mit einem Verkäuferkonto (Seller Central) an.",
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
                "Meist sind die zehn Minuten vorbei, oder der Link wurde verändert. Beginnen Sie hier noch einmal; bleibt es dabei, nennen "
                "Sie unserem Support Uhrzeit und Code."
            ),
        ),
        (
            "Amazon gives no reason",
            (
                "Mostly the ten minutes are over, or the link was changed. Start again here; if it stays, tell our support the time and "
                "the code."
            ),
        ),
    ),
    _sellers(
        "MD4010",
        (
            "Im Link fehlt die Anwendung",
            "Der Link ist unterwegs verkürzt worden. Beginnen Sie hier noch einmal; bleibt es dabei, nennen Sie unserem Support den Code.",
        ),
        (
            "The link lacks the application",
            "The link was shortened on its way. Start again here; if it stays, tell our support the code.",
        ),
    ),
    _ours(
        "CONSENT_LIMIT_REACHED",
        "Amazon lässt uns im Moment keinen weiteren Store verbinden",
        "Amazon does not let us connect another store at the moment",
    ),
    _ours(
        "MD1000", "Amazon hält unsere Anwendung für einen Entwurf", "Amazon takes our application for a draft"
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
        "At Amazon, an address of our application is missing",
    ),
)
