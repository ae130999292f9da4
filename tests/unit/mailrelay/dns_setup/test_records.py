"""What DNS should say about a domain of relay addresses, and what is right, wrong or missing."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from services.mailrelay.__main__ import cli
from services.mailrelay.dns_setup.check import Sending, instructions, zone_line
from services.mailrelay.dns_setup.records import (
    RecordStatus,
    check_record,
    dkim_record,
    pointer_for,
    policy_for,
    policy_id,
    records_for,
)
from shared.crypto.dkim_keys import DkimKeyFile

NOW = datetime(2026, 11, 28, tzinfo=UTC)
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


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ("v=spf1 include:spf.smarthost.example ip4:192.0.2.25 -all", RecordStatus.RIGHT),
        ("V=SPF1 +IP4:192.0.2.25 INCLUDE:spf.smarthost.example -ALL", RecordStatus.RIGHT),
        ("v=spf1 mx include:spf.smarthost.example ip4:192.0.2.25 -all", RecordStatus.RIGHT),
        ("v=spf1 include:spf.smarthost.example ip4:192.0.2.25 ~all", RecordStatus.WRONG),
        ("v=spf1 include:spf.smarthost.example ip4:192.0.2.25 +all -all", RecordStatus.WRONG),
        ("v=spf1 include:spf.smarthost.example -all", RecordStatus.WRONG),
        ("v=spf1 -all", RecordStatus.WRONG),
        ("v=spf1", RecordStatus.WRONG),
    ],
)
def test_the_smarthost_may_send_for_the_domain_and_nobody_else_is_let_in(found: str, status: RecordStatus):
    records = records_for(
        "relay.example", "mx1.relay.example", smarthost_spf="include:spf.smarthost.example ip4:192.0.2.25"
    )
    spf = next(record for record in records if record.prefix == "v=spf1")

    assert spf.value == "v=spf1 include:spf.smarthost.example ip4:192.0.2.25 -all"
    assert check_record(spf, [found]).status is status


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DkimKeyFile:
    """Two keys, as there are during a change."""
    file = DkimKeyFile.create(tmp_path_factory.mktemp("dkim") / "dkim-keys.json", NOW)
    file.add(NOW, use=False)
    return file


def test_each_key_has_a_record_whose_strings_the_dns_takes(keys: DkimKeyFile):
    records = records_for("Relay.Example.", "mx1.relay.example", dkim_keys=keys.keys)
    of_keys = [record for record in records if "._domainkey." in record.name]

    assert [record.name for record in of_keys] == [
        f"{key.selector}._domainkey.relay.example" for key in keys.keys
    ]
    for record in of_keys:
        assert "".join(record.strings) == record.value
        assert max(map(len, record.strings)) <= 255
        assert all(f'"{text}"' in zone_line(record) for text in record.strings)


def test_a_record_is_right_if_receivers_find_our_key_in_it(keys: DkimKeyFile):
    ours, other = keys.keys
    record = dkim_record(ours, "relay.example")
    material = ours.record.partition("p=")[2]

    for found, status in (
        ([ours.record], RecordStatus.RIGHT),
        ([f"p={material}"], RecordStatus.RIGHT),
        ([f"v=DKIM1;k=rsa;t=s;p={material[:40]} {material[40:]};"], RecordStatus.RIGHT),
        ([other.record], RecordStatus.WRONG),
        (["v=DKIM1; k=rsa; p="], RecordStatus.WRONG),
        ([ours.record[:-30]], RecordStatus.WRONG),
        ([f"v=DKIM1; k=ed25519; p={material}"], RecordStatus.WRONG),
        ([f"v=DKIM1; k=rsa; h=sha1; p={material}"], RecordStatus.WRONG),
        ([f"v=DKIM1; k=rsa; s=tlsrpt; p={material}"], RecordStatus.WRONG),
        ([ours.record, ours.record], RecordStatus.WRONG),
        ([], RecordStatus.MISSING),
        (None, RecordStatus.UNCHECKED),
    ):
        assert check_record(record, found).status is status, found


def test_what_the_records_leave_open_is_said(keys: DkimKeyFile):
    nothing = instructions("relay.example", "mx1.relay.example")
    all_set = instructions(
        "relay.example", "mx1.relay.example", sending=Sending("include:spf.smarthost.example", keys.keys)
    )

    assert "set REPLYCO_SMARTHOST_SPF" in nothing
    assert "`python -m services.mailrelay keys dkim create` makes one" in nothing
    assert "REPLYCO_" not in all_set
    for record in RECORDS.values():
        assert record.name in nothing


def test_the_command_takes_the_relays_own_settings_and_no_more():
    names = {"REPLYCO_MAIL_DOMAIN": "relay.example", "REPLYCO_SMTP_HOSTNAME": "mx1.relay.example"}

    printed = CliRunner().invoke(cli, ["dns"], env=names)

    assert printed.exit_code == 0
    assert "relay.example.  MX  10 mx1.relay.example." in printed.output
    assert "until REPLYCO_POSTMASTER_LOCAL_PART is set" in printed.output


@pytest.mark.parametrize(
    ("spf", "is_taken"),
    [
        ("include:spf.smarthost.example", True),
        ("ip4:192.0.2.0/24 ip6:2001:db8::/32 a:mail.example mx", True),
        ("v=spf1 include:spf.smarthost.example -all", False),
        ("include:spf.smarthost.example -all", False),
        ('include:a.example" "x', False),
        ("+all", False),
        ("", False),
    ],
)
def test_what_the_smarthosts_operator_says_is_checked_at_the_start(spf: str, is_taken: bool):
    printed = CliRunner().invoke(cli, ["dns"], env={"REPLYCO_SMARTHOST_SPF": spf})

    assert (printed.exit_code == 0) is is_taken
    assert (f'"v=spf1 {spf} -all"' in printed.output) is is_taken
    assert ("REPLYCO_SMARTHOST_SPF" in printed.output) is not is_taken
