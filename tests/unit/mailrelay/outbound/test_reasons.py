"""Which reason a server's words tell, in English and German, and what is shown of them."""

import pytest

from services.mailrelay.outbound.reasons import MOST_CHARACTERS, clean_words, reason_of, status_in
from shared.outgoing.smtp import Answer
from shared.tables import ReplyFailure


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("5.7.1 Sender shop@a.example is not an approved sender", "sender_not_approved"),
        ("5.7.1 The sender address has not been authorized", "sender_not_approved"),
        ("5.7.1 Unregistered sender", "sender_not_approved"),
        ("Message rejected: Email address is not verified.", "sender_not_approved"),
        ("5.7.1 Die Absenderadresse ist nicht genehmigt", "sender_not_approved"),
        ("5.7.1 Absender wurde nicht zugelassen", "sender_not_approved"),
        ("5.7.0 This message was blocked because its attachment presents a risk", "attachment_refused"),
        ("5.7.1 File type .exe is prohibited", "attachment_refused"),
        ("5.7.1 Der Anhang ist nicht zulässig", "attachment_refused"),
        ("5.7.1 The buyer has opted out of messages", "buyer_opted_out"),
        ("5.7.1 buyer opt-out", "buyer_opted_out"),
        ("5.7.1 Der Käufer möchte keine Nachrichten erhalten", "buyer_opted_out"),
        ("5.7.1 Your account is suspended", "sender_restricted"),
        ("5.7.1 Messaging is restricted for this seller", "sender_restricted"),
        ("5.7.1 Ihr Verkäuferkonto: das Konto ist gesperrt", "sender_restricted"),
        ("5.7.1 Message violates our communication guidelines", "guideline_blocked"),
        ("5.7.1 Verstoß gegen die Richtlinien", "guideline_blocked"),
        ("5.4.5 Daily sending limit exceeded", "message_limit"),
        ("5.7.1 Too many messages to this buyer", "message_limit"),
        ("5.7.1 Das Limit wurde überschritten", "message_limit"),
        ("5.7.1 This conversation is closed", "conversation_closed"),
        ("5.7.1 Die Unterhaltung wurde geschlossen", "conversation_closed"),
        ("5.1.1 <x@marketplace.amazon.de>: Recipient address rejected: User unknown", "address_unknown"),
        ("No such user here", "address_unknown"),
        ("5.1.1 no", "address_unknown"),
        ("Empfänger unbekannt", "address_unknown"),
        ("5.3.4 Message size exceeds fixed limit", "too_large"),
        ("Die Nachricht ist zu groß", "too_large"),
        ("5.3.4 no", "too_large"),
        # No word of these is certain.
        ("5.7.1 Denied", "unknown"),
        ("5.0.0 Transaction failed", "unknown"),
        ("", "unknown"),
        ("5.7.1 your order of the day is fine", "unknown"),
    ],
)
def test_the_reason_is_told_by_words_then_by_the_status(words: str, reason: str):
    assert reason_of(Answer(550, words)) is ReplyFailure(reason)


def test_552_alone_means_too_large():
    assert reason_of(Answer(552, "no")) is ReplyFailure.TOO_LARGE


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("5.7.1 No.\n5.7.1 Not today.", "550 5.7.1 No. Not today."),
        ("plain", "550 plain"),
        ("", "550"),
        ("tab\tand \x1b[31mcolour\x07 and\x00nul", "550 tab and [31mcolour and nul"),
        ("turned \u202eround\u2066", "550 turned round"),
        ("half a letter \udc80", "550 half a letter"),
        ("from 10.2.3.4 at 5.12", "550 from 10.2.3.4 at 5.12"),
    ],
)
def test_words_are_shown_as_one_line_without_what_no_reader_needs(words: str, shown: str):
    assert clean_words(Answer(550, words)) == shown


def test_words_are_bounded():
    assert len(clean_words(Answer(550, "x" * 30_000))) == MOST_CHARACTERS


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("5.7.1 no", "5.7.1"),
        ("[10.5.7.1] no", None),
        ("see 5.7.1.2", None),
        ("2.0.0", "2.0.0"),
        ("4.10.999", "4.10.999"),
    ],
)
def test_a_status_is_three_numbers_and_no_address(words: str, status: str | None):
    assert status_in(Answer(550, words)) == status
