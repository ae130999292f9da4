"""Amazon's error codes in plain words."""

import pytest

from services.connector.authorization.consent_errors import CONSENT_ERRORS, ConsentError
from services.connector.http.language import Language

# What Amazon documents, and what integrators have reported.
SEEN = {
    "MD1000", "MD4010", "MD4100", "MD5100", "MD5101", "MD5110", "MD9100", "MD9999", "SPDC8143", "SPSA0404", "SPSA2043",
    "CONSENT_LIMIT_REACHED",
}  # fmt: skip


def test_every_code_that_was_seen_is_explained_once():
    codes = [error.code for error in CONSENT_ERRORS]

    assert set(codes) >= SEEN
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", CONSENT_ERRORS, ids=lambda error: error.code)
def test_each_says_in_both_languages_what_it_is_and_what_to_do(error: ConsentError):
    for language in Language:
        title, cure = error.texts[language]
        assert title
        assert cure.endswith(".")
        assert "REPLYCO_" not in cure
