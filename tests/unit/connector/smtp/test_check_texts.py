"""What is told of a test."""

from services.connector.language import Language
from services.connector.smtp.check_texts import text_of
from shared.tables import SmtpCheck


def test_every_result_has_a_text_in_both_languages():
    for result in SmtpCheck:
        english, german = text_of(result, Language.EN), text_of(result, Language.DE)
        assert english.title != german.title
        assert all(text.cure.endswith(".") for text in (english, german))


def test_a_name_that_leads_inside_is_told_like_one_that_does_not_exist():
    """# S: same message for what is refused and what is not there"""
    for language in Language:
        assert text_of(SmtpCheck.FORBIDDEN, language) == text_of(SmtpCheck.DNS, language)
