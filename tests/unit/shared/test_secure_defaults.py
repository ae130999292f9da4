"""Settings that let others read along stop the start, each named with its cure, unless it is said that this is development."""

import os
from pathlib import Path
from typing import Any

import pytest

from services.connector.settings import ConnectorSettings
from services.mailrelay.settings import MailWorkerSettings, RelaySettings
from shared.secure_defaults import RULES, SettingsUnsafe, refuse_unsafe, unsafe
from shared.settings import CommonSettings

SOCKET = "postgresql://role@/replyco?host=%2Frun%2Fpostgresql"
CONNECTOR = {
    "key_file": "key",
    "amazon_application_id": "amzn1.sp.solution.test",
    "amazon_client_id": "amzn1.application-oa2-client.test",
    "amazon_client_secret": "canary",
}
RELAY = {"mail_public_key_file": "public", "tls_certificate_file": "certificate", "tls_key_file": "key"}
WORKER = {"key_file": "key", "mail_private_key_file": "private", "dkim_key_file": "dkim"}
KINDS: dict[type[CommonSettings], dict[str, Any]] = {
    CommonSettings: {},
    ConnectorSettings: CONNECTOR,
    RelaySettings: RELAY,
    MailWorkerSettings: WORKER,
}


def made(kind: type[CommonSettings], folder: Path, **values: Any) -> CommonSettings:
    """Settings with which one may go into production, but for these; None leaves one out. Files are readable by their owner alone."""
    given: dict[str, Any] = {"database_url": SOCKET, **KINDS[kind], **values}
    for name, value in given.items():
        if name.endswith("_file") and value is not None:
            given[name] = folder / value
            given[name].touch(mode=0o600)
    return kind(**{name: value for name, value in given.items() if value is not None})


def names(settings: CommonSettings) -> list[str]:
    return [rule.name for rule in unsafe(settings)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_settings_of_a_production_are_safe(kind: type[CommonSettings], tmp_path: Path):
    refuse_unsafe(made(kind, tmp_path))


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (CommonSettings, {"database_url": "postgresql://r:canary@db.example/replyco"}, ["DATABASE_URL"]),
        (ConnectorSettings, {"blob_endpoint": "http://s3.example:9000"}, ["BLOB_ENDPOINT"]),
        (ConnectorSettings, {"amazon_base_url": "http://localhost:8090"}, ["AMAZON_BASE_URL"]),
        (ConnectorSettings, {"side_host": "0.0.0.0"}, ["SIDE_HOST"]),
        *(
            (ConnectorSettings, {"outgoing_allowed_networks": network}, ["OUTGOING_ALLOWED_NETWORKS"])
            for network in (
                "127.0.0.0/8",
                "10.0.0.0/8, 127.0.0.2/32",
                "0.0.0.0/0",
                "::1/128",
                "::/0",
                "0.0.0.0/8",
                "0.0.0.0/32",
                "::/128",
            )
        ),
        (RelaySettings, {"side_host": "::"}, ["SIDE_HOST"]),
        (RelaySettings, {"side_host": "::ffff:0.0.0.0"}, ["SIDE_HOST"]),
        (MailWorkerSettings, {"side_host": "198.51.101.7"}, ["SIDE_HOST"]),
        (MailWorkerSettings, {"side_host": "worker.example"}, ["SIDE_HOST"]),
        (RelaySettings, {"tls_required": False}, ["TLS_REQUIRED"]),
        (RelaySettings, {"tls_certificate_file": None, "tls_key_file": None}, ["TLS_CERTIFICATE_FILE"]),
        (
            RelaySettings,
            {
                "tls_certificate_file": None,
                "tls_required": False,
                "database_url": "postgresql://db.example/x",
            },
            ["DATABASE_URL", "TLS_CERTIFICATE_FILE", "TLS_REQUIRED"],
        ),
    ],
)
def test_what_lets_others_read_along_stops_the_start(
    tmp_path: Path, kind: type[CommonSettings], values: dict[str, Any], named: list[str]
):
    settings = made(kind, tmp_path, **values)

    with pytest.raises(SettingsUnsafe) as refused:
        refuse_unsafe(settings)

    lines = str(refused.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == [f"REPLYCO_{name}" for name in named]
    assert "REPLYCO_DEVELOPMENT=true" in lines[-1]
    assert "canary" not in str(refused.value)
    refuse_unsafe(settings.model_copy(update={"development": True}))


@pytest.mark.parametrize(
    "url",
    [
        SOCKET,
        "postgresql:///replyco",
        "postgresql://role@%2Frun%2Fpostgresql/replyco",
        "postgresql://role@localhost/replyco",
        "postgresql://role:password@127.0.0.1:5432/replyco",
        # In this order: by urllib, which asyncpg reads it with, an address in brackets may stand behind no other, as releases of Python with
        # the mend of CVE-2025-0938 have it.
        "postgresql://role@[::1]:5432,127.0.0.2/replyco",
        "postgresql://db.example/replyco?sslmode=require",
        "postgresql://db.example/replyco?application_name=x&sslmode=verify-full",
        "postgres://a.example,b.example/replyco?sslmode=verify-ca",
    ],
)
def test_a_database_is_here_or_asked_over_tls(tmp_path: Path, url: str):
    assert names(made(CommonSettings, tmp_path, database_url=url)) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db.example/replyco",
        "postgresql://10.0.0.5/replyco",
        "postgresql://[2001:db8::5]:5432/replyco",
        "postgresql://role:p%40ss@db.example:5432/replyco?sslmode=prefer",
        "postgresql://db.example/replyco?sslmode=disable",
        "postgresql://db.example/replyco?sslmode=require&sslmode=allow",
        "postgresql://db.example/replyco?ssl=true",
        "postgresql://localhost,db.example/replyco",
        "postgresql:///replyco?host=db.example",
        "postgresql:///replyco?host=%2Frun%2Fpostgresql,db.example",
        "postgresql://localhost.example/replyco",
        "postgresql://127.0.0.1.example/replyco",
        "postgresql://localhost/replyco?service=shop",
    ],
)
def test_a_database_elsewhere_is_not_asked_in_the_clear(tmp_path: Path, url: str):
    assert names(made(CommonSettings, tmp_path, database_url=url)) == ["REPLYCO_DATABASE_URL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("PGHOST", "db.example"), ("PGHOST", "/run/postgresql,db.example"), ("PGSERVICE", "shop")],
)
def test_a_host_that_the_environment_names_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)

    assert names(made(CommonSettings, tmp_path, database_url="postgresql:///replyco")) == [
        "REPLYCO_DATABASE_URL"
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "10.0.0.5", "192.168.1.2", "fd00::1"])
def test_side_ports_may_be_in_a_private_network(tmp_path: Path, host: str):
    assert names(made(RelaySettings, tmp_path, side_host=host)) == []


def test_networks_of_ones_own_may_be_opened_to_sellers(tmp_path: Path):
    networks = "10.0.0.0/8, 192.168.7.0/24, fd00::/8"

    assert names(made(ConnectorSettings, tmp_path, outgoing_allowed_networks=networks)) == []


def test_side_ports_may_be_everywhere_where_strangers_are_kept_away(tmp_path: Path):
    for kind in (ConnectorSettings, RelaySettings, MailWorkerSettings):
        assert names(made(kind, tmp_path, side_host="0.0.0.0", side_ports_filtered=True)) == []


@pytest.mark.parametrize("kind", [ConnectorSettings, RelaySettings, MailWorkerSettings])
def test_a_key_that_others_can_read_is_named(tmp_path: Path, kind: type[CommonSettings]):
    settings = made(kind, tmp_path)
    for name in KINDS[kind]:
        path = getattr(settings, name)
        if not isinstance(path, Path) or name in {"mail_public_key_file", "tls_certificate_file"}:
            continue
        for mode, is_safe in ((0o400, True), (0o604, False), (0o666, False), (0o620, False), (0o600, True)):
            path.chmod(mode)

            assert (names(settings) == []) is is_safe, (name, oct(mode))
            assert set(names(settings)) <= {f"REPLYCO_{name}".upper()}


def test_a_group_may_read_a_key_that_is_roots_and_nobodys_else(tmp_path: Path):
    """As `ssl-cert` on Debian, and as Kubernetes mounts a secret."""
    settings = made(RelaySettings, tmp_path)
    key = tmp_path / "key"
    key.chmod(0o640)

    assert (names(settings) == []) is (os.geteuid() == 0)
    if os.geteuid() == 0:
        os.chown(key, 65_534, -1)
        for mode in (0o640, 0o600):
            key.chmod(mode)
            assert names(settings) == ["REPLYCO_TLS_KEY_FILE"]
        assert names(settings.model_copy(update={"run_as": "nobody"})) == []


def test_a_file_that_is_not_there_is_left_to_who_reads_it(tmp_path: Path):
    settings = made(MailWorkerSettings, tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()

    refuse_unsafe(settings)


def test_each_rule_names_a_setting_that_some_process_has():
    known = {f"REPLYCO_{name}".upper() for kind in KINDS for name in kind.model_fields}

    assert {rule.name for rule in RULES} <= known
