"""The languages that a message can be said to be in. What is in none of them for certain has no language."""

from typing import Final

# ISO 639-1; Portuguese from Brazil has its country (BCP 47).
MESSAGE_LANGUAGES: Final = (
    "ar", "cs", "da", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "pt-BR", "ru", "sv", "tr", "zh",
)  # fmt: skip
