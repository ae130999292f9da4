"""A reply says something of its own, or is refused as empty."""

import pytest

from services.connector.replies.own_words import says_something


@pytest.mark.parametrize(
    "text",
    [
        "Guten Tag",
        "👍",
        "?",
        "> Wann kommt sie?\nMorgen.",
        "Morgen.\n\nAm 3.12. schrieb Erika:\n> Wann kommt sie?",
        "Die Maße:",
        "Die Maße:\n40 x 60",
        "> Wann?\nDie Antwort lautet:\n\u200b",
        "明日届きます",
    ],
)
def test_there_is_something_to_read(text: str):
    assert says_something(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t\u00a0\u3000",
        "\u200b\u2060\ufeff",
        "\u202e\u202c",
        "> Wann?",
        "  >> Wann?\n\n> Oder?",
        "| Wann?",
        "On 3 Dec, Erika wrote:\n> When?",
        "Am 3.12. schrieb Erika:\n\n\n> Wann?\n>\n",
    ],
)
def test_there_is_nothing_but_what_the_buyer_wrote(text: str):
    assert not says_something(text)
