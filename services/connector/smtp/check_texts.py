"""What the test of an SMTP server has shown, in both languages: what is wrong, and what to do."""

from dataclasses import dataclass
from typing import Final

from services.connector.http.language import Language
from shared.tables import SmtpCheck


@dataclass(frozen=True, slots=True)
class SmtpCheckText:
    title: str
    cure: str


_TEXTS: Final[dict[SmtpCheck, tuple[SmtpCheckText, SmtpCheckText]]] = {
    SmtpCheck.OK: (
        SmtpCheckText("The server works", "There is nothing to do. We signed in and sent no mail."),
        SmtpCheckText("Der Server funktioniert", "Es ist nichts zu tun. Wir haben uns angemeldet und keine Mail gesendet."),
    ),
    # A name with an address that is not public is told like a name that does not exist: nobody explores networks through us.
    SmtpCheck.DNS: (
        SmtpCheckText(
            "We cannot find a public server with this name",
            "Check the name of the server. It must be in the public DNS, with public addresses only.",
        ),
        SmtpCheckText(
            "Unter diesem Namen finden wir keinen öffentlichen Server",
            "Bitte den Namen des Servers prüfen. Er muss im öffentlichen DNS stehen, und zwar nur mit öffentlichen Adressen.",
        ),
    ),
    SmtpCheck.CONNECT: (
        SmtpCheckText(
            "The server does not answer",
            "Check name and port, and whether a firewall blocks connections from the Internet.",
        ),
        SmtpCheckText(
            "Der Server antwortet nicht",
            "Bitte Name und Port prüfen, und ob eine Firewall Verbindungen aus dem Internet abhält.",
        ),
    ),
    SmtpCheck.TLS: (
        SmtpCheckText(
            "No secure connection is possible",
            "The certificate must be valid for the server's name. Usually port 465 is used with TLS, and port 587 with STARTTLS.",
        ),
        SmtpCheckText(
            "Es kommt keine sichere Verbindung zustande",
            "Das Zertifikat muss für den Namen des Servers gültig sein. Üblich sind Port 465 mit TLS und Port 587 mit STARTTLS.",
        ),
    ),
    SmtpCheck.AUTH: (
        SmtpCheckText(
            "The server refuses the sign-in",
            "Check user name and password. Some providers require a separate password for programs.",
        ),
        SmtpCheckText(
            "Der Server lehnt die Anmeldung ab",
            "Bitte Benutzername und Passwort prüfen. Manche Anbieter verlangen ein eigenes Passwort für Programme.",
        ),
    ),
    SmtpCheck.REJECTED: (
        SmtpCheckText(
            "The server does not accept mail from us",
            "Check whether this user may send with this sender address, or ask the provider of the server.",
        ),
        SmtpCheckText(
            "Der Server will von uns keine Mail",
            "Bitte prüfen, ob dieser Benutzer mit dieser Absenderadresse senden darf; sonst weiß es der Anbieter des Servers.",
        ),
    ),
    SmtpCheck.TIMEOUT: (
        SmtpCheckText(
            "The server is too slow",
            "We waited ten seconds. Check name and port, and try again in a few minutes.",
        ),
        SmtpCheckText(
            "Der Server ist zu langsam",
            "Wir haben zehn Sekunden gewartet. Bitte Name und Port prüfen und es in ein paar Minuten noch einmal versuchen.",
        ),
    ),
}  # fmt: skip


def text_of(result: SmtpCheck, language: Language) -> SmtpCheckText:
    english, german = _TEXTS[result]
    return german if language is Language.DE else english
