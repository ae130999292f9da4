"""An operator makes, shows and changes the key that replies are signed with, with a name server on loopback."""

import json
import re
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dkim
import pytest
from typer.testing import CliRunner, Result

from services.mailrelay.__main__ import cli
from services.mailrelay.outbound.composing import compose
from services.mailrelay.outbound.signing import sign
from shared.crypto.dkim_keys import DkimKeyFile
from shared.crypto.key_ages import KEY_LIFETIME
from shared.crypto.mail_key_files import create_mail_key_pair
from shared.process import CANNOT_START, KEYS_OVERDUE
from tests.signing import NameServer, name_server
from tests.unit.mailrelay.outbound.reading_back import a_reply

DOMAIN = "relay.example"
Run = Callable[..., Result]


@pytest.fixture
def dns() -> Iterator[NameServer]:
    """A name server that knows nothing yet."""
    with name_server() as running:
        running.zone.records.clear()
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dkim-keys.json"


@pytest.fixture
def run(path: Path, dns: NameServer) -> Run:
    environment = {
        "REPLYCO_DKIM_KEY_FILE": str(path),
        "REPLYCO_MAIL_DOMAIN": DOMAIN,
        "REPLYCO_SMTP_HOSTNAME": f"mx1.{DOMAIN}",
    }

    def invoke(*arguments: str, asks_dns: bool = False) -> Result:
        resolver = ["--resolver", f"127.0.0.1#{dns.port}"] if asks_dns else []
        return CliRunner().invoke(cli, [*arguments, *resolver], env=environment)

    return invoke


def records_in(output: str) -> dict[str, str]:
    """Name → text of the DKIM records that a command prints, as an operator copies them."""
    lines = re.findall(r'^(\S+_domainkey\S+)\.  TXT  (".*")$', output, re.MULTILINE)
    return {name: "".join(re.findall(r'"([^"]*)"', strings)) for name, strings in lines}


def signed_by(path: Path) -> bytes:
    mail = compose(a_reply(from_address=f"mabtekrud@{DOMAIN}"), mail_domain=DOMAIN, eight_bit=False)
    return sign(mail, domain=DOMAIN, keys=DkimKeyFile.load(path), at=datetime(2026, 11, 28, tzinfo=UTC))


def verifies(mail: bytes, published: dict[str, str]) -> bool:
    def look_up(name: bytes, timeout: int = 5) -> bytes | None:
        record = published.get(name.decode().rstrip("."))
        return None if record is None else record.encode()

    return bool(dkim.verify(mail, dnsfunc=look_up))


def test_a_key_is_made_shown_and_changed_and_no_mail_is_ever_without_a_record(
    run: Run, path: Path, dns: NameServer
):
    made = run("keys", "dkim", "create")
    published = records_in(made.output)
    [(first, record)] = published.items()
    dns.zone.text(first, record)
    of_first_key = signed_by(path)

    rotated = run("keys", "dkim", "rotate")
    [(second, new_record)] = records_in(rotated.output).items()
    selector = second.partition(".")[0]
    too_soon = run("keys", "dkim", "use", selector, asks_dns=True)
    still_of_first_key = signed_by(path)
    dns.zone.text(second, new_record)
    used = run("keys", "dkim", "use", selector, asks_dns=True)
    of_second_key = signed_by(path)
    printed = run("dns")
    retired = run("keys", "dkim", "retire", first.partition(".")[0])

    assert [result.exit_code for result in (made, rotated, used, printed, retired)] == [0] * 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert too_soon.exit_code == 1
    assert "Nothing was changed" in too_soon.output
    assert "missing" in too_soon.output
    assert records_in(too_soon.output) == {second: new_record}
    assert still_of_first_key == of_first_key
    assert records_in(printed.output) == {first: record, second: new_record}
    assert verifies(of_first_key, {first: record})
    assert verifies(of_second_key, {second: new_record})
    assert not verifies(of_second_key, {first: record})
    assert records_in(run("keys", "dkim", "show").output) == {second: new_record}


def test_a_file_is_not_overwritten(run: Run, path: Path):
    run("keys", "dkim", "create")
    before = path.read_bytes()

    again = run("keys", "dkim", "create")

    assert again.exit_code == 2
    assert f"{path} exists" in again.output
    assert path.read_bytes() == before


def test_one_who_is_in_a_hurry_does_not_wait_for_the_dns(run: Run):
    run("keys", "dkim", "create")

    rotated = run("keys", "dkim", "rotate", "--now")
    [name] = records_in(rotated.output)
    selector = name.partition(".")[0]
    shown = run("keys", "dkim", "show").output
    old = next(line.split()[1] for line in shown.splitlines() if line.endswith("does not sign"))
    back = run("keys", "dkim", "use", old, "--now")

    assert f"; {selector} signs" in shown
    assert back.exit_code == 0
    assert f"; {old} signs" in run("keys", "dkim", "show").output


def test_another_key_at_the_name_is_not_taken_for_ours(run: Run, dns: NameServer):
    [record] = records_in(run("keys", "dkim", "create").output).values()
    [second] = records_in(run("keys", "dkim", "rotate").output)
    dns.zone.text(second, record)

    used = run("keys", "dkim", "use", second.partition(".")[0], asks_dns=True)

    assert used.exit_code == 1
    assert "wrong" in used.output


def test_no_answer_changes_nothing(run: Run, dns: NameServer):
    run("keys", "dkim", "create")
    [name] = records_in(run("keys", "dkim", "rotate").output)
    dns.zone.failing.add(name)

    used = run("keys", "dkim", "use", name.partition(".")[0], asks_dns=True)

    assert used.exit_code == 1
    assert "could not be checked" in used.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["use", "other"], "has no key other, only"),
        (["retire", "other"], "has no key other, only"),
        (["retire", "CURRENT"], "signs at present. Rotate first."),
        (["use", "CURRENT", "--resolver", "nonsense"], "An IP address"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, path: Path, arguments: list[str], words: str):
    run("keys", "dkim", "create")
    current = DkimKeyFile.load(path).current.selector

    done = run("keys", "dkim", *(current if word == "CURRENT" else word for word in arguments))

    assert done.exit_code in {1, 2}
    assert words in done.output


@pytest.mark.parametrize("command", [["show"], ["rotate"], ["use", "r1"], ["retire", "r1"]])
def test_a_file_that_is_not_there_is_named_with_the_cure(run: Run, path: Path, command: list[str]):
    done = run("keys", "dkim", *command)

    assert done.exit_code == 2
    assert str(path) in done.output
    assert "python -m services.mailrelay keys dkim create" in done.output


def test_without_the_setting_the_commands_name_it():
    done = CliRunner().invoke(cli, ["keys", "dkim", "create"], env={"REPLYCO_DKIM_KEY_FILE": None})

    assert done.exit_code == 2
    assert "REPLYCO_DKIM_KEY_FILE" in done.output


def test_a_folder_that_is_not_there_is_named(run: Run, tmp_path: Path):
    done = CliRunner().invoke(
        cli, ["keys", "dkim", "create"], env={"REPLYCO_DKIM_KEY_FILE": str(tmp_path / "none" / "keys.json")}
    )

    assert done.exit_code == 2
    assert f"Is {tmp_path / 'none'} a folder that you may write to?" in done.output


def test_the_check_tells_which_keys_the_dns_shows(run: Run, dns: NameServer):
    [(first, record)] = records_in(run("keys", "dkim", "create").output).items()
    [second] = records_in(run("keys", "dkim", "rotate").output)
    dns.zone.text(first, record)

    checked = run("dns", "--check", asks_dns=True).output

    assert re.search(rf"^right\s+TXT\s+{re.escape(first)}$", checked, re.MULTILINE)
    assert re.search(rf"^missing\s+TXT\s+{re.escape(second)}$", checked, re.MULTILINE)


def test_no_command_shows_a_private_key(run: Run, path: Path):
    outputs = [run("keys", "dkim", *words).output for words in (["create"], ["create"], ["show"], ["rotate"])]
    outputs += [
        run(*words).output for words in (["dns"], ["dns", "--check"], ["keys", "dkim", "use", "none"])
    ]
    secret = "".join(json.loads(path.read_bytes())["keys"].values())
    lines = [line for line in secret.splitlines() if "-----" not in line]
    path.write_text(path.read_text("utf-8")[:-40])
    outputs += [run("keys", "dkim", *words).output for words in (["show"], ["rotate"])]

    assert len(lines) > 40
    for output in outputs:
        assert output
        assert "PRIVATE" not in output
        assert [line for line in lines if line in output.replace('" "', "")] == []


def status(**files: Path) -> Result:
    environment = {f"REPLYCO_{name.upper()}": str(path) for name, path in files.items()}
    return CliRunner().invoke(cli, ["keys", "status"], env={"REPLYCO_DEVELOPMENT": "true"} | environment)


def test_status_tells_the_age_of_the_mail_keys_that_this_machine_has(tmp_path: Path, path: Path):
    long_ago = datetime.now(UTC) - KEY_LIFETIME
    private, public = tmp_path / "mail-private.json", tmp_path / "mail-public.json"
    create_mail_key_pair(private, public, long_ago)
    DkimKeyFile.create(path, datetime.now(UTC) - timedelta(days=2))

    young = status(dkim_key_file=path)
    old = status(dkim_key_file=path, mail_public_key_file=public, mail_private_key_file=private)
    nothing = status()

    assert (young.exit_code, "OVERDUE" in young.output) == (0, False)
    assert "Replies are signed with r" in young.output
    assert old.exit_code == KEYS_OVERDUE
    assert old.output.count(f"made {long_ago:%Y-%m-%d}, 365 days ago. OVERDUE after 365") == 2
    assert (nothing.exit_code, "REPLYCO_MAIL_PUBLIC_KEY_FILE" in nothing.output) == (CANNOT_START, True)


def test_a_key_whose_age_nothing_says_counts_as_overdue(tmp_path: Path, path: Path):
    private, public = tmp_path / "mail-private.json", tmp_path / "mail-public.json"
    create_mail_key_pair(private, public)
    content = json.loads(public.read_bytes())
    del content["made"]
    public.write_text(json.dumps(content))
    DkimKeyFile.create(path, datetime.now(UTC))
    path.write_text(path.read_text().replace(DkimKeyFile.load(path).current.selector, "s1"))

    told = status(dkim_key_file=path, mail_public_key_file=public)

    assert told.exit_code == KEYS_OVERDUE
    assert told.output.count("OVERDUE: nothing says when it was made") == 2
