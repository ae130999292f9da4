"""The Helm chart: its settings against the roles' settings, and its values against their schema. tests/integration/packaging renders it."""

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]  # PyYAML has no types of its own

from shared.secure_defaults import unsafe
from shared.settings import PREFIX, load_settings
from tests.unit.deploy.roles import ROOT, SETTINGS

_HELM = ROOT / "deploy/helm"
_CHART = _HELM / "replyco"
_TEMPLATES = sorted((_CHART / "templates").iterdir())
_ROLES = ("connector", "connector-worker", "mail-worker", "relay")


def _merged(under: Any, over: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {key: _merged(under.get(key), value) for key, value in over.items()}


_VALUES: dict[str, Any] = yaml.safe_load((_CHART / "values.yaml").read_text("utf-8"))
_CHOSEN: dict[str, Any] = _merged(
    _VALUES, yaml.safe_load((_HELM / "examples/values.yaml").read_text("utf-8"))
)
_SCHEMA = json.loads((_CHART / "values.schema.json").read_text("utf-8"))


def _settings(role: str) -> dict[str, str]:
    """The variables of a role's pods, as the template puts them together."""
    chosen = _CHOSEN["roles"][role]
    shared = _CHOSEN["roles"][chosen["settingsOf"]]["settings"] if "settingsOf" in chosen else {}
    settings: dict[str, str] = _CHOSEN["settings"] | shared | chosen["settings"]
    return settings


def _secrets(role: str) -> set[str]:
    """The settings that the page says the role's Secret holds."""
    page = (ROOT / "docs/operations/kubernetes.md").read_text("utf-8")
    (line,) = re.findall(rf"^\| `{_CHOSEN['roles'][role]['secretName']}` \| (.+) \|$", page, re.MULTILINE)
    bucket = {"REPLYCO_BLOB_ACCESS_KEY_ID", "REPLYCO_BLOB_SECRET_ACCESS_KEY"}
    return {name.upper() for name in re.findall(r"`(replyco_[a-z_]+)`", line)} | bucket


@pytest.mark.parametrize("role", _ROLES)
def test_a_role_starts_with_what_the_chart_and_its_secret_give_it(role: str, monkeypatch: pytest.MonkeyPatch):
    settings_class = SETTINGS[tuple(_CHOSEN["roles"][role]["command"])]
    known = {f"{PREFIX}{field}".upper() for field in settings_class.model_fields}
    given = _settings(role)

    assert _secrets(role) <= known
    assert given.keys() <= known
    for name in known:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for name in _secrets(role):
        monkeypatch.setenv(name, "postgresql://r@db/replyco?sslmode=require" if "DATABASE" in name else "x")
    monkeypatch.setenv("REPLYCO_SIDE_HOST", "10.244.1.7")
    settings = load_settings(settings_class)
    assert [rule.name for rule in unsafe(settings)] == []
    # Probes look at the port that the role listens on.
    field = "side_port" if "serve" in _CHOSEN["roles"][role]["command"] else "worker_port"
    assert getattr(settings, field) == _CHOSEN["roles"][role]["sidePort"]
    port = {"connector": "port", "relay": "smtp_port"}.get(role)
    assert port is None or getattr(settings, port) == _CHOSEN["roles"][role]["port"]


def test_what_has_to_be_chosen_is_refused_until_it_is():
    jsonschema.validate(_CHOSEN, _SCHEMA)
    with pytest.raises(jsonschema.ValidationError, match="sha256"):
        jsonschema.validate(_VALUES, _SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"imagee": {}},
        {"image": {"name": "registry.example/replyco:latest"}},
        {"roles": {"relais": {}}},
        {"roles": {"relay": {"replica": 2}}},
        {"settings": {"MAIL_DOMAIN": "mail.example.com"}},
        # A secret would stand in the release, for whoever may read it.
        {"roles": {"relay": {"settings": {"REPLYCO_DATABASE_URL": "postgresql://"}}}},
        {"roles": {"connector": {"settings": {"REPLYCO_AMAZON_CLIENT_SECRET": "x"}}}},
        {"roles": {"mail-worker": {"settings": {"REPLYCO_SMARTHOST_PASSWORD": "x"}}}},
        {"terminationGracePeriodSeconds": 10},
    ],
    ids=str,
)
def test_what_is_misspelt_or_unsafe_is_refused(wrong: dict[str, Any]):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_merged(_CHOSEN, wrong), _SCHEMA)


@pytest.mark.parametrize("template", [path.name for path in _TEMPLATES])
def test_a_template_names_values_that_there_are(template: str):
    text = (_CHART / "templates" / template).read_text("utf-8")

    for path in re.findall(r"\.Values\.([A-Za-z.]+)", text):
        found: Any = _VALUES
        for part in path.rstrip(".").split("."):
            assert part in found, path
            found = found[part]
    opened = len(re.findall(r"{{-? *(?:if|range|with|define)\b", text))
    assert opened == len(re.findall(r"{{-? *end\b", text))


def test_a_stop_has_the_time_that_the_roles_take():
    relay = SETTINGS["replyco-mailrelay", "serve"].model_fields["shutdown_seconds"].default

    assert _VALUES["terminationGracePeriodSeconds"] >= 2 * relay


def test_the_alarms_are_those_of_the_project():
    assert (_CHART / "files/alerts.yaml").resolve() == (ROOT / "deploy/alerts/replyco.yaml").resolve()


def test_the_dashboards_are_those_of_the_project_and_fit_into_a_config_map():
    folder = _CHART / "files/dashboards"

    assert folder.resolve() == (ROOT / "deploy/dashboards").resolve()
    assert 0 < sum(len(file.read_bytes()) for file in folder.glob("*.json")) < 900_000


def test_the_charts_version_is_the_projects():
    chart = yaml.safe_load((_CHART / "Chart.yaml").read_text("utf-8"))
    project = (ROOT / "pyproject.toml").read_text("utf-8")

    assert f'\nversion = "{chart["appVersion"]}"\n' in project


def test_the_example_database_loses_nothing_with_a_server():
    cluster = yaml.safe_load((_HELM / "examples/cloudnativepg.yaml").read_text("utf-8"))

    assert cluster["spec"]["instances"] >= 3
    assert cluster["spec"]["postgresql"]["synchronous"]["dataDurability"] == "required"
