"""Code is loaded without the garbage collector."""

import gc
import importlib
from collections.abc import Iterator

import pytest

from shared.loading import loading


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()


def test_the_collector_rests_while_code_is_loaded_and_leaves_out_what_was():
    gc.enable()

    with loading():
        was_enabled = gc.isenabled()
        loaded: list[list[int]] = [[] for _ in range(1000)]
        frozen_before = gc.get_freeze_count()

    assert not was_enabled
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen_before + len(loaded)


def test_a_collector_that_somebody_has_switched_off_stays_off():
    gc.disable()

    with loading():
        pass

    assert not gc.isenabled()


def test_it_works_again_after_an_import_that_fails():
    gc.enable()

    with pytest.raises(ModuleNotFoundError), loading():
        importlib.import_module("services.no_such_module")

    assert gc.isenabled()
