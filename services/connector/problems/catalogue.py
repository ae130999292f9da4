"""Every problem that the API answers with: status, and what to tell a person, in both languages (RFC 9457).

Keyed by the stable `code` of `shared.errors.Expected`; a test holds that no class is without an entry. A text may name
the error's fields in braces.
"""

from dataclasses import dataclass
from typing import Final

from services.connector.http.language import Language
from shared.errors import Expected

# Where the page of all codes is served; the `type` of each problem points into it.
PROBLEMS_PATH: Final = "/api/v1/problems"


@dataclass(frozen=True, slots=True)
class Problem:
    """`en` and `de` are pairs of title and detail."""

    status: int
    en: tuple[str, str]
    de: tuple[str, str]


PROBLEMS: Final[dict[str, Problem]] = {
    "malformed_json": Problem(
        400,
        ("The request is not valid JSON", "Send a JSON object as the body, with Content-Type: application/json."),
        ("Die Anfrage ist kein gültiges JSON", "Nötig ist ein JSON-Objekt mit Content-Type: application/json."),
    ),
    "not_signed_in": Problem(
        401,
        ("You are not signed in", "Sign in, or send a valid API key as a bearer token."),
        ("Nicht angemeldet", "Nötig ist eine Anmeldung oder ein gültiger API-Schlüssel als Bearer-Token."),
    ),
    "invalid_credentials": Problem(
        401,
        ("E-mail address or password is wrong", "Check both and try again."),
        ("E-Mail-Adresse oder Passwort ist falsch", "Bitte beides prüfen und noch einmal versuchen."),
    ),
    "too_many_sign_ins": Problem(
        429,
        ("Too many attempts to sign in", "Please wait a few minutes, then try again."),
        ("Zu viele Anmeldeversuche", "Bitte einige Minuten warten und dann noch einmal versuchen."),
    ),
    "password_too_short": Problem(
        422,
        ("The password is too short", "It must have at least {limit} characters. A sentence of a few words is easy to remember."),
        ("Das Passwort ist zu kurz", "Nötig sind mindestens {limit} Zeichen. Ein Satz aus einigen Wörtern ist leicht zu merken."),
    ),
    "password_too_long": Problem(
        422,
        ("The password is too long", "It may have at most {limit} characters."),
        ("Das Passwort ist zu lang", "Erlaubt sind höchstens {limit} Zeichen."),
    ),
    "password_holds_name": Problem(
        422,
        ("The password contains the name or the e-mail address", "That is what others would try first. Choose words that have nothing to do with it."),
        ("Das Passwort enthält den Namen oder die E-Mail-Adresse", "Das würden andere zuerst versuchen. Besser sind Wörter, die nichts damit zu tun haben."),
    ),
    "password_leaked": Problem(
        422,
        ("Too many people have this password", "It is among the most frequent ones of known leaks, or almost the same as one of them. Choose another one."),
        ("Dieses Passwort haben zu viele", "Es gehört zu den häufigsten aus bekannten Datenlecks oder unterscheidet sich kaum davon. Bitte ein anderes wählen."),
    ),
    "code_refused": Problem(
        401,
        ("This code is not right", "An app's code is valid for about a minute, and only once. Is the clock of your phone right?"),
        ("Dieser Code stimmt nicht", "Ein Code einer App gilt etwa eine Minute, und jeder nur einmal. Geht die Uhr des Telefons richtig?"),
    ),
    "passkey_refused": Problem(
        401,
        ("This passkey was not accepted", "It is not registered here, or something went wrong on the way. Another try, or another way, may help."),
        ("Dieser Passkey wurde nicht angenommen", "Er ist hier nicht eingerichtet, oder unterwegs ging etwas schief. Ein neuer Versuch oder ein anderer Weg kann helfen."),
    ),
    "sign_in_expired": Problem(
        401,
        ("This took too long", "The second step has to follow within five minutes, in the same browser. Please start with the password again."),
        ("Das hat zu lange gedauert", "Der zweite Schritt muss innerhalb von fünf Minuten im selben Browser folgen. Bitte noch einmal mit dem Passwort beginnen."),
    ),
    "set_up_expired": Problem(
        409,
        ("This took too long", "What you started is no longer valid. Please start again."),
        ("Das hat zu lange gedauert", "Was begonnen war, gilt nicht mehr. Bitte noch einmal beginnen."),
    ),
    "last_second_factor": Problem(
        409,
        ("This is the only second factor", "The account requires one. Set up another one first."),
        ("Das ist der einzige zweite Faktor", "Das Konto verlangt einen. Bitte zuerst einen anderen einrichten."),
    ),
    "too_many_passkeys": Problem(
        409,
        ("There are too many passkeys", "A user may have {limit} of them. Remove one that is no longer needed."),
        ("Es gibt zu viele Passkeys", "Erlaubt sind {limit}. Bitte einen entfernen, der nicht mehr gebraucht wird."),
    ),
    "passkey_taken": Problem(
        409,
        ("This passkey is registered already", "Choose another device, or use it as it is."),
        ("Dieser Passkey ist schon eingerichtet", "Bitte ein anderes Gerät wählen oder diesen so verwenden, wie er ist."),
    ),
    "own_second_factor": Problem(
        422,
        ("Nobody can reset their own second factor", "Another administrator can do it, or use a recovery code."),
        ("Den eigenen zweiten Faktor setzt niemand selbst zurück", "Ein anderer Administrator kann es tun, oder ein Wiederherstellungscode hilft."),
    ),
    "last_admin": Problem(
        409,
        ("Somebody has to stay who can do this", "The account needs at least one person with “General → Admin (view & edit)”. Give it to somebody else first."),
        ("Jemand muss bleiben, der das kann", "Das Konto braucht mindestens eine Person mit „Allgemein → Admin (anzeigen & bearbeiten)“. Zuerst jemand anderem diese Berechtigung geben."),
    ),
    "successor_unfit": Problem(
        422,
        ("This person cannot take over", "Whoever takes over must belong to the account, must not be disabled, and needs “General → Admin (view & edit)”; for webhooks and keys that permission as well."),
        ("Diese Person kann das nicht übernehmen", "Wer übernimmt, gehört zum Konto, ist nicht deaktiviert und hat „Allgemein → Admin (anzeigen & bearbeiten)“, für Webhooks und Schlüssel auch diese Berechtigung."),
    ),
    "already_invited": Problem(
        409,
        ("An invitation is on its way already", "The invitation to this address is still open. Send it again, or withdraw it first."),
        ("Eine Einladung ist schon unterwegs", "Die Einladung an diese Adresse ist noch offen. Noch einmal senden oder zurückziehen geht in der Liste der Benutzer."),
    ),
    "too_many_invitations": Problem(
        409,
        ("There are too many open invitations", "An account may have {limit} of them. Withdraw one that is no longer needed."),
        ("Es gibt zu viele offene Einladungen", "Ein Konto darf {limit} davon haben. Eine zurückziehen, die niemand mehr braucht."),
    ),
    "invitation_invalid": Problem(
        409,
        ("This invitation is no longer valid", "A link works once, and for 72 hours. Ask whoever invited you to send it again."),
        ("Diese Einladung gilt nicht mehr", "Ein Link gilt 72 Stunden und nur einmal. Wer eingeladen hat, kann die Einladung noch einmal senden."),
    ),
    "account_name_differs": Problem(
        409,
        ("That is not the account's name", "Type the name as it is shown. Nothing was changed."),
        ("Das ist nicht der Name des Kontos", "Bitte den Namen so eingeben, wie er angezeigt wird. Es wurde nichts geändert."),
    ),
    "account_closed": Problem(
        409,
        ("This account is closed", "Nobody can sign in, and nothing is added to it. Until its data is erased, an operator can reopen it."),
        ("Dieses Konto ist geschlossen", "Niemand kann sich anmelden oder etwas hinzufügen. Bis seine Daten gelöscht sind, kann der Betreiber es wieder öffnen."),
    ),
    "account_open": Problem(
        409,
        ("This account is not closed", "Only a closed account can be reopened or erased. Close it first."),
        ("Dieses Konto ist nicht geschlossen", "Nur ein geschlossenes Konto wird wieder geöffnet oder gelöscht. Bitte zuerst schließen."),
    ),
    "grace_period_over": Problem(
        409,
        ("It is too late to reopen this account", "Its 30 days are over, and its data may already have been erased."),
        ("Zum Wiederöffnen ist es zu spät", "Die 30 Tage sind vorbei, und die Daten sind vielleicht schon gelöscht."),
    ),
    "reset_expired": Problem(
        409,
        ("This link is no longer valid", "A link works once, and for one hour. Please ask for a new one."),
        ("Dieser Link gilt nicht mehr", "Ein Link gilt eine Stunde und nur einmal. Bitte einen neuen anfordern."),
    ),
    "no_provider": Problem(
        409,
        ("There is no company account for this", "No company has set up its sign-in for this address. Sign in with a password, or with the link that your company has for it."),
        ("Dafür gibt es kein Firmenkonto", "Keine Firma hat ihre Anmeldung für diese Adresse eingerichtet. Es geht mit dem Passwort oder über den Link, den die Firma dafür hat."),
    ),
    "sso_attempt_unknown": Problem(
        409,
        ("This sign-in is no longer valid", "It has to be completed within ten minutes, in one browser, and only once. Start again on the sign-in page."),
        ("Diese Anmeldung gilt nicht mehr", "Eine Anmeldung darf zehn Minuten dauern, in einem Browser, und ihre Antwort zählt einmal. Bitte auf der Anmeldeseite neu beginnen."),
    ),
    "sso_refused": Problem(
        403,
        ("The company's sign-in was not completed", "It was canceled there, or the company account may not use this application. Your company's administrator can tell you why."),
        ("Die Anmeldung bei der Firma wurde nicht abgeschlossen", "Dort wurde abgebrochen, oder das Firmenkonto darf diese Anwendung nicht benutzen. Wer die Firmenkonten verwaltet, weiß warum."),
    ),
    "provider_failed": Problem(
        502,
        ("The company's sign-in does not work just now", "Its server did not answer properly. Try again in a few minutes; if it keeps happening, whoever manages the company accounts can help."),
        ("Die Anmeldung der Firma geht gerade nicht", "Der Server der Firma hat nicht geantwortet, wie er muss. Bitte in einigen Minuten noch einmal versuchen; bleibt es so, hilft, wer die Firmenkonten verwaltet."),
    ),
    "id_token_invalid": Problem(
        403,
        ("The company's answer cannot be trusted", "It does not match this sign-in. Start again; if it keeps happening, check issuer, client ID and the clock of the company's server."),
        ("Der Antwort der Firma ist nicht zu trauen", "Die Antwort passt nicht zu dieser Anmeldung. Bitte neu beginnen; bleibt es so, sind Aussteller, Client-ID und die Uhr des Firmenservers zu prüfen."),
    ),
    "sso_email_unverified": Problem(
        403,
        ("The company does not confirm the e-mail address", "At the first sign-in its server has to say that the address is verified (email and email_verified). Whoever manages the company accounts can set that."),
        ("Die Firma bestätigt die E-Mail-Adresse nicht", "Bei der ersten Anmeldung muss ihr Server sagen, dass die Adresse geprüft ist (email und email_verified). Das stellt ein, wer die Firmenkonten verwaltet."),
    ),
    "sso_nobody": Problem(
        403,
        ("Nobody here belongs to this company account", "An administrator has to invite this address first, or let it in again."),
        ("Zu diesem Firmenkonto gehört hier niemand", "Ein Administrator muss diese Adresse erst einladen oder wieder zulassen."),
    ),
    "sso_other_organization": Problem(
        403,
        ("This account is not one of the company's", "Anybody can have an account there, and this one does not belong to a mail domain that the company has confirmed here. Choose the company's own account; an administrator can confirm domains in the settings."),
        ("Dieses Konto ist keines der Firma", "Dort kann jeder ein Konto haben, und dieses gehört zu keiner Mail-Domain, die die Firma hier nachgewiesen hat. Bitte das Konto der Firma wählen; Domains weist ein Administrator in den Einstellungen nach."),
    ),
    "sso_second_factor_unproven": Problem(
        403,
        ("A second factor is missing", "The account requires one, and the company's server does not say that one was used (amr). Whoever manages the company accounts can set that."),
        ("Ein zweiter Faktor fehlt", "Das Konto verlangt einen, und der Server der Firma sagt nicht, dass es einen gab (amr). Das stellt ein, wer die Firmenkonten verwaltet."),
    ),
    "sso_other_person": Problem(
        403,
        ("That was another company account", "Whoever is signed in here has to confirm it with their own company account."),
        ("Das war ein anderes Firmenkonto", "Wer hier angemeldet ist, muss es mit dem eigenen Firmenkonto bestätigen."),
    ),
    "sso_not_asked_again": Problem(
        403,
        ("The company did not ask who is there", "Its server let the sign-in through without a question, or does not say when it asked (auth_time). Use a password or passkey of this account."),
        ("Die Firma hat nicht nachgefragt", "Der Server der Firma hat die Anmeldung ohne Frage durchgelassen oder sagt nicht, wann er gefragt hat (auth_time). Ein Passwort oder Passkey dieses Kontos hilft."),
    ),
    "sso_only": Problem(
        403,
        ("This account signs in with the company account", "Use “Sign in with the company account” on the sign-in page. If the company's sign-in does not work, the operator of Replyco can let people in by password again."),
        ("Dieses Konto meldet sich mit dem Firmenkonto an", "Das geht auf der Anmeldeseite unter „Mit Firmenkonto anmelden“. Geht die Anmeldung der Firma nicht, kann der Betreiber von Replyco Passwörter wieder zulassen."),
    ),
    "sso_only_unproven": Problem(
        409,
        ("Sign in with the company account first", "So that nobody is locked out, only somebody who has signed in with the company account can make it the only way. Save without it, sign in that way, then choose it."),
        ("Zuerst mit dem Firmenkonto anmelden", "Damit niemand draußen bleibt: Nur wer mit dem Firmenkonto angemeldet ist, kann es zum einzigen Weg machen. Ohne diese Einstellung speichern, so anmelden, dann wählen."),
    ),
    "client_secret_needed": Problem(
        409,
        ("The client secret is missing", "It was entered for another issuer or client ID, or not at all. Enter the one that the provider shows for this client ID."),
        ("Das Client-Secret fehlt", "Es war für einen anderen Aussteller oder eine andere Client-ID eingegeben oder noch nie. Nötig ist das, das der Anbieter zu dieser Client-ID zeigt."),
    ),
    "domain_unproven": Problem(
        409,
        ("The DNS of {domain} does not have the record yet", "Set the TXT record as shown and try again later: it can take an hour until it is visible everywhere."),
        ("Im DNS von {domain} steht der Eintrag noch nicht", "Den TXT-Eintrag setzen, wie er gezeigt wird, und es später noch einmal versuchen: Bis ihn alle sehen, kann es eine Stunde dauern."),
    ),
    "domain_taken": Problem(
        409,
        ("Another account already has {domain}", "A domain can belong to one account only. Remove it there first. If nobody knows that account, the operator of Replyco can help."),
        ("Ein anderes Konto hat {domain} schon", "Eine Domain führt zu einem Konto und muss erst dort entfernt werden. Kennt niemand dieses Konto, kann der Betreiber von Replyco helfen."),
    ),
    "too_many_domains": Problem(
        409,
        ("There are too many domains", "An account may have {limit} of them. Remove one that is no longer needed."),
        ("Es gibt zu viele Domains", "Ein Konto darf {limit} davon haben. Eine entfernen, die niemand mehr braucht."),
    ),
    "reauthentication_needed": Problem(
        403,
        ("Please confirm that it is you", "Send a password, code or passkey to POST /api/v1/sessions/current/confirm, then repeat the request. It is valid for ten minutes."),
        ("Bitte erst die Identität bestätigen", "Passwort, Code oder Passkey an POST /api/v1/sessions/current/confirm senden und die Anfrage dann wiederholen. Das gilt zehn Minuten."),
    ),
    "second_factor_needed": Problem(
        403,
        ("A second factor is needed first", "This account requires one. Set it up in your profile: an authenticator app or a passkey."),
        ("Zuerst ist ein zweiter Faktor nötig", "Dieses Konto verlangt ihn. Er wird im Profil eingerichtet: eine Authenticator-App oder ein Passkey."),
    ),
    "browser_required": Problem(
        403,
        ("Only a person can do this", "Sign in with a browser; an API key is not enough here."),
        ("Das kann nur ein Mensch tun", "Nötig ist eine Anmeldung mit einem Browser; ein API-Schlüssel genügt hier nicht."),
    ),
    "level_too_high": Problem(
        422,
        ("You cannot give away more than you have", "You do not have “{permission} ({level})” yourself. Choose a lower level."),
        ("Vergeben lässt sich nur, was man selbst darf", "„{permission} ({level})“ fehlt selbst. Bitte eine niedrigere Stufe wählen."),
    ),
    "expiry_past": Problem(
        422,
        ("The key would already have expired", "Choose a time in the future, or leave expires_at out."),
        ("Der Schlüssel wäre schon abgelaufen", "Bitte einen Zeitpunkt in der Zukunft wählen oder expires_at weglassen."),
    ),
    "too_many_api_keys": Problem(
        409,
        ("There are too many API keys", "An account may have {limit} of them. Revoke one that is no longer needed."),
        ("Es gibt zu viele API-Schlüssel", "Ein Konto darf {limit} davon haben. Bitte einen widerrufen, den niemand mehr braucht."),
    ),
    "email_taken": Problem(
        409,
        ("This e-mail address is in use", "Somebody already signs in with it. Choose another one."),
        ("Diese E-Mail-Adresse ist vergeben", "Jemand meldet sich bereits mit ihr an. Bitte eine andere wählen."),
    ),
    "permission_missing": Problem(
        403,
        ("You do not have permission for this", "This needs the permission “{permission} ({level})”. Ask your administrator."),
        ("Dafür fehlt eine Berechtigung", "Nötig ist „{permission} ({level})“. Vergeben kann sie, wer Replyco im Unternehmen verwaltet."),
    ),
    "csrf_token_wrong": Problem(
        403,
        ("The page is out of date", "Reload the page and try again."),
        ("Die Seite ist veraltet", "Bitte die Seite neu laden und noch einmal versuchen."),
    ),
    "not_found": Problem(
        404,
        ("Not found", "There is nothing here, or it belongs to somebody else."),
        ("Nicht gefunden", "Hier ist nichts, oder es gehört jemand anderem."),
    ),
    "method_not_allowed": Problem(
        405,
        ("This cannot be done here", "The address exists but does not offer this method."),
        ("Das geht hier nicht", "Die Adresse gibt es, aber nicht mit dieser Methode."),
    ),
    "body_too_large": Problem(
        413,
        ("The request is too large", "A request may have at most 64 KB."),
        ("Die Anfrage ist zu groß", "Eine Anfrage darf höchstens 64 KB haben."),
    ),
    "invalid_request": Problem(
        422,
        ("The request contains errors", "See the list of errors: each names a field and what is wrong with it."),
        ("Die Anfrage enthält Fehler", "Die Liste der Fehler nennt jedes Feld und was daran falsch ist."),
    ),
    "idempotency_key_invalid": Problem(
        422,
        ("The Idempotency-Key is not usable", "Send 1 to 255 printable ASCII characters, such as a UUID."),
        ("Der Idempotency-Key ist nicht brauchbar", "Möglich sind 1 bis 255 druckbare ASCII-Zeichen, etwa eine UUID."),
    ),
    "idempotency_key_reused": Problem(
        422,
        ("This Idempotency-Key belongs to another request", "Repeat a request exactly as it was, or choose a new key for a new one."),
        ("Dieser Idempotency-Key gehört zu einer anderen Anfrage", "Bitte eine Anfrage genau so wiederholen, wie sie war, oder für eine neue einen neuen Schlüssel wählen."),
    ),
    "idempotency_in_progress": Problem(
        409,
        ("This request is still being answered", "Repeat it in a moment: you will get its answer."),
        ("Diese Anfrage wird noch beantwortet", "Bitte gleich noch einmal wiederholen: Dann kommt ihre Antwort."),
    ),
    "rate_limited": Problem(
        429,
        ("Too many requests", "Please wait {retry_after_seconds} seconds, and then send fewer a minute."),
        ("Zu viele Anfragen", "Bitte {retry_after_seconds} Sekunden warten und dann weniger in der Minute senden."),
    ),
    "precondition_failed": Problem(
        412,
        ("It has changed in the meantime", "Somebody else has changed it. Read it again, then repeat your change with the new ETag."),
        ("Es wurde inzwischen geändert", "Jemand anderes hat es geändert. Bitte neu lesen und die Änderung mit dem neuen ETag wiederholen."),
    ),
    "too_often": Problem(
        429,
        ("Too often", "This has been done too often of late. Please try again in {retry_after_seconds} seconds."),
        ("Zu oft", "Das geschah zuletzt zu oft. Bitte in {retry_after_seconds} Sekunden noch einmal versuchen."),
    ),
    "invalid_cursor": Problem(
        400,
        ("The cursor is not valid", "Take it unchanged from next_cursor of the page before, or leave it out."),
        ("Der Cursor ist ungültig", "Bitte unverändert aus next_cursor der vorigen Seite übernehmen oder weglassen."),
    ),
    "seal_broken": Problem(
        500,
        ("This cannot be opened", "The stored data cannot be opened with our keys. Our operators have been told."),
        ("Das lässt sich nicht öffnen", "Die gespeicherten Daten lassen sich mit unseren Schlüsseln nicht öffnen. Der Betrieb ist informiert."),
    ),
    "blob_missing": Problem(
        503,
        ("The stored file is not there at the moment", "We could not find it; our operators have been told. Please try again later."),
        ("Die gespeicherte Datei ist gerade nicht da", "Wir konnten sie nicht finden; unser Betrieb ist informiert. Bitte später noch einmal versuchen."),
    ),
    "blob_damaged": Problem(
        500,
        ("The stored file is damaged", "What is stored differs from what was accepted. Our operators have been told."),
        ("Die gespeicherte Datei ist beschädigt", "Was gespeichert ist, ist nicht mehr, was angenommen wurde. Unser Betrieb ist informiert."),
    ),
    "key_service_unavailable": Problem(
        503,
        ("The stored data cannot be opened at the moment", "The service that keeps our keys does not answer. Nothing is lost. Please try again in a moment."),
        ("Die gespeicherten Daten lassen sich gerade nicht öffnen", "Der Dienst, der unsere Schlüssel verwahrt, antwortet nicht. Nichts geht verloren. Bitte gleich noch einmal versuchen."),
    ),
    "blobs_unavailable": Problem(
        503,
        ("The stored file cannot be read at the moment", "Please try again in a moment."),
        ("Die gespeicherte Datei lässt sich gerade nicht lesen", "Bitte gleich noch einmal versuchen."),
    ),
    "unknown_country": Problem(
        400,
        ("We do not know this country", "Choose one of the countries that GET /api/v1/marketplaces lists."),
        ("Dieses Land kennen wir nicht", "Möglich sind die Länder, die GET /api/v1/marketplaces nennt."),
    ),
    "too_many_attempts": Problem(
        429,
        ("Too many attempts", "You have started {limit} authorizations within an hour without finishing them. Please wait a little."),
        ("Zu viele Versuche", "In einer Stunde wurden {limit} Autorisierungen begonnen und nicht abgeschlossen. Bitte etwas warten."),
    ),
    "account_attempts_full": Problem(
        429,
        (
            "Too many attempts in this account",
            "You and your colleagues have begun {limit} authorizations within an hour without finishing them. Please wait a little.",
        ),
        (
            "Zu viele Versuche in diesem Konto",
            "Alle Personen dieses Kontos haben in einer Stunde zusammen {limit} Autorisierungen begonnen und nicht abgeschlossen. Bitte etwas warten.",
        ),
    ),
    "name_empty": Problem(
        422,
        ("The name is empty", "Enter a name with at least one visible character."),
        ("Der Name ist leer", "Nötig ist ein Name mit mindestens einem sichtbaren Zeichen."),
    ),
    "name_too_long": Problem(
        422,
        ("The name is too long", "A name may have at most {limit} characters."),
        ("Der Name ist zu lang", "Ein Name darf höchstens {limit} Zeichen haben."),
    ),
    "name_taken": Problem(
        409,
        ("The name is taken", "Another integration has this name already. Choose a different one."),
        ("Der Name ist vergeben", "Eine andere Integration heißt schon so. Bitte einen anderen Namen wählen."),
    ),
    "country_outside_region": Problem(
        422,
        ("This country is not of the store's region", "Choose countries of one region, as GET /marketplaces names them."),
        ("Dieses Land gehört nicht zur Region des Stores", "Möglich sind die Länder einer Region, so wie GET /marketplaces sie nennt."),
    ),
    "countries_by_amazon": Problem(
        409,
        ("Amazon reports the countries of this store", "They are read from Amazon, because the store is authorized."),
        ("Die Länder dieses Stores nennt Amazon", "Der Store ist autorisiert, deshalb kommen seine Länder von Amazon."),
    ),
    "link_unknown": Problem(
        404,
        ("This link does not belong to a request of your account", "Sign in with the account that the link was made in, or ask for a new link."),
        ("Dieser Link gehört zu keiner Bitte in diesem Konto", "Mit dem Konto anmelden, in dem der Link entstanden ist, oder um einen neuen bitten."),
    ),
    "link_spent": Problem(
        409,
        ("This link is spent", "What it asked for was authorized. For a further store, ask for a new link."),
        ("Dieser Link ist verbraucht", "Worum er bat, ist autorisiert. Für einen weiteren Store bitte einen neuen verlangen."),
    ),
    "link_expired": Problem(
        410,
        ("This link has expired", "Its time is over, or the API key that made it is no longer valid. Ask for a new one."),
        ("Dieser Link ist abgelaufen", "Seine Zeit ist um, oder der API-Schlüssel, mit dem er entstand, gilt nicht mehr. Bitte einen neuen verlangen."),
    ),
    "owner_unfit": Problem(
        422,
        ("This person cannot be the owner", "Choose a user of your account with “General → Admin: view & edit”."),
        ("Diese Person kann nicht verantwortlich sein", "Möglich ist, wer zu diesem Konto gehört und „Allgemein → Admin: anzeigen & bearbeiten“ hat."),
    ),
    "grant_missing": Problem(
        409,
        ("The store is not authorized", "Connect the store again. Its name, address and conversations stay."),
        ("Der Store ist nicht autorisiert", "Bitte den Store noch einmal verbinden. Name, Adresse und Unterhaltungen bleiben."),
    ),
    "grant_invalid": Problem(
        409,
        ("Amazon does not accept the authorization", "If this continues, connect the store again. Nothing is lost."),
        ("Amazon nimmt die Autorisierung nicht an", "Bleibt es dabei, bitte den Store noch einmal verbinden. Nichts geht verloren."),
    ),
    "code_rejected": Problem(
        409,
        ("Amazon did not accept the consent", "Please start again."),
        ("Amazon hat die Zustimmung nicht angenommen", "Bitte noch einmal beginnen."),
    ),
    "token_refused": Problem(
        503,
        ("Amazon has refused us", "Nothing is lost. Please try again in a few minutes."),
        ("Amazon hat uns abgewiesen", "Nichts ist verloren. Bitte in ein paar Minuten noch einmal versuchen."),
    ),
    "role_missing": Problem(
        503,
        ("Amazon denies us the data of the store", "Check in Seller Central that the seller account is active. If it is, the fault is ours, and this code is useful when you ask for help."),
        ("Amazon verweigert uns die Daten des Stores", "Ist das Verkäuferkonto aktiv? Wenn ja, liegt es an uns; dieser Code hilft beim Nachfragen."),
    ),
    "client_misconfigured": Problem(
        503,
        ("Something is wrong on our side", "Amazon does not accept our credentials. Our operators have been told."),
        ("Bei uns stimmt etwas nicht", "Amazon nimmt unsere Zugangsdaten nicht an. Der Betrieb ist informiert."),
    ),
    "amazon_paused": Problem(
        503,
        ("Calls to Amazon are paused", "Our operators have stopped them for now. Messages still arrive, and nothing is lost. Please try again later."),
        ("Aufrufe bei Amazon sind angehalten", "Unser Betrieb hat sie vorübergehend angehalten. Nachrichten kommen weiter an, nichts geht verloren. Bitte später noch einmal versuchen."),
    ),
    "order_unknown": Problem(
        404,
        ("Amazon does not know this order", "It belongs to another store, or Amazon no longer lists it."),
        ("Amazon kennt diese Bestellung nicht", "Entweder gehört sie zu einem anderen Store, oder Amazon nennt sie nicht mehr."),
    ),
    "page_token_refused": Problem(
        503,
        ("Amazon has lost its place in the list", "The orders are read from the last known state again. Nothing is lost."),
        ("Amazon weiß nicht mehr, wo es in der Liste war", "Die Bestellungen werden ab dem letzten bekannten Stand noch einmal gelesen. Nichts geht verloren."),
    ),
    "report_unknown": Problem(
        404,
        ("Amazon does not have this report", "Amazon keeps reports only for a while. A new one is being requested."),
        ("Amazon hat diesen Bericht nicht", "Amazon bewahrt Berichte nur eine Zeit lang auf. Ein neuer wird angefordert."),
    ),
    "restricted_role_missing": Problem(
        503,
        ("Names and addresses are not available to this application", "Amazon has not given it the role for them. Everything else of an order is there."),
        ("Namen und Adressen stehen dieser Anwendung nicht zur Verfügung", "Amazon hat ihr die Rolle dafür nicht gegeben. Alles andere einer Bestellung ist da."),
    ),
    "document_expired": Problem(
        503,
        ("The report could not be fetched in time", "Its address at Amazon is valid for five minutes. A new one is being requested."),
        ("Der Bericht konnte nicht rechtzeitig geholt werden", "Seine Adresse bei Amazon gilt fünf Minuten. Eine neue wird angefordert."),
    ),
    "document_elsewhere": Problem(
        503,
        ("The report was not fetched", "Its address does not lead to one of Amazon's stores. Our operators see it in the log."),
        ("Der Bericht wurde nicht geholt", "Seine Adresse führt zu keinem Speicher von Amazon. Unser Betrieb sieht es im Protokoll."),
    ),
    "document_too_large": Problem(
        503,
        ("The report is too large", "It was not read to its end. A shorter period makes a smaller one."),
        ("Der Bericht ist zu groß", "Er wurde nicht zu Ende gelesen. Ein kürzerer Zeitraum ergibt einen kleineren."),
    ),
    "amazon_unavailable": Problem(
        503,
        ("Amazon does not answer", "Nothing is lost. Please try again in a few minutes."),
        ("Amazon antwortet nicht", "Nichts ist verloren. Bitte in ein paar Minuten noch einmal versuchen."),
    ),
    "renewal_busy": Problem(
        503,
        ("Just a moment", "Access to Amazon is being renewed. Please try again in a moment."),
        ("Einen Moment", "Der Zugang zu Amazon wird gerade erneuert. Bitte gleich noch einmal versuchen."),
    ),
    "too_many_streams": Problem(
        429,
        ("Too many open event streams", "Close some: each session or API key may have {most} at a time."),
        ("Zu viele offene Ereignisströme", "Bitte einige schließen: Je Sitzung oder API-Schlüssel sind {most} zugleich möglich."),
    ),
    "too_many_webhooks": Problem(
        409,
        ("There are too many webhooks", "An account may have {limit} of them. Delete one that is no longer needed."),
        ("Es gibt zu viele Webhooks", "Ein Konto darf {limit} davon haben. Bitte einen löschen, den niemand mehr braucht."),
    ),
    "webhook_disabled": Problem(
        409,
        ("The webhook is disabled", "Nothing is sent to it. Enable it first."),
        ("Der Webhook ist abgeschaltet", "Es wird nichts an ihn gesendet. Bitte zuerst einschalten."),
    ),
    "attachment_infected": Problem(
        409,
        ("This attachment is held back", "The malware scanner has found something in it. Ask the buyer for another file."),
        ("Dieser Anhang wird zurückgehalten", "Die Schadsoftware-Prüfung hat etwas darin gefunden. Vielleicht kann der Käufer eine andere Datei schicken."),
    ),
    "conversation_in_quarantine": Problem(
        409,
        ("This conversation is in quarantine", "Its mail claims to be from Amazon, and that is not proven. Release it first if you know it to be genuine."),
        ("Diese Unterhaltung ist in Quarantäne", "Die E-Mail darin gibt sich als Amazons aus, und das ist nicht bewiesen. Ist sie sicher echt, muss sie zuerst freigegeben werden."),
    ),
    "conversation_merged": Problem(
        409,
        ("This conversation was merged with another one", "Its messages are there now; “into” names it."),
        ("Diese Unterhaltung wurde mit einer anderen zusammengeführt", "Die Nachrichten sind jetzt dort; „into“ nennt sie."),
    ),
    "list_too_slow": Problem(
        422,
        ("This takes too long to find", "There is too much to look through. Add a filter, such as a status, or another word."),
        ("Das zu suchen dauert zu lange", "Es ist zu viel zu durchsuchen. Ein Filter, etwa ein Status, oder ein weiteres Wort hilft."),
    ),
    "mailbox_invalid": Problem(
        422,
        ("This is not an e-mail address", "Enter the mailbox to which Amazon sends, as in shop@example.com."),
        ("Das ist keine E-Mail-Adresse", "Nötig ist das Postfach, an das Amazon schickt, etwa shop@example.com."),
    ),
    "mailbox_ours": Problem(
        409,
        ("This is one of our own addresses", "Confirm the mailbox that forwards, not an address of Replyco's: mail for those needs no confirmation."),
        ("Das ist eine unserer eigenen Adressen", "Bestätigt wird das Postfach, das weiterleitet, keine Adresse von Replyco: Mail an diese braucht keine Bestätigung."),
    ),
    "too_many_forwarded_mailboxes": Problem(
        409,
        ("There are too many forwarded mailboxes", "A store may have {limit} of them. Remove one that no longer forwards anything."),
        ("Es gibt zu viele weitergeleitete Postfächer", "Ein Store darf {limit} davon haben. Bitte eines zurückziehen, das nichts mehr weiterleitet."),
    ),
    "note_of_another": Problem(
        403,
        ("This note is somebody else's", "Only its author, or somebody with “General → Admin (view & edit)”, can delete it."),
        ("Diese Notiz ist von jemand anderem", "Löschen kann sie nur, wer sie geschrieben hat, oder wer „Allgemein → Admin“ bearbeiten darf."),
    ),
    "placeholder_unknown": Problem(
        422,
        ("The text has a placeholder that does not exist", "{names} is not a placeholder. These exist: {known}, each in double braces. Loops and conditions are not possible."),
        ("Der Text enthält einen Platzhalter, den es nicht gibt", "{names}: Das ist keiner. Es gibt: {known}, jeweils in doppelten geschweiften Klammern. Schleifen und Bedingungen sind nicht möglich."),
    ),
    "template_name_taken": Problem(
        409,
        ("The name is taken", "Another template in this language has this name already. Choose a different one."),
        ("Der Name ist vergeben", "Eine andere Vorlage in dieser Sprache heißt schon so. Bitte einen anderen Namen wählen."),
    ),
    "too_many_templates": Problem(
        409,
        ("There are too many templates", "An account may have {limit} of them. Delete one that is no longer used."),
        ("Es gibt zu viele Vorlagen", "Ein Konto darf {limit} davon haben. Bitte eine löschen, die niemand mehr braucht."),
    ),
    "tag_name_taken": Problem(
        409,
        ("The name is taken", "Another tag has this name already. Choose a different one."),
        ("Der Name ist vergeben", "Ein anderes Schlagwort heißt schon so. Bitte einen anderen Namen wählen."),
    ),
    "too_many_tags": Problem(
        409,
        ("There are too many tags", "An account may have {limit} of them. Delete one that is no longer used."),
        ("Es gibt zu viele Schlagwörter", "Ein Konto darf {limit} davon haben. Bitte eines löschen, das niemand mehr braucht."),
    ),
    "tag_unknown": Problem(
        422,
        ("This tag no longer exists", "Somebody may have deleted it in the meantime. Read the list of tags again."),
        ("Dieses Schlagwort gibt es nicht mehr", "Vielleicht wurde es inzwischen gelöscht. Bitte die Liste der Schlagwörter neu laden."),
    ),
    "view_name_taken": Problem(
        409,
        ("The name is taken", "Another of your views has this name already. Choose a different one."),
        ("Der Name ist vergeben", "Eine andere eigene Ansicht heißt schon so. Bitte einen anderen Namen wählen."),
    ),
    "too_many_saved_views": Problem(
        409,
        ("There are too many saved views", "Everybody may have {limit} of them. Delete one that is no longer needed."),
        ("Es gibt zu viele gespeicherte Ansichten", "Erlaubt sind {limit} für jede Person. Bitte eine löschen, die nicht mehr gebraucht wird."),
    ),
    "assignee_unknown": Problem(
        422,
        ("This id cannot be assigned", "It must be that of a person in the account who may read the inbox."),
        ("Diese Zuweisung ist nicht möglich", "Zuweisen lässt sich nur an Personen des Kontos, die den Posteingang lesen dürfen."),
    ),
    "snooze_out_of_range": Problem(
        422,
        ("This time is not possible", "A conversation can be snoozed until a time in the future, within {days} days."),
        ("Dieser Zeitpunkt ist nicht möglich", "Zurückstellen geht bis zu einem Zeitpunkt, der noch kommt, und höchstens {days} Tage weit."),
    ),
    "undo_too_late": Problem(
        409,
        ("This can no longer be undone", "It has already been undone, or more than {minutes} minutes have passed."),
        ("Das lässt sich nicht mehr rückgängig machen", "Es wurde schon rückgängig gemacht, oder es ist mehr als {minutes} Minuten her."),
    ),
    "picture_not_shown": Problem(
        422,
        ("This file cannot be shown as a picture", "Pictures are PNG, JPEG, GIF or WebP of at most 10 MB and 50 million pixels. It can still be downloaded."),
        ("Diese Datei lässt sich nicht als Bild anzeigen", "Bilder sind PNG, JPEG, GIF oder WebP mit höchstens 10 MB und 50 Millionen Bildpunkten. Herunterladen lässt sie sich trotzdem."),
    ),
    "merge_into_itself": Problem(
        422,
        ("These are already one conversation", "Choose another conversation to merge it with."),
        ("Das ist schon dieselbe Unterhaltung", "Bitte eine andere Unterhaltung zum Zusammenführen wählen."),
    ),
    "merge_other_store": Problem(
        422,
        ("These conversations belong to different stores", "Only conversations of one integration can be merged."),
        ("Diese Unterhaltungen gehören zu verschiedenen Stores", "Nur Unterhaltungen einer Integration lassen sich zusammenführen."),
    ),
    "merge_not_undoable": Problem(
        409,
        ("This merge cannot be undone", "It was undone already, or more than {days} days ago, or something was merged on top of it; or its messages have been moved since. Single messages can still be split off."),
        ("Dieses Zusammenführen lässt sich nicht rückgängig machen", "Es wurde schon rückgängig gemacht, ist mehr als {days} Tage her, oder es wurde danach noch etwas dazu zusammengeführt; oder die Nachrichten wurden inzwischen verschoben. Einzelne Nachrichten lassen sich weiterhin abtrennen."),
    ),
    "message_elsewhere": Problem(
        422,
        ("A message is not in this conversation", "It may have been moved in the meantime. Read the conversation again and choose once more."),
        ("Eine Nachricht ist nicht in dieser Unterhaltung", "Vielleicht wurde sie inzwischen verschoben. Bitte die Unterhaltung neu laden und noch einmal wählen."),
    ),
    "message_not_in_quarantine": Problem(
        409,
        ("This message is not in quarantine", "Nothing needs to be released; perhaps somebody else has done it."),
        ("Diese Nachricht ist nicht in Quarantäne", "Es ist nichts freizugeben; vielleicht hat es schon jemand getan."),
    ),
    "searches_busy": Problem(
        503,
        ("Too many searches at once", "Please try again in a moment."),
        ("Zu viele Suchen zugleich", "Bitte gleich noch einmal versuchen."),
    ),
    "search_too_short": Problem(
        422,
        ("There is nothing to search for", "Enter a whole word of at least two letters, an order number, or a buyer's address."),
        ("Darin ist kein Wort zum Suchen", "Nötig ist ein ganzes Wort mit mindestens zwei Buchstaben, eine Bestellnummer oder die Adresse eines Käufers."),
    ),
    "search_too_long": Problem(
        422,
        ("Too many words to look for", "A search may have at most 50 words; a few rare ones find a message faster."),
        ("Zu viele Wörter zum Suchen", "Gesucht wird nach höchstens 50 Wörtern auf einmal; wenige seltene finden eine Nachricht eher."),
    ),
    "if_match_required": Problem(
        428,
        ("The version is missing", "Send the conversation's ETag as If-Match, so that nobody answers what they have not read."),
        ("Die Version fehlt", "Nötig ist der ETag der Unterhaltung als If-Match, damit niemand beantwortet, was er nicht gelesen hat."),
    ),
    "conversation_changed": Problem(
        409,
        ("Somebody has written in the meantime", "Nothing was sent. Read what is new, then send your reply again with the new ETag."),
        ("Inzwischen hat jemand geschrieben", "Es wurde nichts gesendet. Bitte lesen, was neu ist, und die Antwort dann mit dem neuen ETag noch einmal senden."),
    ),
    "not_answerable": Problem(
        409,
        ("Nobody can be answered here", "{why}."),
        ("Hier kann nicht geantwortet werden", "{why}."),
    ),
    "reply_empty": Problem(
        422,
        ("The reply says nothing", "It contains nothing but what the buyer has written."),
        ("Die Antwort sagt nichts", "Es steht nichts darin als das, was der Käufer geschrieben hat."),
    ),
    "reply_too_long": Problem(
        422,
        ("The reply is too long", "Amazon accepts {limit} characters at most."),
        ("Die Antwort ist zu lang", "Amazon nimmt höchstens {limit} Zeichen an."),
    ),
    "reply_warned": Problem(
        422,
        ("The reply may break Amazon's rules", "“warnings” names them. Change it, or send it again with their codes in confirmed_warnings."),
        ("Die Antwort könnte gegen Amazons Regeln verstoßen", "„warnings“ nennt die Stellen. Bitte den Text ändern, oder ihn mit deren Codes in confirmed_warnings noch einmal senden."),
    ),
    "placeholders_missing": Problem(
        422,
        ("Values are missing", "There is no value for: {names}. Fill them in yourself."),
        ("Es fehlen Werte", "Keinen Wert gibt es für: {names}. Bitte von Hand schreiben, was dort stehen soll."),
    ),
    "files_refused": Problem(
        422,
        ("This file cannot be sent", "{why}."),
        ("Diese Datei kann nicht gesendet werden", "{why}."),
    ),
    "reply_file_unknown": Problem(
        422,
        ("A file is not there", "It was removed, sent already, or uploaded by somebody else or elsewhere. Upload it again."),
        ("Eine Datei ist nicht da", "Entweder wurde sie entfernt oder schon gesendet, oder jemand anderes oder ein anderes Fenster hat sie hochgeladen. Bitte noch einmal hochladen."),
    ),
    "too_many_unsent_files": Problem(
        409,
        ("You have too many files that were not sent", "Remove some from your drafts, or send them."),
        ("Zu viele Dateien, die nicht gesendet wurden", "Bitte einige aus den Entwürfen entfernen oder senden."),
    ),
    "uploads_busy": Problem(
        503,
        ("Too many uploads at once", "Please try again in a minute."),
        ("Zu viele Uploads zugleich", "Bitte in einer Minute noch einmal versuchen."),
    ),
    "upload_broken": Problem(
        400,
        ("The file did not arrive completely", "Upload it again."),
        ("Die Datei kam nicht vollständig an", "Bitte noch einmal hochladen."),
    ),
    "blobs_full": Problem(
        503,
        ("The file cannot be stored at the moment", "Please try again later. Our operators have been told."),
        ("Die Datei lässt sich gerade nicht speichern", "Bitte später noch einmal versuchen. Unser Betrieb ist informiert."),
    ),
    "send_at_impossible": Problem(
        422,
        ("The reply cannot be sent at this time", "Choose a time in the future, {days} days ahead at most."),
        ("Zu dieser Zeit kann die Antwort nicht gesendet werden", "Möglich ist eine Zeit in der Zukunft, höchstens {days} Tage voraus."),
    ),
    "reply_state": Problem(
        409,
        ("This is no longer possible", "The state of the reply is now “{state}”."),
        ("Das ist nicht mehr möglich", "Die Antwort ist inzwischen im Zustand „{state}“."),
    ),
    "draft_changed": Problem(
        412,
        ("The draft has changed on another device", "“draft” has its text. Decide which of the two to keep."),
        ("Der Entwurf wurde auf einem anderen Gerät geändert", "„draft“ hat dessen Text. Zu entscheiden ist, welcher der beiden bleiben soll."),
    ),
    "split_takes_all": Problem(
        422,
        ("Nothing would be left", "At least one message must stay in the conversation."),
        ("Es bliebe nichts übrig", "Mindestens eine Nachricht muss in der Unterhaltung bleiben."),
    ),
    "downloads_busy": Problem(
        503,
        ("Too many downloads at once", "Please try again in a minute."),
        ("Zu viele Downloads zugleich", "Bitte in einer Minute noch einmal versuchen."),
    ),
    "streams_exhausted": Problem(
        503,
        ("Live updates are not available just now", "Everything else works. Please try again in a minute."),
        ("Live-Aktualisierung ist gerade nicht möglich", "Alles andere funktioniert. Bitte in einer Minute noch einmal versuchen."),
    ),
    "host_invalid": Problem(
        422,
        ("This is not the name of a server", "Enter its full name in the public DNS, such as smtp.example.com, not an IP address."),
        ("Das ist nicht der Name eines Servers", "Nötig ist sein voller Name im öffentlichen DNS, etwa smtp.example.com, keine IP-Adresse."),
    ),
    "url_invalid": Problem(
        422,
        ("We cannot send to this address", "It must begin with https:// and contain no user, password or fragment."),
        ("An diese Adresse können wir nicht senden", "Möglich sind Adressen, die mit https:// beginnen und weder Benutzer noch Passwort noch Fragment enthalten."),
    ),
    "url_port_not_allowed": Problem(
        422,
        ("We do not send to this port", "Webhooks are sent to these ports: {ports}. Without a port in the address it is 443."),
        ("An diesen Port senden wir nicht", "Webhooks werden an diese Ports gesendet: {ports}. Ohne Port in der Adresse ist es 443."),
    ),
    "password_required": Problem(
        422,
        ("Enter the password again", "The stored password is only for the host, port and user name that it was entered for."),
        ("Das Passwort wird noch einmal gebraucht", "Das gespeicherte Passwort gilt nur für Server, Port und Benutzernamen, für die es eingegeben wurde."),
    ),
    "port_not_allowed": Problem(
        422,
        ("This port is not for submitting mail", "Choose one of these: {ports}."),
        ("Auf diesem Port gibt man keine Mail auf", "Möglich ist einer von diesen: {ports}."),
    ),
    "sender_invalid": Problem(
        422,
        ("This is not a sender address", "Enter a plain e-mail address such as shop@example.com."),
        ("Das ist keine Absenderadresse", "Nötig ist eine einfache E-Mail-Adresse, etwa shop@example.com."),
    ),
    "smtp_tests_busy": Problem(
        503,
        ("Too many tests at once", "Please try again in a minute."),
        ("Zu viele Tests zugleich", "Bitte in einer Minute noch einmal versuchen."),
    ),
    "outgoing_failed": Problem(
        502,
        ("We cannot reach the server", "Check its name and port, and whether it can be reached from the Internet: {reason}."),
        ("Wir erreichen den Server nicht", "Bitte Namen und Port prüfen, und ob er aus dem Internet erreichbar ist: {reason}."),
    ),
    "internal_error": Problem(
        500,
        ("Something went wrong on our side", "Please try again. If it keeps happening, this request's number is useful when you ask for help."),
        ("Bei uns ist etwas schiefgegangen", "Bitte noch einmal versuchen. Bleibt es dabei, hilft die Nummer dieses Vorgangs beim Nachfragen."),
    ),
    "key_file_unusable": Problem(
        500,
        ("The key file cannot be used", "{path} is missing, unreadable, or not a key file."),
        ("Die Schlüsseldatei ist nicht brauchbar", "{path} fehlt, ist nicht lesbar oder keine Schlüsseldatei."),
    ),
    "request_too_slow": Problem(
        408,
        ("The request took too long to arrive", "Send it again over a connection that is fast enough."),
        ("Die Anfrage kam zu langsam an", "Bitte noch einmal senden, über eine Verbindung, die schnell genug ist."),
    ),
    "database_unavailable": Problem(
        503,
        ("We cannot reach our data just now", "Nothing is lost. Please try again in a moment."),
        ("Wir erreichen unsere Daten gerade nicht", "Nichts ist verloren. Bitte gleich noch einmal versuchen."),
    ),
}  # fmt: skip


# What the API has codes for and a sentence has words for, by the name of an error's field; the codes stay in the fields of the answer.
_WORDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    # As the pages call them.
    "permission": {
        "general.admin": ("General → Admin", "Allgemein → Admin"),
        "general.programs": ("General → Webhooks and API keys", "Allgemein → Webhooks und API-Schlüssel"),
        "inbox.messages": ("Inbox → Messages", "Posteingang → Nachrichten"),
        "inbox.orders": ("Inbox → Orders", "Posteingang → Bestellungen"),
        "inbox.replies": ("Inbox → Replies", "Posteingang → Antworten"),
    },
    "level": {
        "none": ("none", "keine"),
        "view": ("view", "anzeigen"),
        "edit": ("view & edit", "anzeigen & bearbeiten"),
    },
    # Of a reply.
    "state": {
        "scheduled": ("scheduled", "geplant"),
        "queued": ("being sent", "wird gesendet"),
        "sending": ("being sent", "wird gesendet"),
        "handed_over": ("handed over to Amazon", "an Amazon übergeben"),
        "confirmed": ("delivered to the buyer", "beim Käufer angekommen"),
        "delayed": ("delayed", "verzögert"),
        "perhaps_sent": ("possibly sent", "vielleicht gesendet"),
        "failed": ("not delivered", "nicht zugestellt"),
        "canceled": ("not sent", "zurückgenommen"),
    },
    # Why a server is not reached.
    "reason": {
        "dns": ("no public server has this name", "kein öffentlicher Server heißt so"),
        "connect": ("it does not answer", "er antwortet nicht"),
        "tls": ("no secure connection is possible", "es kommt keine sichere Verbindung zustande"),
        "timeout": ("it took too long", "es hat zu lange gedauert"),
    },
}


def describe(code: str, language: Language, fields: dict[str, str | int]) -> tuple[int, str, str]:
    """Status, title and detail of a problem."""
    problem = PROBLEMS[code]
    title, detail = problem.de if language is Language.DE else problem.en
    return (
        problem.status,
        title,
        detail.format_map({name: _word(name, value, language) for name, value in fields.items()}),
    )


def _word(name: str, value: str | int, language: Language) -> str | int:
    words = _WORDS.get(name, {}).get(str(value))
    if words is None:
        return value
    english, german = words
    return german if language is Language.DE else english


def problem_body(
    code: str, language: Language, fields: dict[str, str | int] | None = None
) -> dict[str, object]:
    """The members of an RFC 9457 object."""
    status, title, detail = describe(code, language, fields or {})
    standard = {
        "type": f"{PROBLEMS_PATH}#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return (fields or {}) | standard


class NotFound(Expected):
    """There is nothing at this address that the caller may see; every room raises it for ids of other accounts, too."""

    code = "not_found"
