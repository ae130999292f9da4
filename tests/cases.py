"""Hundreds of small cases in one test: each as a test of its own takes a worker longer to announce, begin and report than to run."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager


@contextmanager
def every_case() -> Iterator[Callable[[object], AbstractContextManager[None]]]:
    """`with every_case() as case:`, and within it `with case(name):` for each.

    Whatever one raises hides none of the others; at the end the test fails with all their names and tracebacks, or because there was no case.
    """
    failures: list[str] = []
    count = 0

    @contextmanager
    def case(name: object) -> Iterator[None]:
        nonlocal count
        count += 1
        try:
            yield
        except Exception as error:  # noqa: BLE001 - as in a test: whatever it is
            failures.append(f"--- {name}\n{''.join(traceback.format_exception(error))}")

    yield case
    assert count, "no case"
    assert not failures, f"{len(failures)} of {count} cases:\n" + "\n".join(failures)
