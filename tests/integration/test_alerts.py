"""The alarms name what the processes really show, before anything has happened: from nothing to 1 would be no increase."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are one more dependency, for one test
from prometheus_client.parser import text_string_to_metric_families

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.exposed_metrics import exposed_metrics

RULES: Final = Path(__file__).parents[2] / "deploy" / "alerts" / "replyco.yaml"
SELECTOR: Final = re.compile(r"\b((?:replyco|lwa|process)_\w+)(?:\{([^}]*)\})?")
RUNBOOK: Final = "docs/operations/runbook"
ROOT: Final = Path(__file__).parents[2]
PROMTOOL: Final = shutil.which("promtool")
LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
async def shown(sessions: Sessions, keyring: Keyring, keys: Keys, database: Database, tmp_path: Path) -> str:
    return await exposed_metrics(sessions, keyring, keys, database, tmp_path)


def family_of(name: str) -> str:
    """The metric that a sample of a histogram belongs to."""
    return re.sub(r"_(bucket|count|sum)$", "", name)


def is_shown(name: str, labels: str, shown: str) -> bool:
    """Whether a selector of an alarm finds anything. One that names some labels only finds every value of the others."""
    wanted = dict(LABEL.findall(labels))
    assert ",".join(f'{label}="{value}"' for label, value in wanted.items()) == labels, labels
    samples = [
        s for family in text_string_to_metric_families(shown) for s in family.samples if s.name == name
    ]
    return any(wanted.items() <= sample.labels.items() for sample in samples)


async def test_each_metric_of_an_alarm_is_shown_from_the_start(shown: str) -> None:
    for rule in rules():
        selectors = SELECTOR.findall(rule["expr"])
        assert selectors, rule["alert"]
        for name, labels in selectors:
            assert f"\n# TYPE {family_of(name)} " in shown, (rule["alert"], name)
            assert not labels or is_shown(name, labels, shown), (rule["alert"], name, labels)


def test_a_label_that_no_code_shows_is_found() -> None:
    shown = '# TYPE replyco_jobs_total counter\nreplyco_jobs_total{kind="refresh",outcome="held"} 0\n'

    for labels in ('outcome="held"', 'kind="refresh"', 'outcome="held",kind="refresh"'):
        assert is_shown("replyco_jobs_total", labels, shown)
    for labels in ('outcome="stuck"', 'outcome="held",kind="mail"', 'state="held"'):
        assert not is_shown("replyco_jobs_total", labels, shown)
    assert not is_shown("replyco_runs_total", 'outcome="held"', shown)


def test_each_alarm_says_what_is_wrong_what_to_do_and_how_urgent_it_is() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(names) == len(set(names)) >= 10
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, rule["alert"]


def test_each_alarm_has_its_page_and_each_page_its_alarm() -> None:
    assert {f"{rule['alert']}.md" for rule in rules()} == {page.name for page in (ROOT / RUNBOOK).iterdir()}
    for rule in rules():
        address = rule["annotations"]["runbook_url"]
        assert address == f"{RUNBOOK}/{rule['alert']}.md"
        title, *sections = (ROOT / address).read_text("utf-8").split("\n## ")
        assert title.strip() == f"# {rule['alert']}"
        headings, texts = zip(*(section.split("\n", 1) for section in sections), strict=True)
        assert headings == ("Meaning", "First look", "Cure", "Who"), address
        assert all(len(text.strip()) > 15 for text in texts), address


@pytest.mark.skipif(
    PROMTOOL is None, reason="promtool (Debian's package prometheus, 19 MB, 96 installed) is not here"
)
@pytest.mark.parametrize("command", ["check", "test"])
def test_prometheus_itself_reads_the_alarms_and_they_fire_when_they_should(command: str) -> None:
    files = [RULES] if command == "check" else sorted(RULES.parent.glob("*.test.yaml"))

    ended = subprocess.run(
        [str(PROMTOOL), command, "rules", *files], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
