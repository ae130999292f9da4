"""What is taken from a mail for certain, and what is left alone because it is not."""

import pytest

from services.mailrelay.parsing.mail import MailKind, ParsedMail, parse_unguarded
from services.mailrelay.parsing.recognition import find_thread_id

FRAMED = "# 302-1234567-7654321:\r\n1 / Lampe{asin}\r\n\r\n------------- Nachricht: -------------\r\n\r\n{text}\r\n\r\n------------- Ende der Nachricht -------------\r\n\r\nCopyright\r\n"
QUOTE = "Am 3.11.2026 um 10:00 schrieb Shop <shop@marketplace.amazon.de>:\n> Guten Tag,\n>\n> gern."


def mail(text: str, *, headers: str = "", sender: str = "kim4711@marketplace.amazon.de") -> ParsedMail:
    return parse_unguarded(f"From: Kim <{sender}>\r\nSubject: x\r\n{headers}\r\n{text}".encode())


def framed(text: str, *, asin: str = "", headers: str = "") -> ParsedMail:
    return mail(FRAMED.format(text=text.replace("\n", "\r\n"), asin=asin), headers=headers)


def test_words_out_of_a_frame_are_an_excerpt():
    understood = framed("Hallo")

    assert (understood.text, understood.is_excerpt) == ("Hallo", True)


def test_an_unknown_frame_is_shown_whole_with_its_history():
    understood = mail(f"Hallo\n\n{QUOTE}")

    assert (understood.text, understood.is_excerpt, understood.quoted_text) == (
        f"Hallo\n\n{QUOTE}",
        False,
        None,
    )


def test_a_frame_around_nothing_is_shown_whole():
    understood = framed("")

    assert not understood.is_excerpt
    assert "302-1234567-7654321" in understood.text


def test_a_frame_around_nothing_but_a_file_is_an_excerpt():
    parts = "--b\r\n\r\n{}\r\n--b\r\nContent-Type: image/png; name=a.png\r\n\r\nx\r\n--b--\r\n"
    understood = mail(
        parts.format(FRAMED.format(text="", asin="")),
        headers="Content-Type: multipart/mixed; boundary=b\r\n",
    )

    assert (understood.text, understood.is_excerpt, len(understood.attachments)) == ("", True, 1)


def test_history_below_the_words_is_taken_off():
    understood = framed(f"Danke!\n\n{QUOTE}")

    assert (understood.text, understood.quoted_text) == ("Danke!", QUOTE)


@pytest.mark.parametrize(
    "introduction",
    [
        "Am 3.11.2026 um 10:00 schrieb\nShop <shop@marketplace.amazon.de>:",
        "On Tue, Nov 3, 2026 at 10:00 AM\nShop <\nshop@marketplace.amazon.de> wrote:",
    ],
)
def test_an_introduction_may_be_broken_in_lines(introduction: str):
    assert framed(f"Danke!\n\n{introduction}\n\n> gern.").text == "Danke!"


@pytest.mark.parametrize(
    "text",
    [
        f"{QUOTE}\n\nGern.",
        f"{QUOTE}",
        "Danke!\n\n> Guten Tag,\n> gern.",
        "Danke!\n\nJemand schrieb mir das hier\n> gern.",
        "Danke!\n\nAm Montag schrieb ich Ihnen:\nnichts",
        "Danke!\n\n-----Original Message-----\nDas stand da.",
        "Danke!\n\n-----Original Message-----\nhallo\nFrom: Kim\nTo: Shop",
        "-----Original Message-----\nFrom: Kim\nTo: Shop",
    ],
)
def test_what_is_no_history_for_certain_stays(text: str):
    understood = framed(text)

    assert (understood.text, understood.quoted_text) == (text, None)


def test_header_of_an_older_mail_begins_the_history():
    understood = framed("Danke!\n\n----- Original Message -----\n\nVon: Shop\nBetreff: Lampe\n\nGuten Tag")

    assert understood.text == "Danke!"
    assert (understood.quoted_text or "").endswith("Guten Tag")


@pytest.mark.parametrize(
    "shape", [" [ASIN: B0TEST0001]", " (ASIN : B0TEST0001)", " https://www.amazon.de/Lampe-rot/dp/B0TEST0001?th=1"]
)  # fmt: skip
def test_product_is_read_from_amazons_part(shape: str):
    assert framed("Hallo", asin=shape).asin == "B0TEST0001"


def test_a_product_that_the_buyer_names_is_not_the_mails():
    assert framed("Passt auch https://www.amazon.de/dp/B0TEST0002, ASIN: B0TEST0003?").asin is None


def test_of_several_products_none_is_guessed():
    assert framed("Hallo", asin=" [ASIN: B0TEST0001]\r\n1 / Birne [ASIN: B0TEST0002]").asin is None


def test_a_link_to_another_shop_is_no_product():
    assert framed("Hallo", asin=" https://www.amazon.de.evil.example/dp/B0TEST0001").asin is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Bitte schicken Sie mir eine neue Lampe.", "de"),
        ("この商品はまだありますか。", "ja"),
        ("ok, この商品はまだありますか", "ja"),
        ("متى يصل الطلب؟", "ar"),
        ("Où est la commande que vous avez envoyée ?", "fr"),
        ("你好 请问什么时候发货", "zh"),
        ("4711", None),
        ("Kim Muster", None),
    ],
)
def test_language_of_a_stranger_is_told_by_their_words(text: str, language: str | None):
    assert mail(text, sender="kim@mail.example").language == language


def test_own_words_alone_tell_the_language_of_a_buyer():
    assert framed("Where is my parcel? Thanks for your help").language == "en"
    assert framed(f"Where is my parcel? Thanks for your help\n\n{QUOTE}").language == "en"
    assert framed(f"{QUOTE}\n\nWhere is my parcel? Thanks for your help").language == "en"
    # The frame and the subject are German.
    assert (
        mail(FRAMED.format(text="4711", asin=""), headers="Subject: Frage von einem Kunden\r\n").language
        is None
    )


def test_portuguese_in_brazil_is_named_so():
    sender = "kim4711@marketplace.amazon.com.br"

    assert mail("Olá, muito obrigado pela ajuda", sender=sender).language == "pt-BR"
    assert mail("Olá, muito obrigado pela ajuda", sender="kim4711@marketplace.amazon.es").language == "pt"


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied\r\n",
        "Auto-Submitted: auto-replied (vacation); owner-email=x\r\n".replace(" (vacation)", ""),
        "X-Autoreply: yes\r\n",
        "X-Autorespond: vacation\r\n",
        "Precedence: auto_reply\r\n",
        "Auto-Submitted: auto-generated\r\nX-A: b\r\n",
    ],
)
def test_a_program_that_says_so_makes_an_auto_reply(headers: str):
    understood = framed("Ich bin nicht erreichbar.", headers=headers)

    assert understood.kind is MailKind.AUTO_REPLY


@pytest.mark.parametrize(
    "headers",
    ["Auto-Submitted: no\r\n", "Auto-Submitted: auto-generated\r\n", "Precedence: bulk\r\n", "X-Autoreply: no\r\n"],
)  # fmt: skip
def test_one_weak_sign_leaves_a_question_a_question(headers: str):
    assert framed("Wo ist die Lampe?", headers=headers).kind is MailKind.BUYER_MESSAGE


def report(fields: str) -> ParsedMail:
    return parse_unguarded(
        b"From: Mail <MAILER-DAEMON@mx.example>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\n\r\nnot delivered\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        + fields.encode()
        + b"\r\n--b--\r\n"
    )


def test_what_the_other_server_said_tells_more_than_its_status():
    said = "Action: failed\r\nStatus: 5.7.1\r\nDiagnostic-Code: smtp; 550 5.7.1 shop@x.example is not an approved sender"

    assert report(said).failure_reason == "sender_not_approved"


def test_a_report_of_several_recipients_is_about_the_one_that_failed():
    understood = report(
        "Action: delivered\r\nStatus: 2.0.0\r\n\r\nAction: failed\r\nStatus: 5.1.1 (unknown)\r\n"
    )

    assert (understood.kind, understood.failure_reason) == (MailKind.DELIVERY_FAILURE, "address_unknown")


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_a_report_that_tells_of_no_failure_asks_for_nothing(action: str):
    assert report(f"Action: {action}\r\nStatus: 4.4.1").kind is MailKind.AUTO_REPLY


def test_a_report_that_tells_nothing_is_a_failure_without_a_reason():
    understood = report("Status: 5.1.1")

    assert (understood.kind, understood.failure_reason) == (MailKind.DELIVERY_FAILURE, None)


def test_the_mail_that_is_returned_or_answered_is_named_before_its_thread_and_the_newest_of_that_first():
    thread = " ".join(f"<{number}@x>" for number in range(100))
    said = (
        f"References: {thread}\r\nIn-Reply-To: <answered@x>\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nno\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nA: b\r\n\r\nAction: failed\r\n"
        "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID:\r\n <returned@x>\r\n\r\n--b--\r\n"
    )

    found = parse_unguarded(f"From: x@y.example\r\n{said}".encode()).references

    assert found[:4] == ("<returned@x>", "<answered@x>", "<99@x>", "<98@x>")


def test_of_two_reasons_none_is_guessed():
    text = "was not delivered. The buyer has opted out. The address does not exist."
    understood = parse_unguarded(
        f"From: donotreply@amazon.com\r\nSubject: could not be delivered\r\n\r\n{text}".encode()
    )

    assert (understood.kind, understood.failure_reason) == (MailKind.DELIVERY_FAILURE, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Your verification code is 482913.", "482913"),
        ("Your verification code is:\r\n\r\n482913\r\n", "482913"),
        ("A verification code follows. Your verification code: 482 913", "482 913"),
        ("Your verification code was sent on 02.11.2026.", None),
        ("Your verification code is 48291347112.", None),
        ("Your verification code is A482913.", None),
        ("Your verification code is hidden", None),
    ],
)
def test_code_is_read_where_it_is_introduced(text: str, code: str | None):
    understood = parse_unguarded(
        f"From: donotreply@amazon.com\r\nSubject: Verify your e-mail address\r\n\r\n{text}".encode()
    )

    assert (understood.kind, understood.verification_code) == (MailKind.VERIFICATION, code)


def test_inline_picture_is_named_by_its_id():
    understood = parse_unguarded(
        b"From: a@b.example\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <logo@mail>\r\nContent-Disposition: inline; filename=a.png\r\n\r\n\x89PNG\r\n\x1a\n\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <other@mail>\r\nContent-Disposition: attachment; filename=b.png\r\n\r\nMZ\x00\r\n--b--\r\n"
    )

    assert [(a.content_id, a.is_inline, a.sniffed_type) for a in understood.attachments] == [
        ("logo@mail", True, "image/png"),
        ("other@mail", False, "application/vnd.microsoft.portable-executable"),
    ]


@pytest.mark.parametrize(
    ("frame", "thread"),
    [
        (
            "https://sellercentral.amazon.de/messaging/thread?t=A2THREAD01&m=M1-0001&c=1&mp=A1PA6795UKMFR9",
            "A2THREAD01",
        ),
        ('<a href="https://sellercentral-europe.amazon.com/m?m=M1-0001&amp;t=A2THREAD01">', "A2THREAD01"),
        ("https://sellercentral.amazon.de/messaging/no-response-needed?t=A2THREAD01&s=1", None),
        ("https://sellercentral.amazon.de/messaging/thread?t=A1&m=M1-0001", None),
        ("https://sellercentral.amazon.de.example/thread?t=A2THREAD01&m=M1-0001", None),
        ("https://www.amazon.de/thread?t=A2THREAD01&m=M1-0001", None),
        ("https://sellercentral.amazon.de/thread?at=A2THREAD01&em=M1-0001", None),
        ("", None),
    ],
)
def test_the_id_of_the_thread_is_read_from_links_that_name_thread_and_message(frame: str, thread: str | None):
    assert find_thread_id(frame) == thread
