"""The dashboards ask for what the processes really show, agree with the alarms, and can be shown."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are one more dependency, for one test
from prometheus_client.parser import text_string_to_metric_families

from shared.database import Sessions
from shared.keyring import Keyring
from shared.metrics import CONTENT_TYPE
from shared.side_port import Answer, answering_on
from tests.conftest import Database, Keys
from tests.exposed_metrics import exposed_metrics, labels_of_metrics
from tests.no_tls import NO_AUTHORITIES

ROOT: Final = Path(__file__).parents[2]
FILES: Final = sorted((ROOT / "deploy/dashboards").glob("*.json"))
BOARDS: Final[dict[str, dict[str, Any]]] = {file.stem: json.loads(file.read_text("utf-8")) for file in FILES}
DATA_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
PROMETHEUS: Final = shutil.which("prometheus")
SELECTOR: Final = re.compile(r"\b((?:replyco|lwa|process)_\w+)(?:\{([^}]*)\})?")
COMPARED: Final = re.compile(r"(==|[<>]=?) *(\d[\d.]*)(?: *\* *(\d[\d.]*)\b)?")
# What Prometheus adds when it reads a process, and the relay's supervisor.
ADDED_LABELS: Final = {"job", "instance", "process"}
# Grafana's own names of units; any other is shown as it is written.
UNITS: Final = {"s", "short", "bytes", "Bps", "percentunit", "reqps"}
# More than none: where an alarm says > 0.
ANY: Final = 0.01


def panels(board: dict[str, Any], *, rows: bool = False) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if rows or panel["type"] != "row"]


def all_panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, board in BOARDS.items():
        for panel in panels(board):
            yield f"{name}: {panel['title']}", panel


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


@cache
def alarms() -> dict[str, str]:
    groups = yaml.safe_load((ROOT / "deploy/alerts/replyco.yaml").read_text("utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def alarms_of(panel: dict[str, Any]) -> list[str]:
    return re.findall(r"\bReplyco[A-Z]\w+", panel.get("description", ""))


def metrics_in(expression: str) -> set[str]:
    return {name for name, _ in SELECTOR.findall(expression)}


def of_histogram(name: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", name)


def test_there_is_one_for_each_part_and_all_can_be_told_apart():
    assert BOARDS.keys() == {"mail", "connection", "inbox", "replies", "orders", "database"}
    for name, board in BOARDS.items():
        assert board["uid"] == f"replyco-{name}"
        assert board["schemaVersion"] == 39
        assert "replyco" in board["tags"]
        ids = Counter(panel["id"] for panel in panels(board, rows=True))
        assert set(ids.values()) == {1}, name
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


def test_no_two_panels_overlap_and_none_stands_out():
    for name, board in BOARDS.items():
        places = [
            (panel["title"], *(panel["gridPos"][side] for side in "xywh"))
            for panel in panels(board, rows=True)
        ]
        for title, x, _, w, h in places:
            assert x >= 0 < w, (name, title)
            assert x + w <= 24, (name, title)
            assert h > 0, (name, title)
        for (one, x1, y1, w1, h1), (other, x2, y2, w2, h2) in combinations(places, 2):
            is_apart = x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1
            assert is_apart, (name, one, other)


def test_every_panel_takes_the_data_source_that_is_chosen_and_says_what_it_shows_in_which_unit():
    for board in BOARDS.values():
        (variable,) = board["templating"]["list"]
        assert (variable["name"], variable["type"], variable["query"]) == (
            "datasource",
            "datasource",
            "prometheus",
        )
    for where, panel in all_panels():
        assert panel["datasource"] == DATA_SOURCE, where
        assert all(target["datasource"] == DATA_SOURCE for target in panel["targets"]), where
        assert re.fullmatch(r"[A-Z0-9][^_]{3,70}", panel["title"]), where
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in UNITS or re.fullmatch(r"[a-z-]+/s|cores", unit), (where, unit)
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0, where


def test_every_legend_names_a_label_that_its_expression_leaves():
    for where, panel in all_panels():
        for target in panel["targets"]:
            expression = target["expr"]
            grouped = {
                label.strip()
                for group in re.findall(r"\bby \(([^)]*)\)", expression)
                for label in group.split(",")
            }
            # Where nothing is summed, every label is left.
            kept = grouped or (set() if re.match(r"(sum|max|min|count)\(", expression) else ADDED_LABELS)
            named = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
            assert named <= kept, (where, expression)


@pytest.fixture
async def shown(sessions: Sessions, keyring: Keyring, keys: Keys, database: Database, tmp_path: Path) -> str:
    return await exposed_metrics(sessions, keyring, keys, database, tmp_path)


async def test_every_metric_and_label_is_shown_by_a_process(shown: str):
    labels = labels_of_metrics()
    samples = [sample for family in text_string_to_metric_families(shown) for sample in family.samples]
    for where, panel in all_panels():
        for expression in expressions(panel):
            known = set(ADDED_LABELS)
            for name, selected in SELECTOR.findall(expression):
                family = of_histogram(name)
                assert f"\n# TYPE {family} " in shown, (where, name)
                known |= labels.get(family, frozenset()) | ({"le"} if name.endswith("_bucket") else set())
                for label, operator, value in re.findall(r'(\w+)(=~?)"([^"]*)"', selected):
                    values = value.split("|") if operator == "=~" else [value]
                    told = {sample.labels.get(label) for sample in samples if sample.name == name}
                    assert set(values) <= told, (where, name, selected)
            for group in re.findall(r"\bby \(([^)]*)\)", expression):
                assert {label.strip() for label in group.split(",")} <= known, (where, expression)


def test_every_alarm_is_on_a_dashboard_beside_what_it_looks_at():
    rules = alarms()
    seen = set()
    for where, panel in all_panels():
        shows = set().union(*map(metrics_in, expressions(panel)))
        for alarm in alarms_of(panel):
            assert alarm in rules, (where, alarm)
            assert shows & metrics_in(rules[alarm]), (where, alarm)
            seen.add(alarm)

    assert seen == rules.keys()


def limits_of(expression: str) -> set[float]:
    """The values at which an alarm's sides part. Where it compares with no number, two counts are equal or one is missing."""
    limits = set()
    for operator, first, factor in COMPARED.findall(expression):
        value = float(first) * float(factor or 1)
        # A gauge that is 0 or 1 is well from 1 on.
        limits.add(value or (1.0 if operator == "==" else ANY))
    return limits or {1.0}


def test_the_limits_in_the_panels_are_those_of_the_alarms():
    rules = alarms()
    for where, panel in all_panels():
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        limits = [step["value"] for step in steps if step["value"] is not None]
        assert limits == sorted(limits), where
        named = [limits_of(rules[alarm]) for alarm in alarms_of(panel)]
        assert set(limits) <= set().union(*named), where
        if named and panel["type"] == "stat":
            assert all(set(limits) & of_alarm for of_alarm in named), where


def test_an_alarms_limits_are_read_from_its_expression():
    assert limits_of("max(replyco_a) < 90 * 86400 >= 30 * 86400") == {7776000, 2592000}
    assert limits_of("sum(a) > 10 and sum(a) > 0.2 * sum(b)") == {10, 0.2}
    assert limits_of("sum(a) > 0") == {ANY}
    assert limits_of("min(a) == 0") == limits_of("absent(a) or absent(b)") == {1}


@asynccontextmanager
async def prometheus_of(shown: str, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """Debian's Prometheus, which has read these metrics twice."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        config = folder / "prometheus.yml"
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                    "scrape_configs": [{"job_name": "all", "static_configs": [{"targets": [target]}]}],
                }
            )
        )
        served = Answer(200, CONTENT_TYPE, shown.encode())

        async def answer(_path: str) -> Answer:
            return served

        async with answering_on(listener, answer):
            process = await asyncio.create_subprocess_exec(
                str(PROMETHEUS),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                "--web.listen-address=127.0.0.1:0",
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            assert process.stderr is not None
            try:
                async for line in process.stderr:
                    if found := re.search(rb'msg="Listening on" address=(127\.0\.0\.1:\d+)', line):
                        break
                else:
                    raise AssertionError("it has not begun to listen")
                drained = asyncio.create_task(process.stderr.read())
                async with httpx2.AsyncClient(
                    base_url=f"http://{found[1].decode()}", trust_env=False, verify=NO_AUTHORITIES
                ) as client:
                    await _until_read_twice(client)
                    yield client
                drained.cancel()
            finally:
                process.kill()
                await process.wait()


async def _until_read_twice(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = await client.get(
                "/api/v1/query", params={"query": "min(count_over_time(replyco_build_info[1m]))"}
            )
            # It listens before it has opened what it keeps.
            is_ready = answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE
            found = is_ready and answer.json().get("data", {}).get("result")
            if found and float(found[0]["value"][1]) >= 2:
                return
            await asyncio.sleep(0.1)


@pytest.mark.skipif(
    PROMETHEUS is None, reason="prometheus (Debian's package, 19 MB, 96 installed) is not here"
)
async def test_prometheus_itself_answers_every_panel(shown: str, tmp_path: Path):
    """Empty may be what no process has shown yet, and what is only shown beyond a limit."""
    merged = {sample.name for family in text_string_to_metric_families(shown) for sample in family.samples}
    async with prometheus_of(_each_once(shown), tmp_path) as client:
        for where, panel in all_panels():
            for expression in expressions(panel):
                query = expression.replace("$__rate_interval", "1m")
                answer = (await client.get("/api/v1/query", params={"query": query})).json()
                assert answer["status"] == "success", (where, expression, answer)
                may_be_empty = ">" in expression or not metrics_in(expression) <= merged
                assert may_be_empty or answer["data"]["result"], (where, expression)


def _each_once(shown: str) -> str:
    """Of the processes that show the same metric, one: Prometheus reads each process by itself, and this text as one."""
    lines: dict[str, str] = {}
    for line in shown.splitlines():
        key = line.rpartition(" ")[0] if not line.startswith("#") else line
        lines.setdefault(key, line)
    return "\n".join(lines.values()) + "\n"
