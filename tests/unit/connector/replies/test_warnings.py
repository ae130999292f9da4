"""What a reply holds that Amazon forbids, by examples in German and English of each rule, and of what only looks like it."""

from time import process_time

import pytest

from services.connector.replies.warnings import MOST_EXCERPTS, Rule, warnings_of

HARMLESS = [
    "Guten Tag, Ihre Lampe ist unterwegs und kommt am 3. Dezember an.",
    "Guten Tag Frau Beispiel,\n\ndie Sendung 00340434161094015902 liegt in der Filiale, z.B. morgen ab 9.30 Uhr.\n\nViele Grüße",
    "Die Bestellung 303-1234567-1234567 vom 10.12.2026 kostet 1.299,00 EUR, die Lampe hat 40 x 60 cm.",
    "Sie finden die Rechnung unter https://www.amazon.de/gp/css/order-history im Kundenkonto.",
    "Der Akku hält 10.000 mAh. Laden Sie ihn bitte 3-5 Stunden.",
    "Das Paket kam an.Es war beschädigt.Wir schicken ein neues.",
    "Wir haben Ihnen 5 EUR erstattet; die Bewertung der Retoure dauert zwei Tage.",
    "Die ISBN ist 978-3-16-148410-0, die EAN 4006381333931.",
    "Preis < 20 EUR und Gewicht > 3 kg, a<b, x <- y, 3 & 4, AT&T",
    "Good afternoon, your lamp is on its way and arrives on 3 December.",
    "Please see https://sellercentral.amazon.com/help and www.amazon.co.uk/returns for the return label.",
    "We are sorry. Please send the lamp back; we refund the full price within 14 days.",
    "The parcel 1Z999AA10123456784 was left at no. 12 on 12/03/2026 at 10:45.",
    "The logotherapy book and the Lego set are two parcels.",
]

BROKEN: list[tuple[Rule, str, str]] = [
    (Rule.LINK_OUTSIDE_AMAZON, "Mehr dazu auf https://lampenladen.de/hilfe.", "https://lampenladen.de/hilfe"),
    (Rule.LINK_OUTSIDE_AMAZON, "Mehr dazu auf lampenladen.de", "lampenladen.de"),
    (Rule.LINK_OUTSIDE_AMAZON, "Mehr: WWW.LAMPENLADEN.DE!", "WWW.LAMPENLADEN.DE"),
    (Rule.LINK_OUTSIDE_AMAZON, "See http://192.0.2.7/manual.pdf", "http://192.0.2.7/manual.pdf"),
    (Rule.LINK_OUTSIDE_AMAZON, "See //lamps.shop/a", "//lamps.shop/a"),
    (Rule.LINK_OUTSIDE_AMAZON, "See https://amazon.de.lamps.shop/", "https://amazon.de.lamps.shop/"),
    (Rule.LINK_OUTSIDE_AMAZON, "See https://www.amazon.de@lamps.shop/", "https://www.amazon.de@lamps.shop/"),
    (Rule.LINK_OUTSIDE_AMAZON, "See https://notamazon.de", "https://notamazon.de"),
    (
        Rule.LINK_OUTSIDE_AMAZON,
        "Tracking: https://www.dhl.de/de?piececode=1",
        "https://www.dhl.de/de?piececode=1",
    ),
    (Rule.LINK_OUTSIDE_AMAZON, "Schauen Sie auf müller-lampen.de", "müller-lampen.de"),
    # What was copied from elsewhere has signs in it that nobody sees.
    (Rule.LINK_OUTSIDE_AMAZON, "See https://lamps\u200b.sh\u00adop", "https://lamps.shop"),
    (Rule.PHONE_NUMBER, "Call \u202a+44 20\u200b 7946 0958\u202c any time", "+44 20 7946 0958"),
    (Rule.EMAIL_ADDRESS, "Schreiben Sie an hilfe@lampenladen.de.", "hilfe@lampenladen.de"),
    (Rule.EMAIL_ADDRESS, "Write to mailto:help@lamps.com", "mailto:help@lamps.com"),
    (Rule.EMAIL_ADDRESS, "Schreiben Sie an hilfe (at) lampenladen.de", "hilfe (at) lampenladen.de"),
    (Rule.EMAIL_ADDRESS, "hilfe[ät]lampenladen punkt de", "hilfe[ät]lampenladen punkt de"),
    (Rule.EMAIL_ADDRESS, "help [at] lamps (dot) com", "help [at] lamps (dot) com"),
    (Rule.PHONE_NUMBER, "Rufen Sie an: 030 / 1234567", "030 / 1234567"),
    (Rule.PHONE_NUMBER, "Mobil 0171-2345678", "0171-2345678"),
    (Rule.PHONE_NUMBER, "Call +44 20 7946 0958 any time", "+44 20 7946 0958"),
    (Rule.PHONE_NUMBER, "Tel.: (089) 12345678", "(089) 12345678"),
    (Rule.PROMOTION, "Hier ein Rabattcode: LAMPE10", "Rabattcode"),
    (Rule.PROMOTION, "Abonnieren Sie unseren Newsletter", "Newsletter"),
    (Rule.PROMOTION, "Bestellen Sie doch lieber direkt bei uns", "Bestellen Sie doch lieber direkt bei uns"),
    (Rule.PROMOTION, "Besuchen Sie unseren Laden", "Besuchen Sie unseren"),
    (Rule.PROMOTION, "You get 10% off your next order.", "off your next order"),
    (Rule.PROMOTION, "Visit our\nshop in town", "Visit our"),
    (Rule.PROMOTION, "It is cheaper if you buy the lamp directly from us", "buy the lamp directly from us"),
    (Rule.PROMOTION, "FOLLOW US ON social media", "FOLLOW US ON"),
    (Rule.REVIEW_REQUEST, "Bitte bewerten Sie uns.", "bewerten Sie"),
    (Rule.REVIEW_REQUEST, "Über 5 Sterne würden wir uns freuen", "5 Sterne"),
    (
        Rule.REVIEW_REQUEST,
        "Hinterlassen Sie uns gern eine Bewertung",
        "Hinterlassen Sie uns gern eine Bewertung",
    ),
    (Rule.REVIEW_REQUEST, "Bitte Ihre Bewertung wieder entfernen", "Bewertung wieder entfernen"),
    (Rule.REVIEW_REQUEST, "Please leave us a nice review!", "leave us a nice review"),
    (Rule.REVIEW_REQUEST, "Could you remove your negative feedback?", "remove your negative feedback"),
    (Rule.REVIEW_REQUEST, "A 5-star rating helps us", "5-star"),
    (Rule.HTML, "Das ist <b>wichtig</b>", "<b>"),
    (Rule.HTML, 'Bild: <img src="x.png">', '<img src="x.png">'),
    (Rule.HTML, "Zeile<br/>Zeile", "<br/>"),
    (Rule.HTML, "Grüße&nbsp;aus", "&nbsp;"),
    (Rule.HTML, "<!-- hidden -->", "<!--"),
]


@pytest.mark.parametrize("text", HARMLESS)
def test_an_ordinary_answer_warns_of_nothing(text: str):
    assert warnings_of(text, ["rechnung.pdf", "katalogo.png"], country="DE", buyer_language=None) == []


@pytest.mark.parametrize(("rule", "text", "excerpt"), BROKEN)
def test_each_rule_names_the_place(rule: Rule, text: str, excerpt: str):
    found = {each.rule: each.excerpts for each in warnings_of(text, [], country="DE", buyer_language=None)}

    assert found.get(rule, ("",))[0] == excerpt, found


@pytest.mark.parametrize("name", ["logo.png", "Logo_neu.jpg", "unser-LOGO (1).png", "lamps logotype.gif"])
def test_a_logo_is_told_by_the_name_of_its_file(name: str):
    [found] = warnings_of("Guten Tag", [name], country="DE", buyer_language=None)

    assert (found.rule, found.excerpts) == (Rule.LOGO, (name,))


@pytest.mark.parametrize(
    ("text", "buyer_language", "warned"),
    [
        ("Good afternoon, your lamp is on its way and arrives tomorrow.", "de", ("en", "de")),
        ("Guten Tag, Ihre Lampe ist unterwegs und kommt morgen an.", "fr", ("de", "fr")),
        ("Guten Tag, Ihre Lampe ist unterwegs und kommt morgen an.", "de", None),
        ("Olá, a sua encomenda foi enviada ontem e chega amanhã.", "pt-BR", None),
        ("Guten Tag, Ihre Lampe ist unterwegs und kommt morgen an.", None, None),
        ("OK, danke!", "en", None),
        ("303-1234567-1234567 303-1234567-1234567 303-1234567-1234567", "en", None),
    ],
)
def test_another_language_than_the_buyers(
    text: str, buyer_language: str | None, warned: tuple[str, str] | None
):
    found = [each.languages for each in warnings_of(text, [], country="DE", buyer_language=buyer_language)]

    assert found == ([] if warned is None else [warned])


def test_without_a_country_only_numbers_with_their_own_are_seen():
    text = "030 / 1234567 oder +49 30 1234567"

    [found] = warnings_of(text, [], country=None, buyer_language=None)

    assert (found.rule, found.excerpts) == (Rule.PHONE_NUMBER, ("+49 30 1234567",))


def test_what_is_shown_of_a_rule_is_bounded():
    text = " ".join(f"https://lampen{number}.de/{'x' * 300}" for number in range(50))

    [found] = warnings_of(text, [], country="DE", buyer_language=None)

    assert len(found.excerpts) == MOST_EXCERPTS
    assert max(map(len, found.excerpts)) <= 80


@pytest.mark.parametrize(
    "piece",
    [
        "a@",
        "a.",
        "http://",
        "030 1",
        "+49",
        "<b ",
        "&#",
        "hinterlassen Sie ",
        "x (at) ",
        "((((",
        "1-",
        "www.",
        "\U0001f600",
        "ä",
        "\n",
    ],
)
def test_no_text_takes_long(piece: str):
    """The time grows with the length, and no faster."""

    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        began = process_time()
        warnings_of(text, [], country="DE", buyer_language="de")
        return process_time() - began

    seconds(100)
    assert seconds(16_000) < 40 * max(seconds(2_000), 0.005)
