"""The command `compliance`: how this installation stands to Amazon's Data Protection Policy, with what was seen."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from services.connector.compliance.checks import Evidence, Installation, State, installation, look
from services.connector.compliance.requirements import (
    RESERVATION,
    By,
    Line,
    Point,
    compliance_page,
    load_lines,
)
from services.connector.settings import ConnectorSettings
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.process import FAILED, settings_or_exit
from shared.version import version

# Nobody waits for one answer of an operator's command.
_STATEMENT_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A point with what was seen of it."""

    line: Line
    point: Point
    evidence: Evidence


def compliance(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Print docs/compliance.md instead.")] = False,
) -> None:
    """Say how this installation stands to Amazon's Data Protection Policy, line by line, with what was seen. It changes nothing."""
    if page:
        print(compliance_page(load_lines()), end="")
        return
    settings = settings_or_exit(ConnectorSettings, even_if_unsafe=True)

    async def run(sessions: Sessions) -> list[Standing]:
        at = await installation(settings, sessions)
        return [
            Standing(line, point, await _evidence(point, at))
            for line in load_lines()
            for point in line.points
        ]

    standings = run_with_database(settings, "connector-compliance", run, statement_seconds=_STATEMENT_SECONDS)
    if as_json:
        print(json.dumps(_document(standings), indent=2, ensure_ascii=False))
    else:
        _print(standings)
    if any(each.evidence.state is State.TO_DO for each in standings):
        raise typer.Exit(FAILED)


async def _evidence(point: Point, at: Installation) -> Evidence:
    match point.by:
        case By.CODE:
            return Evidence(State.BUILT_IN, point.how)
        case By.OPERATOR:
            return Evidence(State.TO_SHOW, point.how)
        case By.NOBODY:
            return Evidence(State.DIFFERS, point.how)
        case By.CHECK:
            assert point.check is not None
            return await look(point.check, at)


def _print(standings: list[Standing]) -> None:
    print(f"Amazon's Data Protection Policy, as version {version()} and this installation show it.")
    last = None
    for each in standings:
        if each.line is not last:
            print(f"\n{each.line.section} {each.line.topic}")
            last = each.line
        print(f"  {each.evidence.state:10}{each.point.asks}")
        print(f"            {each.evidence.text}{'' if each.evidence.text.endswith('.') else '.'}")
    counts = Counter(each.evidence.state for each in standings)
    print(
        "\n"
        + ", ".join(f"{counts[state]} {state}" for state in State)
        + ". docs/compliance.md says what each word means."
    )
    print(RESERVATION)


def _document(standings: list[Standing]) -> dict[str, object]:
    return {
        "version": version(),
        "reservation": RESERVATION,
        "points": [
            {
                "section": each.line.section,
                "topic": each.line.topic,
                "asks": each.point.asks,
                "state": each.evidence.state,
                "evidence": each.evidence.text,
                "settings": each.point.settings,
                "code": each.point.code,
                "tests": each.point.tests,
            }
            for each in standings
        ],
    }
