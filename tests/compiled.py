"""Tests with their assertions rewritten, compiled once for all workers of a run.

pytest writes what it has compiled beside the tests, for whoever comes later; nobody is later in a run whose workers begin together.
What is used of pytest here is its own, not promised to others; if it goes, the tests of this module say so.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.assertion import rewrite

_TESTS: Final = Path(__file__).parent


def compile_share(config: pytest.Config, worker: Mapping[str, Any]) -> None:
    """This worker's part of the tests that are asked for: of as many files as there are workers, one."""
    if sys.dont_write_bytecode:
        return
    number = int(worker["workerid"].removeprefix("gw"))
    for file in _asked_for(config)[number :: worker["workercount"]]:
        # Whoever collects it tells what is wrong with a file.
        with suppress(SyntaxError, ValueError):
            compile_file(file, config)


def _asked_for(config: pytest.Config) -> list[Path]:
    paths = [Path(config.invocation_params.dir, each.partition("::")[0]).resolve() for each in config.args]
    return [
        file for file in sorted(_TESTS.rglob("test_*.py")) if any(file.is_relative_to(path) for path in paths)
    ]


def compile_file(file: Path, config: pytest.Config) -> bool:
    """Leave the compiled file where pytest looks for it. Whether there was none of this text."""
    folder = rewrite.get_cache_dir(file)
    compiled = folder / f"{file.stem}{rewrite.PYC_TAIL}"
    if rewrite._read_pyc(file, compiled) is not None:
        return False
    source_hash, code = rewrite._rewrite_test(file, config)
    if rewrite.try_makedirs(folder):
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source_hash, compiled)
    return True
