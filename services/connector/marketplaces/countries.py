"""Names of countries, as people in Germany and in English-speaking countries write them."""

from collections.abc import Iterable
from typing import Final

from babel import Locale
from pydantic import BaseModel, ConfigDict

from services.connector.http.language import Language
from shared.marketplaces import BY_COUNTRY

_NAMES: Final[dict[Language, dict[str, str]]] = {
    language: {country: Locale(language).territories[country] for country in BY_COUNTRY}
    for language in Language
}


class CountryAnswer(BaseModel):
    """A country with its name in the caller's language."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"country": "DE", "name": "Germany"}]}
    )

    country: str
    name: str


def country_name(country: str, language: Language) -> str:
    """The country's name; `country` is one of our table of marketplaces."""
    return _NAMES[language][country]


def country_answers(countries: Iterable[str], language: Language) -> list[CountryAnswer]:
    """The countries with their names, in the order given."""
    return [CountryAnswer(country=country, name=country_name(country, language)) for country in countries]
