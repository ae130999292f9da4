"""`python -m tests.bench [NAME …]`: measure, print a table, append one JSON line per figure to bench-results.jsonl."""

import sys

from tests.bench import (
    accept,
    erasure,
    fairness,
    memory,
    orders,
    pages,
    purge,
    refresh,
    replies,
    report,
    rest,
    scale,
    scale_visible,
    visible,
)
from tests.bench.figures import keep, table

BENCHMARKS = {
    "accept": accept.measure,
    "accept_one_core": accept.measure_on_one_core,
    "erasure": erasure.measure,
    "fairness": fairness.measure,
    "memory": memory.measure,
    "orders": orders.measure,
    "pages": pages.measure,
    "purge": purge.measure,
    "refresh": refresh.measure,
    "replies": replies.measure,
    "report": report.measure,
    "rest": rest.measure,
    "scale": scale.measure,
    "scale_visible": scale_visible.measure,
    "visible": visible.measure,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"Unknown: {', '.join(unknown)}. There are: {', '.join(BENCHMARKS)}.", file=sys.stderr)  # noqa: T201
        return 2
    for name in names or list(BENCHMARKS):
        figures = BENCHMARKS[name]()
        print("\n" + table(figures))  # noqa: T201
        keep(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
