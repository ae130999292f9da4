"""Every way to run the product gives each role the settings that it has, and those that it needs."""

import re

import pytest
from pydantic_settings import BaseSettings

from shared.secure_defaults import unsafe
from shared.settings import PREFIX, SECRETS_FOLDER, load_settings
from tests.unit.deploy.roles import (
    COMPOSE,
    ROOT,
    SYSTEMD,
    commented_out,
    compose_document,
    compose_roles,
    systemd_roles,
)

_ROLES = {
    **{f"systemd {role.name}": role for role in systemd_roles()},
    **{f"compose {role.name}": role for role in compose_roles()},
    **{
        f"compose with all {role.name}": role
        for role in compose_roles("compose.smarthost.yaml", "compose.clamd.yaml")
    },
}
# What stands in a file that is a secret.
_IN_A_FILE = {"REPLYCO_DATABASE_URL": "postgresql://role:secret@/replyco?host=/var/run/postgresql"}


def test_each_way_has_every_role():
    serving = {"replyco-connector", "replyco-connector-worker", "replyco-mail-worker", "replyco-relay"}

    assert {role.name for role in systemd_roles()} == serving
    assert {f"replyco-{role.name}" for role in compose_roles()} == serving | {
        "replyco-doctor",
        "replyco-doctor-mail-worker",
        "replyco-doctor-relay",
        "replyco-migrations",
    }


@pytest.mark.parametrize("name", sorted(_ROLES))
def test_a_role_gets_no_variable_that_is_none_of_its_settings(name: str):
    role = _ROLES[name]
    known = _names(role.settings)

    # The file that every role reads may have more than one of them needs.
    common = {"REPLYCO_BLOB_URL", "REPLYCO_MAIL_DOMAIN"}

    given = {each for each in role.environment if each.startswith(PREFIX)} | role.secrets
    assert given - known - {SECRETS_FOLDER} <= common - known
    assert not role.secrets or role.environment[SECRETS_FOLDER] == "/run/secrets"


@pytest.mark.parametrize("name", sorted(_ROLES))
def test_a_role_starts_with_what_it_gets(name: str, monkeypatch: pytest.MonkeyPatch):
    role = _ROLES[name]
    for variable in _names(role.settings):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in role.environment.items():
        if variable != SECRETS_FOLDER:
            monkeypatch.setenv(variable, value)
    for secret in role.secrets:
        monkeypatch.setenv(secret, _IN_A_FILE.get(secret, "secret"))

    settings = load_settings(role.settings)

    assert [rule.name for rule in unsafe(settings)] == []


@pytest.mark.parametrize("unit", [role.name for role in systemd_roles()])
def test_what_a_file_of_settings_offers_is_a_setting(unit: str):
    (role,) = (role for role in systemd_roles() if role.name == unit)
    files = re.findall(r"EnvironmentFile=/etc/replyco/(\S+)", (SYSTEMD / f"{unit}.service").read_text())

    for file in files:
        assert commented_out((SYSTEMD / file).read_text("utf-8")) <= _names(role.settings)


def test_five_values_are_chosen_for_compose_and_everything_else_has_a_default():
    lines = (COMPOSE / ".env.example").read_text("utf-8").splitlines()
    chosen = {line.partition("=")[0] for line in lines if re.match("[A-Z_]+=", line)}
    text = (COMPOSE / "compose.yaml").read_text("utf-8")

    assert len(chosen) == 5
    assert set(re.findall(r"\$\{([A-Z_]+):\?", text)) == chosen
    # A variable without a default has been asked for elsewhere.
    assert set(re.findall(r"\$\{([A-Z_]+)\}", text)) <= chosen
    assert set(re.findall(r"\$\{([A-Z_]+):-", text)) <= set(_offered())


def test_the_backup_reads_what_its_file_names():
    script = (ROOT / "deploy/backup/backup.sh").read_text("utf-8")
    names = re.findall(r"^(REPLYCO_[A-Z_]+)=", (SYSTEMD / "backup.env").read_text("utf-8"), re.MULTILINE)

    assert [name for name in names if name not in script] == []


def test_every_role_may_write_where_large_mail_lies_and_leaves_its_group_the_rights():
    for unit in SYSTEMD.glob("replyco-*.service"):
        text = unit.read_text("utf-8")
        if re.search(r"^ExecStart=.*/replyco-(connector|mailrelay) ", text, re.MULTILINE):
            assert "\nReadWritePaths=/var/lib/replyco/blobs\n" in text, unit
            assert "\nUMask=0007\n" in text, unit
    for name, service in compose_document()["services"].items():
        mounted = [each for each in service.get("volumes", ()) if str(each).startswith("blobs:")]
        assert mounted in ([], ["blobs:/var/lib/replyco/blobs"]), name


def test_what_is_reached_by_nobody_has_no_network_in_compose():
    services = compose_document()["services"]

    published = {name for name, service in services.items() if service.get("ports")}
    assert published == {"caddy", "relay"}
    for name in ("postgres", "migrations", "passwords", "folders"):
        assert services[name]["network_mode"] == "none"


def test_every_container_of_ours_is_hardened_and_every_secret_has_a_file():
    document = compose_document()

    used = set()
    for name, service in document["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        used |= {each["source"] if isinstance(each, dict) else each for each in service.get("secrets", ())}
    assert used == document["secrets"].keys()


def _offered() -> list[str]:
    return re.findall(r"^#?([A-Z_]+)=", (COMPOSE / ".env.example").read_text("utf-8"), re.MULTILINE)


def _names(settings: type[BaseSettings]) -> set[str]:
    return {f"{PREFIX}{field}".upper() for field in settings.model_fields}
