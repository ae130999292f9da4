"""What one worker of a run has compiled, the others find."""

import importlib.util
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

from tests.compiled import compile_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "test_some.py"
    file.write_text("def test_some():\n    assert 1 + 1 == 2\n")
    return file


def test_a_file_is_compiled_once_and_anew_when_its_text_is_another(file: Path, pytestconfig: pytest.Config):
    assert compile_file(file, pytestconfig)
    assert not compile_file(file, pytestconfig)
    file.write_text("def test_some():\n    assert 1 + 2 == 3\n")
    assert compile_file(file, pytestconfig)


def test_pytest_takes_what_was_compiled_here(
    file: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    compile_file(file, pytestconfig)
    compiled = next(file.parent.rglob("*.pyc"))
    written = compiled.stat()

    hook = AssertionRewritingHook(pytestconfig)
    spec = importlib.util.spec_from_file_location("test_some", file, loader=hook)
    assert spec is not None
    hook.exec_module(importlib.util.module_from_spec(spec))

    assert list(file.parent.rglob("*.pyc")) == [compiled]
    assert compiled.stat().st_ino == written.st_ino
