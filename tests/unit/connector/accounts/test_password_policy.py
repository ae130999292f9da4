"""What may become a password."""

import pytest

from services.connector.accounts.password_policy import check_password
from shared.errors import Expected


def _verdict(password: str, *, name: str = "Erika Beispiel", email: str = "buero@seller.example") -> str:
    try:
        check_password(password, name=name, email=email)
    except Expected as refused:
        return refused.code
    return "ok"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "vier Lampen im Keller",
        "Übermorgen regnet es?",
        "k7#qP2v!xW9z",
        "雨の日は家で本を読みますとも",
        "x" + "qwzrtpsdfghjkl" * 9,
    ],
)
def test_long_and_uncommon_is_enough(password: str):
    assert _verdict(password) == "ok"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("k7#qP2v!xW9", "password_too_short"),
        # Twelve signs as they are typed, eleven letters.
        ("u\u0308ber" + "k7#qP2v", "password_too_short"),
        ("ab" * 65, "password_too_long"),
        ("beispielhaft gut", "password_holds_name"),
        ("ERIKA mag Lampen", "password_holds_name"),
        ("das Buero ist zu", "password_holds_name"),
        ("password1234", "password_leaked"),
        ("PASSWORD!!!!", "password_leaked"),
        ("Passwort2026!", "password_leaked"),
        ("passwordpassword", "password_leaked"),
        ("dragon2024!!", "password_leaked"),
        ("123456789012", "password_leaked"),
        ("aaaaaaaaaaaa", "password_leaked"),
        ("abcabcabcabc", "password_leaked"),
        # As wide letters, which a Japanese keyboard types.
        ("".join(chr(ord(sign) + 0xFEE0) for sign in "password1234"), "password_leaked"),
    ],
)  # fmt: skip
def test_the_others_are_refused_by_name(password: str, code: str):
    assert _verdict(password) == code


def test_short_names_are_part_of_too_many_words():
    assert _verdict("die Kimme am Zaun", name="Kim", email="i@seller.example") == "ok"
