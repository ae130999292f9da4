"""The state of a store in one sentence, German and English. A text may name {countries} and {title}, that of the check that wants action first."""

from functools import lru_cache
from typing import Final

from services.connector.http.language import Language
from services.connector.http.reading import Reading
from services.connector.integrations.check_texts import title_of
from services.connector.integrations.health import CheckState
from services.connector.marketplaces.countries import country_name
from shared.tables import Summary

# More countries than these are counted, not named.
_NAMED: Final = 4
# Nobody knows yet in which countries the store sells.
_COUNTRIES_UNKNOWN: Final = {
    Language.DE: "In welchen Ländern der Store verkauft, ist noch nicht bekannt.",
    Language.EN: "It is not known yet in which countries the store sells.",
}
_ATTENTION: Final = {Language.DE: "{text} Achtung: {title}.", Language.EN: "{text} Note: {title}."}
_MORE: Final = {Language.DE: "{number} weitere Länder", Language.EN: "{number} more countries"}
_TEXTS: Final = {
    Summary.PAUSED: {
        Language.DE: "Pausiert. Post von Amazon wird weiter angenommen, alles andere ruht.",
        Language.EN: "Paused. Mail from Amazon is still accepted, everything else is on hold.",
    },
    Summary.ACTION_NEEDED: {
        Language.DE: "Bitte handeln: {title}.",
        Language.EN: "Action needed: {title}.",
    },
    Summary.UNNAMED: {
        Language.DE: "Der Name fehlt noch. Mit ihm bekommt der Store seine Adresse.",
        Language.EN: "It has no name yet. Once it has one, the store gets its address.",
    },
    Summary.SETUP_OPEN: {
        Language.DE: "Es fehlen noch Schritte für {countries}.",
        Language.EN: "Steps are still open for {countries}.",
    },
    Summary.NO_MESSAGE: {
        Language.DE: "Eingerichtet, noch keine Nachricht.",
        Language.EN: "Set up, but no message yet.",
    },
    Summary.ADDRESS_CONFIRMED: {
        Language.DE: "Eingerichtet: Amazon kennt die Adresse. Noch keine Nachricht eines Käufers.",
        Language.EN: "Set up: Amazon knows the address. No buyer's message yet.",
    },
    Summary.COUNTRIES_OPEN: {
        Language.DE: "Nachrichten kommen an. Für {countries} fehlt noch die Einrichtung.",
        Language.EN: "Messages arrive. Setup is not finished for {countries} yet.",
    },
    Summary.WORKING: {
        Language.DE: "Nachrichten kommen an.",
        Language.EN: "Messages arrive.",
    },
}


@lru_cache(maxsize=2048)
def summary_text(
    summary: Summary, countries: tuple[str, ...], worst_check: str | None, reading: Reading
) -> str:
    """The sentence; with the check that wants action first, unless the sentence says the same already."""
    language = reading.language
    if summary is Summary.SETUP_OPEN and not countries:
        return _COUNTRIES_UNKNOWN[language]
    is_red = summary is Summary.ACTION_NEEDED
    state = CheckState.RED if is_red else CheckState.AMBER
    title = title_of(worst_check, language, state) if worst_check else ""
    text = _TEXTS[summary][language].format(countries=_listed(countries, reading), title=title)
    if title and not is_red and worst_check != "mail_first":
        return _ATTENTION[language].format(text=text, title=title)
    return text


def _listed(countries: tuple[str, ...], reading: Reading) -> str:
    names = [country_name(country, reading.language) for country in countries]
    if len(names) > _NAMED:
        rest = len(names) - (_NAMED - 1)
        names = [*names[: _NAMED - 1], _MORE[reading.language].format(number=rest)]
    return reading.listed(names)
