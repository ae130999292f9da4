"""Names of countries, as people in Germany and in English-speaking countries write them."""

from collections.abc import Iterable, Mapping
from functools import cache

from babel import Locale
from pydantic import BaseModel, ConfigDict

from services.connector.http.language import Language
from shared.marketplaces import BY_COUNTRY


@cache
def _names(language: Language) -> Mapping[str, str]:
    """Of the countries of our table. Loaded when they are asked for: it takes some 40 ms a language."""
    territories = Locale(language).territories
    return {country: territories[country] for country in BY_COUNTRY}


class CountryAnswer(BaseModel):
    """A country with its name in the caller's language."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"country": "DE", "name": "Germany"}]}
    )

    country: str
    name: str


def country_name(country: str, language: Language) -> str:
    """The country's name; `country` is one of our table of marketplaces."""
    return _names(language)[country]


def country_answers(countries: Iterable[str], language: Language) -> list[CountryAnswer]:
    """The countries with their names, in the order given."""
    return [CountryAnswer(country=country, name=country_name(country, language)) for country in countries]
