"""Which texts a hurried person reads as Amazon's name, and which only have its letters."""

import tomllib
from importlib.resources import files

import pytest

from services.mailrelay.parsing.lookalikes import reads_amazon

LISTS = tomllib.loads(files("services.mailrelay.parsing").joinpath("lookalikes.toml").read_text("utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "Amazon",
        "AmazonSellerCentral",
        "amazonseller",
        "AMAZONSELLERSUPPORT",
        "sellercentralamazon",
        "myamazon24",
        "amazon_support",
        "Amazonのカスタマー",
        "A m a z o n",
        "A.m.a.z.o.n",
        "A  M  A  Z  O  N Support",
        "a-m-a-z-o-n",
        "A m a z o nService",
        "Ama-zon",
        "Ama zon Seller",
        "AmaZon",
        "Ama\u200bzon",
        "Ama\u00adzon",
        "Ama\u3164zon",
        "A\u0336m\u0336a\u0336z\u0336o\u0336n\u0336",
        "Àmâžøñ",
        "\u202enozamA",
        "АМАZОN",  # noqa: RUF001
        "Αmazon",  # noqa: RUF001
        "\N{FULLWIDTH LATIN CAPITAL LETTER A}mazon",
        "𝐀𝐦𝐚𝐳𝐨𝐧",  # noqa: RUF001
        "ⓐⓜⓐⓩⓞⓝ",
        "ᴀᴍᴀᴢᴏɴ",
        "Amaz0n",
        "Arnazon",
        "4m4z0n",
        "Am@zon Kundenservice",
        "@mazon",
        "Amazon@home",
        "🅰🅼🅰🆉🅾🅽",
        "ᗩᗰᗩᘔOᑎ",  # noqa: RUF001
        "ᎪᎷᎪᏃᎾN",  # noqa: RUF001
        "AMAZOИ",
        "Amaзon",
        "Ama3on",
        "Amaz°n",
        "Aʾmazon",  # noqa: RUF001
        "アマゾン",
        "ｱﾏｿﾞﾝ カスタマーサービス",
        "亚马逊客服",
        "아마존 고객센터",
        "Служба Амазона",
        "خدمة أمازون",
        "अमेज़न सेवा",
    ],
)
def test_what_reads_amazon(text: str):
    assert reads_amazon(text)


@pytest.mark.parametrize(
    "text",
    [
        "Amazonas Reisen GmbH",
        "AmazonasReisen",
        "Amazonia",
        "Amazonien erleben",
        "amazonite-jewels",
        "Amazone",
        "Diana Mazon",
        "Ana Mazon",
        "Mama Zone",
        "mamazone",
        "Ama Zongo",
        "Ramazan Onur",
        "Kim",
        "",
        "Ramazon Aliyev",
        "Dilnoza Ramazonova",
        "アマゾン川の本屋",
        "亚马逊雨林",
        "Амазонка",
        "Амазония",
        "Amira@maz.example",
    ],
)
def test_what_only_has_its_letters(text: str):
    assert not reads_amazon(text)


def test_every_letter_of_the_lists_is_seen_through():
    entries = [
        (letter, alike)
        for which in ("unicode", "others")
        for letter, found in LISTS[which].items()
        for alike in found
    ]
    assert len(entries) > 100

    assert [alike for letter, alike in entries if not reads_amazon("amazon".replace(letter, alike, 1))] == []
    assert [
        alike for letter, alike in entries if not reads_amazon("AMAZON".replace(letter.upper(), alike))
    ] == []
