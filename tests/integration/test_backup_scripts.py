"""What backup.sh keeps and for how long, what it refuses, without a server."""

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parents[2] / "deploy" / "backup"
Run = Callable[..., tuple[int, str]]


def _stamp(days_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y%m%dT%H%M%S.%fZ")


def _new_key(folder: Path, name: str) -> None:
    made = subprocess.run(
        ["age-keygen", "--output", folder / f"{name}.identity"], capture_output=True, text=True, check=True
    )
    (folder / f"{name}.recipients").write_text(made.stderr.split()[-1] + "\n")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a script. Returns its exit code and what it says."""
    if shutil.which("age") is None:
        pytest.skip("backups are encrypted with Debian's age")
    for name in ("kept/base", "kept/wal", "blobs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "account-keys.json").write_text("canary-key")
    _new_key(tmp_path, "data")
    _new_key(tmp_path, "keys")
    settings = {
        "FOLDER": tmp_path / "kept",
        "RECIPIENTS_FILE": tmp_path / "data.recipients",
        "IDENTITY_FILE": tmp_path / "data.identity",
        "BLOB_FOLDER": tmp_path / "blobs",
        "KEY_FILES": tmp_path / "account-keys.json",
        "KEYS_FOLDER": tmp_path / "kept-keys",
        "KEYS_RECIPIENTS_FILE": tmp_path / "keys.recipients",
        "KEYS_IDENTITY_FILE": tmp_path / "keys.identity",
    }
    environment = {f"REPLYCO_BACKUP_{name}": str(value) for name, value in settings.items()}

    def run(script: str, *arguments: str, **changed: str) -> tuple[int, str]:
        changes = {f"REPLYCO_BACKUP_{name}": value for name, value in changed.items()}
        done = subprocess.run(
            [_SCRIPTS / script, *arguments],
            env={"PATH": os.defpath, **environment, **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    return run


def _log_file(number: int) -> str:
    return f"{1:08X}{0:08X}{number:08X}"


def _kept(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_what_is_too_old_ends_and_what_a_kept_backup_needs_stays(run: Run, tmp_path: Path):
    kept = tmp_path / "kept"
    stamps = [_stamp(days) for days in (40, 29, 27, 1)]
    for number, stamp in enumerate(stamps):
        (kept / "base" / f"{stamp}.tar.gz.age").touch()
        (kept / "base" / f"{stamp}.wal").write_text(_log_file(number * 10) + "\n")
    for number in range(15, 25):
        (kept / "wal" / f"{_log_file(number)}.gz.age").touch()
    (kept / "wal" / "00000002.history.gz.age").touch()
    for days in (40, 29, 28, 3):
        (kept / "blobs-ended" / _stamp(days)[:8]).mkdir(parents=True)

    assert run("backup.sh", "expire") == (0, "")

    assert sorted(file.name for file in (kept / "base").glob("*.age")) == [
        f"{each}.tar.gz.age" for each in stamps[2:]
    ]
    assert _kept(kept / "wal") == [
        *(f"{_log_file(number)}.gz.age" for number in range(20, 25)),
        "00000002.history.gz.age",
    ]
    assert sorted(folder.name for folder in (kept / "blobs-ended").iterdir()) == [
        _stamp(days)[:8] for days in (28, 3)
    ]


def test_the_only_backup_never_ends(run: Run, tmp_path: Path):
    stamp = _stamp(50)
    (tmp_path / "kept/base" / f"{stamp}.tar.gz.age").touch()
    (tmp_path / "kept/base" / f"{stamp}.wal").write_text(_log_file(1) + "\n")

    assert run("backup.sh", "expire") == (0, "")

    assert _kept(tmp_path / "kept" / "base") == [f"{stamp}.tar.gz.age", f"{stamp}.wal"]


@pytest.mark.parametrize("days", ["0", "30", "365", "x"])
def test_personal_data_is_kept_thirty_days_at_most(run: Run, days: str):
    code, said = run("backup.sh", "expire", DAYS=days)

    assert (code, "REPLYCO_BACKUP_DAYS" in said) == (1, True)


def test_a_file_of_the_log_may_be_sent_twice_and_is_never_replaced(run: Run, tmp_path: Path):
    source = tmp_path / _log_file(7)
    source.write_bytes(b"log" * 1000)
    assert run("backup.sh", "wal", str(source)) == (0, "")
    assert run("backup.sh", "wal", str(source)) == (0, "")
    source.write_bytes(b"another server's")
    code, said = run("backup.sh", "wal", str(source))
    assert (code, "does a second server use this folder?" in said) == (1, True)

    target = tmp_path / "restored"
    assert run("restore.sh", "wal", source.name, str(target)) == (0, "")
    assert target.read_bytes() == b"log" * 1000
    assert run("restore.sh", "wal", _log_file(8), str(target)) == (1, "")
    assert b"log" not in (tmp_path / "kept" / "wal" / f"{source.name}.gz.age").read_bytes()


def test_a_file_of_the_log_that_could_not_be_encrypted_is_not_there(run: Run, tmp_path: Path):
    source = tmp_path / _log_file(7)
    source.write_bytes(b"log")
    (tmp_path / "empty").touch()

    code, _said = run("backup.sh", "wal", str(source), RECIPIENTS_FILE=str(tmp_path / "empty"))

    assert code == 1
    assert not (tmp_path / "kept" / "wal" / f"{source.name}.gz.age").exists()
    assert run("backup.sh", "wal", str(source)) == (0, "")


def test_keys_are_kept_when_they_change_and_open_with_their_own_key_alone(run: Run, tmp_path: Path):
    assert run("backup.sh", "keys") == run("backup.sh", "keys") == (0, "")
    assert len(list((tmp_path / "kept-keys").glob("*.age"))) == 1
    (tmp_path / "account-keys.json").write_text("canary-new-key")
    assert run("backup.sh", "keys") == (0, "")
    assert len(list((tmp_path / "kept-keys").glob("*.age"))) == 2
    code, said = run(
        "restore.sh", "keys", str(tmp_path / "none"), KEYS_IDENTITY_FILE=str(tmp_path / "data.identity")
    )
    assert (code != 0, "no identity matched" in said) == (True, True)

    assert run("restore.sh", "keys", str(tmp_path / "restored")) == (0, "")

    assert (tmp_path / "restored" / "account-keys.json").read_text() == "canary-new-key"
    assert run("restore.sh", "keys", str(tmp_path / "restored"))[0] == 1


@pytest.mark.parametrize(
    "changed", [{"KEYS_FOLDER": "kept/keys"}, {"KEYS_RECIPIENTS_FILE": "data.recipients"}], ids=str
)
def test_keys_never_lie_beside_what_they_open(run: Run, tmp_path: Path, changed: dict[str, str]):
    code, said = run("backup.sh", "keys", **{name: str(tmp_path / path) for name, path in changed.items()})

    assert (code, "opens both" in said or "reads both" in said) == (1, True)


def test_large_mail_is_kept_once_and_what_has_ended_comes_back_with_a_restore(run: Run, tmp_path: Path):
    (tmp_path / "blobs" / "20261128").mkdir()
    for name in ("one", "two words", ".being-written"):
        (tmp_path / "blobs" / "20261128" / name).write_text(name)
    assert run("backup.sh", "blobs") == (0, "")
    # It was still being written.
    (tmp_path / "blobs" / "20261128" / "two words").write_text("two words and more")
    assert run("backup.sh", "blobs") == (0, "")
    (tmp_path / "blobs" / "20261128" / "one").unlink()
    assert run("backup.sh", "blobs") == (0, "")
    assert _kept(tmp_path / "kept" / "blobs") == ["20261128/two words"]

    assert run("restore.sh", "blobs", str(tmp_path / "restored")) == (0, "")

    assert _kept(tmp_path / "restored") == ["20261128/one", "20261128/two words"]
    assert (tmp_path / "restored" / "20261128" / "two words").read_text() == "two words and more"


@pytest.mark.parametrize("script", ["backup.sh", "restore.sh"])
def test_a_script_says_what_it_needs(run: Run, script: str):
    code, said = run(script, "--help")

    assert (code, said.count("REPLYCO_BACKUP_") >= 4) == (0, True)
    assert run(script, "nonsense")[0] == 2
