"""`python -m tests.soak [NAME …]`: the long variants of the fault and fuzz tests.

Each round ends with one JSON line in soak-results.jsonl. A run that was broken off goes on where it was: rounds that went
well at the same commit are not done again. The exit code is 0 if all went well.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.soak.rounds import ROUNDS, Environment, Outcome, Round

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "soak-results.jsonl"

Result = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Long fault and fuzz tests. Rounds that went well at the same commit are not done again.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"the beginning of rounds' names: {', '.join(ROUNDS)}"
    )
    names = parser.parse_args().names
    rounds = {
        name: run
        for name, run in ROUNDS.items()
        if not names or any(name.startswith(begin) for begin in names)
    }
    if not rounds:
        parser.error(f"no round's name begins with {' or '.join(names)}")
    commit = _commit()
    done = {} if commit is None else _done(commit)
    results = [done[name] for name in rounds if name in done]
    missing = {name: run for name, run in rounds.items() if name not in done}
    if missing:
        results += asyncio.run(_run(missing, commit, skipped=len(results)))
    print("\n" + _table(results))  # noqa: T201
    return 0 if all(result["is_right"] for result in results) else 1


async def _run(rounds: dict[str, Round], commit: str | None, *, skipped: int) -> list[Result]:
    results: list[Result] = []
    began = time.monotonic()
    print(f"{len(rounds)} rounds; {skipped} went well before at this commit", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="replyco-", ignore_cleanup_errors=True) as folder:
        environment = await Environment.make(Path(folder))
        try:
            for name, run in rounds.items():
                result = {"name": name, "commit": commit, **await _run_one(run, environment)}
                results.append(result)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(result) + "\n")
                spent = time.monotonic() - began
                left = spent / len(results) * (len(rounds) - len(results))
                print(  # noqa: T201
                    f"{len(results)}/{len(rounds)}  {_line(result)}  ({spent:.0f} s, about {left:.0f} s left)",
                    flush=True,
                )
        finally:
            environment.close()
    return results


async def _run_one(run: Round, environment: Environment) -> Result:
    began = time.monotonic()
    problem = None
    try:
        outcome = await run(environment)
    except Exception as error:  # noqa: BLE001  # a finding: it is told, and the other rounds still have theirs
        outcome = Outcome(False, {})
        problem = f"{type(error).__name__}: {error}"
    result = {"is_right": outcome.is_right, "seconds": round(time.monotonic() - began, 1)}
    return {**result, "counts": dict(outcome.counts), **({"problem": problem} if problem else {})}


def _commit() -> str | None:
    """What is tested, if it is exactly a commit."""
    git = ["git", "-C", str(ROOT)]
    changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False)
    if changes.returncode or changes.stdout:
        return None
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return head.stdout.strip()


def _done(commit: str) -> dict[str, Result]:
    if not RESULTS.exists():
        return {}
    results = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return {result["name"]: result for result in results if result["commit"] == commit and result["is_right"]}


def _line(result: Result) -> str:
    counts = ", ".join(f"{name} {count:,}" for name, count in result["counts"].items())
    word = "right" if result["is_right"] else "WRONG"
    return f"{result['name']:<24}{word:<7}{result['seconds']:>7,.1f} s  {counts}{result.get('problem', '')}"


def _table(results: list[Result]) -> str:
    """All rounds, and their counts in all."""
    sums: dict[str, int] = {}
    for result in results:
        for name, count in result["counts"].items():
            sums[name] = sums.get(name, 0) + count
    total: Result = {
        "name": "all",
        "is_right": all(result["is_right"] for result in results),
        "seconds": sum(result["seconds"] for result in results),
        "counts": sums,
    }
    return "\n".join(_line(result) for result in [*results, total])


if __name__ == "__main__":
    sys.exit(main())
