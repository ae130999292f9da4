"""What is told about an attempt that failed, and what is asked before going on at Amazon; German and English."""

from typing import Final

from services.connector.authorization.attempts import AttemptProblem
from services.connector.language import Language

PROBLEM_TEXTS: Final[dict[AttemptProblem, dict[Language, tuple[str, str]]]] = {
    AttemptProblem.CODE_MISSING: {
        Language.DE: (
            "Amazon hat keine Zustimmung geschickt",
            "Bitte beginnen Sie noch einmal und klicken Sie bei Amazon auf Bestätigen.",
        ),
        Language.EN: (
            "Amazon did not send a consent",
            "Please start again and click Confirm at Amazon.",
        ),
    },
    AttemptProblem.CODE_REJECTED: {
        Language.DE: (
            "Amazon hat die Zustimmung nicht angenommen",
            "Sie gilt bei Amazon nur fünf Minuten und nur einmal. Bitte beginnen Sie noch einmal.",
        ),
        Language.EN: (
            "Amazon did not accept the consent",
            "At Amazon it is valid for five minutes and only once. Please start again.",
        ),
    },
    AttemptProblem.REGION_MISMATCH: {
        Language.DE: (
            "Der Store gehört zu einer anderen Region",
            (
                "Das Verkäuferkonto, mit dem Sie bei Amazon angemeldet waren, verkauft in anderen Ländern. Beginnen Sie noch einmal mit "
                "einem Land, in dem dieser Store verkauft, oder melden Sie sich bei Amazon mit dem anderen Konto an."
            ),
        ),
        Language.EN: (
            "The store belongs to another region",
            (
                "The seller account with which you were signed in at Amazon sells in other countries. Start again with a country in "
                "which this store sells, or sign in at Amazon with the other account."
            ),
        ),
    },
    AttemptProblem.NO_PARTICIPATION: {
        Language.DE: (
            "Der Store verkauft in keinem Land",
            (
                "Amazon nennt für dieses Verkäuferkonto kein Land, in dem es gerade verkauft. Prüfen Sie den Zustand des Kontos in Seller "
                "Central und beginnen Sie dann noch einmal."
            ),
        ),
        Language.EN: (
            "The store sells in no country",
            (
                "Amazon names no country in which this seller account is selling at present. Check the state of the account in Seller "
                "Central, then start again."
            ),
        ),
    },
    AttemptProblem.ROLE_MISSING: {
        Language.DE: (
            "Amazon verweigert uns die Daten des Stores",
            (
                "Ihre Zustimmung ist angekommen, aber Amazon gibt uns diese Daten nicht. Ist das Verkäuferkonto aktiv? Wenn ja, liegt es an "
                "uns: Nennen Sie unserem Support diesen Fehlercode."
            ),
        ),
        Language.EN: (
            "Amazon denies us the data of the store",
            (
                "Your consent has arrived, but Amazon does not give us this data. Is the seller account active? If so, it is our fault: "
                "tell our support this error code."
            ),
        ),
    },
    AttemptProblem.AMAZON_UNAVAILABLE: {
        Language.DE: (
            "Amazon hat nicht geantwortet",
            "Ihre Zustimmung kam an, aber Amazon hat sie uns gerade nicht bestätigt. Bitte beginnen Sie in ein paar Minuten noch einmal.",
        ),
        Language.EN: (
            "Amazon did not answer",
            "Your consent arrived, but Amazon has not confirmed it to us just now. Please start again in a few minutes.",
        ),
    },
    AttemptProblem.CLIENT_MISCONFIGURED: {
        Language.DE: (
            "Bei uns stimmt etwas nicht",
            "Amazon nimmt unsere Zugangsdaten nicht an. Sie können nichts dafür und nichts dagegen tun; unser Betrieb ist informiert.",
        ),
        Language.EN: (
            "Something is wrong on our side",
            "Amazon does not accept our credentials. It is not your fault and you cannot cure it; our operators have been told.",
        ),
    },
    AttemptProblem.INTERRUPTED: {
        Language.DE: (
            "Die Verbindung wurde unterbrochen",
            "Bei uns wurde ein Schritt nicht zu Ende gebracht. Es ist nichts halb eingerichtet. Bitte beginnen Sie noch einmal.",
        ),
        Language.EN: (
            "Connecting was interrupted",
            "A step on our side was not finished. Nothing is half set up. Please start again.",
        ),
    },
}

# Title, question, warning, button.
CONFIRM_TEXTS: Final[dict[Language, tuple[str, str, str, str]]] = {
    Language.DE: (
        "Diesen Store verbinden?",
        "Amazon möchte das Verkäuferkonto {seller_id} ({country}) mit „{account}“ bei Replyco verbinden.",
        (
            "Haben Sie das gerade selbst begonnen und ist das Ihr Verkäuferkonto? Dann machen Sie weiter. Wenn nicht, schließen Sie "
            "dieses Fenster: Es wird nichts verbunden."
        ),
        "Weiter zu Amazon",
    ),
    Language.EN: (
        "Connect this store?",
        "Amazon asks to connect the seller account {seller_id} ({country}) with “{account}” at Replyco.",
        (
            "Have you just begun this yourself, and is this your seller account? Then go on. If not, close this window: nothing will "
            "be connected."
        ),
        "Go on to Amazon",
    ),
}
