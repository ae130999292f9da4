"""The sentences about a failed attempt, in German and English."""

from typing import Final

from services.connector.authorization.attempts import AttemptHint, AttemptProblem
from services.connector.http.language import Language
from shared.marketplaces import Region

REGION_NAMES: Final = {
    Region.EU: {Language.DE: "Europa", Language.EN: "Europe"},
    Region.NA: {Language.DE: "Nord- und Südamerika", Language.EN: "North and South America"},
    Region.FE: {Language.DE: "Asien und Pazifik", Language.EN: "Asia and Pacific"},
}

PROBLEM_TEXTS: Final[dict[AttemptProblem, dict[Language, tuple[str, str]]]] = {
    AttemptProblem.CODE_MISSING: {
        Language.DE: (
            "Amazon hat keine Zustimmung geschickt",
            "Bitte noch einmal beginnen und bei Amazon auf Bestätigen klicken.",
        ),
        Language.EN: (
            "Amazon did not send a consent",
            "Please start again and click Confirm at Amazon.",
        ),
    },
    AttemptProblem.CODE_REJECTED: {
        Language.DE: (
            "Amazon hat die Zustimmung nicht angenommen",
            "Bei Amazon gilt eine Zustimmung nur fünf Minuten und nur einmal. Bitte noch einmal beginnen.",
        ),
        Language.EN: (
            "Amazon did not accept the consent",
            "A consent is valid for five minutes at Amazon, and only once. Please start again.",
        ),
    },
    AttemptProblem.REGION_MISMATCH: {
        Language.DE: (
            "{store} gehört zur Region {region}",
            (
                "Das gewählte Land gehört zu einer anderen Region. Weiter geht es mit einem Land aus der Region {region}; für einen "
                "anderen Store zuerst bei Amazon abmelden."
            ),
        ),
        Language.EN: (
            "{store} belongs to the region {region}",
            (
                "The country that was chosen belongs to another region. Choose a country in the region {region}; for another "
                "store, sign out at Amazon first."
            ),
        ),
    },
    AttemptProblem.NO_PARTICIPATION: {
        Language.DE: (
            "Der Store verkauft in keinem Land",
            (
                "Amazon nennt für dieses Verkäuferkonto kein Land, in dem es gerade verkauft. Bitte den Zustand des Kontos in Seller Central prüfen und dann noch einmal beginnen."
            ),
        ),
        Language.EN: (
            "The store does not sell in any country",
            (
                "Amazon does not list any country in which this seller account is selling at the moment. Check the status of the account in Seller "
                "Central, then start again."
            ),
        ),
    },
    AttemptProblem.ROLE_MISSING: {
        Language.DE: (
            "Amazon verweigert uns die Daten des Stores",
            (
                "Die Zustimmung ist angekommen, aber Amazon gibt uns diese Daten nicht. Bitte in Seller Central prüfen, ob das Verkäuferkonto aktiv ist, und dann noch einmal beginnen. Ist es aktiv und klappt es wieder nicht, liegt es an uns; dieser Code hilft beim Nachfragen:"
            ),
        ),
        Language.EN: (
            "Amazon denies us the data of the store",
            (
                "Your consent has arrived, but Amazon does not give us this data. Check in Seller Central that the seller account is active, then start again. If it is active and this happens again, the fault is ours; this code is useful when you ask for help:"
            ),
        ),
    },
    AttemptProblem.AMAZON_UNAVAILABLE: {
        Language.DE: (
            "Amazon hat nicht geantwortet",
            "Die Zustimmung kam an, aber Amazon hat sie uns gerade nicht bestätigt. Bitte in ein paar Minuten noch einmal beginnen.",
        ),
        Language.EN: (
            "Amazon did not answer",
            "Your consent arrived, but Amazon could not confirm it to us just now. Please start again in a few minutes.",
        ),
    },
    AttemptProblem.AMAZON_PAUSED: {
        Language.DE: (
            "Aufrufe bei Amazon sind angehalten",
            "Unser Betrieb hat sie vorübergehend angehalten. Bitte später noch einmal beginnen; Amazon fragt dann erneut.",
        ),
        Language.EN: (
            "Calls to Amazon are paused",
            "Our operators have stopped them for now. Please start again later; Amazon will ask once more.",
        ),
    },
    AttemptProblem.CLIENT_MISCONFIGURED: {
        Language.DE: (
            "Bei uns stimmt etwas nicht",
            "Amazon nimmt unsere Zugangsdaten nicht an. Das liegt an uns, und unser Betrieb ist informiert. Bitte später noch einmal versuchen.",
        ),
        Language.EN: (
            "Something is wrong on our side",
            "Amazon does not accept our credentials. It is not your fault, and our operators have been told. Please try again later.",
        ),
    },
    AttemptProblem.INTERRUPTED: {
        Language.DE: (
            "Die Verbindung wurde unterbrochen",
            "Bei uns wurde ein Schritt nicht zu Ende gebracht. Es ist nichts halb eingerichtet. Bitte noch einmal beginnen.",
        ),
        Language.EN: (
            "Connecting was interrupted",
            "A step on our side was not completed. Nothing was left half set up. Please start again.",
        ),
    },
    AttemptProblem.WRONG_ACCOUNT: {
        Language.DE: (
            "Das war ein anderer Store",
            (
                "Bei Amazon war ein anderes Verkäuferkonto angemeldet als das dieser Integration. Es wurde nichts geändert. Bitte bei Amazon abmelden, hier noch einmal beginnen und dort das richtige Konto anmelden."
            ),
        ),
        Language.EN: (
            "That was another store",
            (
                "At Amazon you were signed in with a different seller account than that of this integration. Nothing was changed. Sign "
                "out at Amazon, start again, and sign in with the right account."
            ),
        ),
    },
    AttemptProblem.OTHER_SELLER: {
        Language.DE: (
            "Amazon hat einen anderen Store geschickt",
            (
                "Bestätigt war ein anderes Verkäuferkonto, als am Ende von Amazon kam. Es wurde nichts verbunden. Bitte bei Amazon abmelden und noch einmal beginnen, mit dem Konto, das verbunden werden soll."
            ),
        ),
        Language.EN: (
            "Amazon sent another store",
            (
                "The seller account that came back from Amazon is not the one you had confirmed. Nothing was connected. Sign out "
                "at Amazon, and start again with the account that you want to connect."
            ),
        ),
    },
    AttemptProblem.STORE_DIFFERS: {
        Language.DE: (
            "Der Store sieht nach einem anderen aus",
            (
                "Amazon nennt für diesen Store einen anderen Namen und andere Länder als bisher. Es wurde nichts geändert. Ist es ein anderer Store, hilft es, bei Amazon abzumelden und mit dem richtigen noch einmal zu beginnen. Hat sich der Store wirklich so verändert, lässt sich die Integration trennen und danach neu verbinden."
            ),
        ),
        Language.EN: (
            "The store looks like another one",
            (
                "Amazon now reports a different name and different countries for this store. Nothing was changed. If it is another store, "
                "sign out at Amazon and start again with the right one. If your store really has changed this much, disconnect the "
                "integration and then connect the store anew."
            ),
        ),
    },
    AttemptProblem.LINK_SPENT: {
        Language.DE: (
            "Mit diesem Link wurde schon ein anderer Store verbunden",
            (
                "Jemand anderes hat denselben Link geöffnet und war schneller. Ein Link gilt für einen Store; dieser hier wurde deshalb nicht verbunden. Für ihn braucht es einen neuen Link, oder er lässt sich unter „Integrationen“ hinzufügen."
            ),
        ),
        Language.EN: (
            "Another store was already connected by this link",
            (
                "Somebody else opened the same link and was faster. A link is good for one store, so this one was not connected. It needs a new link, or can be added under “Integrations”."
            ),
        ),
    },
}

HINT_TEXTS: Final[dict[AttemptHint, dict[Language, tuple[str, str]]]] = {
    AttemptHint.SIGN_OUT_FIRST: {
        Language.DE: (
            "Welcher Store ist bei Amazon angemeldet?",
            (
                "Amazon fragt nicht noch einmal nach dem Konto: Verbunden wird der Store, der in diesem Browser dort gerade angemeldet ist. Für einen anderen Store bitte vorher in Seller Central abmelden, oder ein privates Fenster nehmen und dort und hier neu anmelden."
            ),
        ),
        Language.EN: (
            "Which store are you signed in with at Amazon?",
            (
                "Amazon does not ask again who you are: it connects the store that your browser is signed in with there right now. For "
                "another store, sign out of Seller Central first, or use a private window and sign in here there, too."
            ),
        ),
    },
}


def store_name(name: str | None, language: Language) -> str:
    """How a store is called in a sentence's beginning: by its name at Amazon, in the language's quotation marks."""
    if name is None:
        return {Language.DE: "Der Store", Language.EN: "The store"}[language]
    return {Language.DE: "Der Store „{}“", Language.EN: "The store “{}”"}[language].format(name)
