"""What DNS should say about a domain of relay addresses, and what is right, wrong or missing."""

import pytest
from typer.testing import CliRunner

from services.mailrelay.__main__ import cli
from services.mailrelay.dns_setup.check import instructions
from services.mailrelay.dns_setup.records import (
    RecordStatus,
    check_record,
    pointer_for,
    policy_for,
    policy_id,
    records_for,
)

RECORDS = {
    (record.name, record.kind): record for record in records_for("relay.example", "MX1.relay.example.")
}


def test_what_is_to_be_set():
    assert {key: record.value for key, record in RECORDS.items()} == {
        ("relay.example", "MX"): "10 mx1.relay.example.",
        ("mx1.relay.example", "A"): None,
        ("mx1.relay.example", "AAAA"): None,
        ("relay.example", "TXT"): "v=spf1 -all",
        ("_dmarc.relay.example", "TXT"): "v=DMARC1; p=reject; rua=mailto:postmaster@relay.example",
        ("_mta-sts.relay.example", "TXT"): f"v=STSv1; id={policy_id('mx1.relay.example')}",
        ("mta-sts.relay.example", "A"): None,
        ("_smtp._tls.relay.example", "TXT"): "v=TLSRPTv1; rua=mailto:postmaster@relay.example",
    }


def test_what_is_to_be_set_is_right_once_it_is_set():
    for record in RECORDS.values():
        assert check_record(record, [record.value or "192.0.2.1"]).status is RecordStatus.RIGHT, record


@pytest.mark.parametrize(
    ("name", "kind", "found", "status"),
    [
        ("relay.example", "MX", ["10 MX1.RELAY.example."], RecordStatus.RIGHT),
        ("relay.example", "MX", ["5 mx0.relay.example.", "10 mx1.relay.example."], RecordStatus.RIGHT),
        ("relay.example", "MX", ["10 mail.elsewhere.example."], RecordStatus.WRONG),
        ("relay.example", "MX", ["0 ."], RecordStatus.WRONG),
        ("relay.example", "MX", [], RecordStatus.MISSING),
        ("relay.example", "MX", None, RecordStatus.UNCHECKED),
        ("mx1.relay.example", "A", [], RecordStatus.MISSING),
        ("mx1.relay.example", "AAAA", [], RecordStatus.RIGHT),
        ("mx1.relay.example", "AAAA", None, RecordStatus.UNCHECKED),
        ("relay.example", "TXT", ["another-service=1", "v=spf1 -all"], RecordStatus.RIGHT),
        ("relay.example", "TXT", ["another-service=1"], RecordStatus.MISSING),
        ("relay.example", "TXT", ["v=spf1 +all"], RecordStatus.WRONG),
        ("relay.example", "TXT", ["v=spf1 -all", "v=spf1 -all"], RecordStatus.WRONG),
        ("_dmarc.relay.example", "TXT", ["v=DMARC1;p=REJECT;rua=mailto:x@y.example"], RecordStatus.RIGHT),
        ("_dmarc.relay.example", "TXT", ["v=DMARC1; p=none"], RecordStatus.WRONG),
        ("_mta-sts.relay.example", "TXT", ["v=STSv1; id=20261123;"], RecordStatus.RIGHT),
        ("_mta-sts.relay.example", "TXT", ["v=STSv1; id=2026-11-23"], RecordStatus.WRONG),
        ("_mta-sts.relay.example", "TXT", ["v=STSv1"], RecordStatus.WRONG),
        ("_smtp._tls.relay.example", "TXT", ["v=TLSRPTv1"], RecordStatus.WRONG),
    ],
)
def test_what_is_there_is_judged(name: str, kind: str, found: list[str] | None, status: RecordStatus):
    assert check_record(RECORDS[name, kind], found).status is status


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.25", "25.2.0.192.in-addr.arpa"),
        ("2001:db8::19", f"9.1.0.0.{'0.' * 20}8.b.d.0.1.0.0.2.ip6.arpa"),
    ],
)
def test_an_address_has_the_relays_name_and_no_other(address: str, name: str):
    record = pointer_for(address, "mx1.relay.example")

    assert record.name == name
    assert check_record(record, ["MX1.relay.example."]).status is RecordStatus.RIGHT
    assert check_record(record, ["host-25.hoster.example."]).status is RecordStatus.WRONG
    assert check_record(record, ["mx1.relay.example.", "other.example."]).status is RecordStatus.WRONG


def test_another_policy_has_another_id():
    assert policy_id("mx1.relay.example") != policy_id("mx2.relay.example")
    assert policy_for("mx1.relay.example").splitlines()[:3] == [
        "version: STSv1",
        "mode: testing",
        "mx: mx1.relay.example",
    ]


def test_the_words_promise_no_dkim_key():
    words = instructions("relay.example", "mx1.relay.example")

    assert "sending comes later" in words
    assert "_domainkey" not in words
    for record in RECORDS.values():
        assert record.name in words


def test_the_command_takes_the_relays_own_settings_and_no_more():
    names = {"REPLYCO_MAIL_DOMAIN": "relay.example", "REPLYCO_SMTP_HOSTNAME": "mx1.relay.example"}

    printed = CliRunner().invoke(cli, ["dns"], env=names)

    assert printed.exit_code == 0
    assert "relay.example.  MX  10 mx1.relay.example." in printed.output
    assert "until REPLYCO_POSTMASTER_LOCAL_PART is set" in printed.output
