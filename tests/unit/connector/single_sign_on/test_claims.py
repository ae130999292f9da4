"""What a provider's claims mean here."""

from typing import Any

import pytest

from services.connector.single_sign_on.claims import (
    LevelRule,
    email_of,
    had_two_factors,
    is_email_verified,
    language_of,
    levels_by_claim,
    methods_of,
    name_of,
    rules_of,
    stored_rules,
    values_of,
    with_told,
)
from shared.permissions import Level, Permission

RULES = [
    LevelRule("support", {Permission.INBOX_MESSAGES: Level.EDIT}),
    LevelRule("it", {Permission.GENERAL_ADMIN: Level.EDIT, Permission.INBOX_MESSAGES: Level.VIEW}),
]
LEAST = {Permission.INBOX_ORDERS: Level.VIEW}


@pytest.mark.parametrize(
    ("groups", "admin", "messages"),
    [
        (["support", "it"], Level.EDIT, Level.EDIT),
        (["it"], Level.EDIT, Level.VIEW),
        ("support", Level.NONE, Level.EDIT),
        (["Support", "IT"], Level.NONE, Level.NONE),
        ([], Level.NONE, Level.NONE),
        (None, Level.NONE, Level.NONE),
        ({"support": True}, Level.NONE, Level.NONE),
        ([["support"], 5, None], Level.NONE, Level.NONE),
    ],
)
def test_of_all_rules_that_fit_the_highest_level_counts(groups: Any, admin: Level, messages: Level):
    levels = levels_by_claim({"groups": groups}, "groups", RULES, LEAST)

    assert levels[Permission.GENERAL_ADMIN] is admin
    assert levels[Permission.INBOX_MESSAGES] is messages
    assert levels[Permission.INBOX_ORDERS] is Level.VIEW
    assert Permission.INBOX_REPLIES not in levels


def test_rules_are_stored_and_read_alike():
    assert rules_of(stored_rules(RULES)) == RULES


@pytest.mark.parametrize(
    ("claims", "claim", "values"),
    [
        ({"realm_access": {"roles": ["a", "b"]}}, "realm_access.roles", ["a", "b"]),
        ({"https://x.example/roles": ["a"]}, "https://x.example/roles", ["a"]),
        ({"a.b": "exact", "a": {"b": "within"}}, "a.b", ["exact"]),
        ({"a": "text"}, "a.b", []),
        ({}, "groups", []),
    ],
)
def test_a_claim_may_lie_within_another(claims: dict[str, Any], claim: str, values: list[str]):
    assert values_of(claims, claim) == values


def test_no_more_values_are_looked_at_than_a_person_can_have():
    assert len(values_of({"groups": ["x"] * 5_000}, "groups")) == 1_000


@pytest.mark.parametrize(
    ("email", "found"),
    [
        ("Erika@Example.com", "Erika@Example.com"),
        (" erika@example.com", "erika@example.com"),
        ("erika@localhost", None),
        ("a@b@example.com", None),
        ("erika@example.com,max@example.com", None),
        ("erika\x00@example.com", None),
        ("eri\u212aa@example.com", None),
        ("erika@e\u017fample.com", None),
        ("j\u00f6rg@example.com", None),
        ("x" * 250 + "@example.com", None),
        (5, None),
        (None, None),
    ],
)
def test_an_address_is_a_plain_one(email: Any, found: str | None):
    assert email_of({"email": email}) == found


@pytest.mark.parametrize(
    ("value", "is_verified"),
    [
        (True, True),
        ("true", True),
        ("false", False),
        (False, False),
        (1.5, False),
        ("yes", False),
        (None, False),
    ],
)
def test_verified_is_what_is_said_to_be(value: Any, is_verified: bool):
    assert is_email_verified({"email_verified": value}) is is_verified


@pytest.mark.parametrize(
    ("claims", "told", "email", "is_verified"),
    [
        ({}, {"email": "a@b.example", "email_verified": True}, "a@b.example", True),
        ({"email_verified": True}, {"email": "a@b.example"}, "a@b.example", False),
        ({"email": "a@b.example"}, {"email": "c@d.example", "email_verified": True}, "a@b.example", False),
        (
            {"email": "a@b.example", "email_verified": True},
            {"email": "c@d.example", "email_verified": False},
            "a@b.example",
            True,
        ),
    ],
)
def test_verified_is_the_address_beside_which_it_is_said(
    claims: dict[str, Any], told: dict[str, Any], email: str, is_verified: bool
):
    whole = with_told(claims, {**told, "groups": ["it"]})

    assert (email_of(whole), is_email_verified(whole), whole["groups"]) == (email, is_verified, ["it"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  Erika \n Beispiel ", "Erika Beispiel"),
        ("", "erika"),
        (None, "erika"),
        ("x" * 101, "erika"),
        ("a\u202eb", "erika"),
    ],
)
def test_a_name_is_fit_to_be_shown(name: Any, shown: str):
    assert name_of({"name": name}, "erika@example.com") == shown


@pytest.mark.parametrize(
    ("locale", "language"), [("de-AT", "de"), ("en-GB", "en"), ("fr", "en"), (None, "de"), (5, "de")]
)
def test_the_language_is_german_unless_they_speak_another(locale: Any, language: str):
    assert language_of({"locale": locale}) == language


@pytest.mark.parametrize(
    ("amr", "two"),
    [
        (["mfa"], True),
        (["pwd", "otp"], True),
        (["pwd", "hwk"], True),
        (["pwd"], False),
        (["otp"], False),
        (["pwd", "kba"], False),
        ("pwd otp", False),
        ([], False),
        (["MFA"], False),
    ],
)
def test_two_factors_are_something_known_and_something_owned(amr: Any, two: bool):
    assert had_two_factors(methods_of({"amr": amr})) is two


def test_unknown_words_are_not_repeated():
    assert methods_of({"amr": ["pwd", "<script>", "erika@example.com"]}) == ["pwd"]
