"""What is told of a test."""

from services.connector.http.language import Language
from services.connector.smtp.check_texts import text_of
from shared.tables import SmtpCheck


def test_every_result_has_a_text_in_both_languages():
    for result in SmtpCheck:
        english, german = text_of(result, Language.EN), text_of(result, Language.DE)
        assert english.title != german.title
        assert all(text.cure.endswith(".") for text in (english, german))
