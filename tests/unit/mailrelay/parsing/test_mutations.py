"""Damaged mails: each is a message or could not be parsed, in time and within the memory that a parser has."""

from tests.unit.mailrelay.parsing.mutations import MAX_MB, mutated, samples, try_mutations

# `make soak` tries 25,000 a round.
COUNT = 2_000


def test_every_mutated_mail_is_answered_within_the_limits():
    tried = try_mutations(0, COUNT)

    assert sum(tried.kinds.values()) == COUNT
    assert tried.mb < MAX_MB
    # The changes reach every branch: else they would prove little.
    assert len(tried.kinds) == 9


def test_a_number_makes_the_same_mail_again():
    mails = samples()

    assert [mutated(number, mails) for number in range(20)] == [
        mutated(number, mails) for number in range(20)
    ]
