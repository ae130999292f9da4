"""Why a provider cannot be signed in with, in a sentence for whoever sets it up."""

from typing import Final

from services.connector.http.language import Language
from services.connector.single_sign_on.metadata import Failure

_TEXTS: Final[dict[Failure, tuple[str, str]]] = {
    Failure.DNS: (
        "The name of the server cannot be found, or it leads to an address in a private network. Is the issuer spelled right?",
        "Der Name des Servers ist nicht zu finden oder führt zu einer Adresse in einem privaten Netz. Ist der Aussteller richtig geschrieben?",
    ),
    Failure.CONNECT: (
        "The server does not answer at this address.",
        "Unter dieser Adresse antwortet kein Server.",
    ),
    Failure.TLS: (
        "The server's certificate is not valid for this address.",
        "Das Zertifikat des Servers gilt nicht für diese Adresse.",
    ),
    Failure.TIMEOUT: (
        "The server did not answer within a few seconds.",
        "Der Server hat nicht innerhalb weniger Sekunden geantwortet.",
    ),
    Failure.STATUS: (
        "There is no description of a provider behind this address (/.well-known/openid-configuration), or it is an error page. Is the whole issuer there, with its path?",
        "Hinter dieser Adresse steht keine Beschreibung eines Anbieters (/.well-known/openid-configuration), oder sie ist eine Fehlerseite. Ist der Aussteller vollständig, mit seinem Pfad?",
    ),
    Failure.TOO_LONG: (
        "The answer is far longer than a provider's description can be.",
        "Die Antwort ist viel länger, als die Beschreibung eines Anbieters sein kann.",
    ),
    Failure.NO_JSON: (
        "The answer is not a provider's description. Is the address right?",
        "Die Antwort ist keine Beschreibung eines Anbieters. Ist es die richtige Adresse?",
    ),
    Failure.ISSUER_DIFFERS: (
        "The provider gives another issuer. Both have to match exactly, including a slash at the end.",
        "Der Anbieter nennt sich anders. Beides muss bis auf den Buchstaben gleich sein, auch beim Schrägstrich am Ende.",
    ),
    Failure.ADDRESS_WRONG: (
        "The provider's description lacks an address, or names one without https.",
        "In der Beschreibung des Anbieters fehlt eine Adresse, oder eine ist ohne https.",
    ),
    Failure.NO_CODE_FLOW: (
        "The provider does not offer signing in with a code (“authorization code flow”).",
        "Der Anbieter bietet die Anmeldung mit einem Code („Authorization Code Flow“) nicht an.",
    ),
    Failure.NO_PKCE: (
        "The provider does not offer PKCE with S256.",
        "Der Anbieter bietet PKCE mit S256 nicht an.",
    ),
    Failure.NO_ALGORITHM: (
        "The provider signs neither with RS256 nor with ES256.",
        "Der Anbieter signiert weder mit RS256 noch mit ES256.",
    ),
    Failure.NO_CLIENT_SECRET: (
        "The provider does not accept a client secret.",
        "Der Anbieter nimmt kein Client-Secret an.",
    ),
    Failure.NO_KEYS: (
        "The provider publishes no key with which a sign-in could be checked.",
        "Der Anbieter zeigt keinen Schlüssel, mit dem sich eine Anmeldung prüfen ließe.",
    ),
    Failure.CLIENT_REFUSED: (
        "The provider does not accept the client ID and client secret.",
        "Der Anbieter nimmt Client-ID und Client-Secret nicht an.",
    ),
    Failure.CODE_REFUSED: (
        "The provider does not accept its own code. Is the redirect URI entered there as it is shown here?",
        "Der Anbieter nimmt seinen eigenen Code nicht an. Ist die Weiterleitungsadresse dort so eingetragen, wie sie hier steht?",
    ),
    Failure.NO_TOKEN: (
        "The provider did not send an ID token.",
        "Der Anbieter hat kein ID-Token geschickt.",
    ),
}


def failure_text(failure: Failure, language: Language) -> str:
    en, de = _TEXTS[failure]
    return de if language is Language.DE else en
