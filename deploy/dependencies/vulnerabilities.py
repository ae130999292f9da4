"""Ask whether vulnerabilities of the pinned packages are known (OSV, by pip-audit). `make scan`.

Where nobody can be asked, it says so, and that is no failure unless --must-answer is given. Exit codes: 0, none is known, or nobody could be
asked; 1, some are; 2, it could not be done.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import httpx2

from deploy.dependencies.pins import DEVELOPMENT, RUN_TIME, pins

_OSV: Final = "https://api.osv.dev/v1/query"
_ACCEPTED: Final = Path(__file__).with_name("accepted.toml")
_ASK_SECONDS: Final = 10
_KNOWN, _UNDONE = 1, 2


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        description="Ask whether vulnerabilities of the pinned packages are known."
    )
    parser.add_argument("--must-answer", action="store_true", help="fail if nobody could be asked")
    parser.add_argument("--osv-url", default=_OSV, help="where to ask")
    parser.add_argument("--requirements", type=Path, default=DEVELOPMENT, help="the pinned packages")
    told = parser.parse_args(arguments)
    reason = _why_not(told.osv_url)
    report = None if reason else _report(told.requirements, told.osv_url)
    if report is None:
        print(
            f"Could not ask {told.osv_url} ({reason or 'it broke off'}): whether vulnerabilities are known is not known."
        )
        return _UNDONE if told.must_answer else 0
    accepted = tomllib.loads(_ACCEPTED.read_text("utf-8"))["accepted"]
    return outcome(report, accepted, datetime.now(UTC).date())


def _why_not(url: str) -> str | None:
    """Why nobody can be asked there; None if somebody answers, whatever they say."""
    try:
        httpx2.post(url, json={}, timeout=_ASK_SECONDS)
    except httpx2.TransportError as error:
        return type(error).__name__
    return None


def _report(requirements: Path, url: str) -> list[dict[str, Any]] | None:
    """What pip-audit says of each package; None if the answers broke off. Raises SystemExit if it fails for another reason."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(requirements),
        "--disable-pip",
        "--no-deps",
    ]
    command += [
        "--vulnerability-service",
        "osv",
        "--osv-url",
        url,
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = done.stderr.strip().rpartition("\n")[2]
        if last.startswith(("requests.exceptions.", "pip_audit._service.interface.")):
            return None
        print(f"pip-audit failed: {last}", file=sys.stderr)
        raise SystemExit(_UNDONE) from None
    return found


def outcome(report: list[dict[str, Any]], accepted: list[dict[str, Any]], today: date) -> int:
    """Print what is known of each package, and return the exit code. What was accepted counts again after its last day."""
    still = {each["id"] for each in accepted if each["until"] >= today}
    at_run_time = {name for name, _ in pins(RUN_TIME)}
    known = 0
    for package in report:
        for found in package.get("vulns", []):
            names = {found["id"], *found["aliases"]}
            known += not names & still
            where = "at run time" if package["name"] in at_run_time else "for development"
            cure = (
                f"mended in {', '.join(found['fix_versions'])}" if found["fix_versions"] else "not mended yet"
            )
            note = ", accepted" if names & still else ""
            print(
                f"{package['name']} {package['version']} ({where}): {found['id']}, {cure}{note}. {found['description'][:200]}"
            )
    print(f"{len(report)} packages asked for: {known} known vulnerabilities.")
    return _KNOWN if known else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
