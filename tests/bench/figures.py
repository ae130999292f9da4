"""The figures that a benchmark returns, the table that shows them, and the file that keeps them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parents[2] / "bench-results.jsonl"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: the values of all our runs and, where there is a peer, of all of its runs."""

    name: str
    unit: str
    ours_runs: Sequence[float]
    peer_name: str | None = None
    peer_runs: Sequence[float] = ()

    @property
    def ours(self) -> float:
        return median(self.ours_runs)

    @property
    def peer(self) -> float | None:
        return median(self.peer_runs) if self.peer_runs else None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    def to_json(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "ours": round(self.ours, 4),
                "peer": None if self.peer is None else round(self.peer, 4),
                "peer_name": self.peer_name if self.peer_runs else None,
                "ratio": None if self.ratio is None else round(self.ratio, 2),
                "unit": self.unit,
                "runs": {
                    "ours": [round(run, 4) for run in self.ours_runs],
                    "peer": [round(run, 4) for run in self.peer_runs],
                },
            }
        )


def _shown(value: float) -> str:
    if 0 < value < 0.1:
        return f"{value:.4f}"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def keep(figures: Sequence[Figure]) -> None:
    with RESULTS.open("a") as results:
        results.writelines(figure.to_json() + "\n" for figure in figures)


def table(figures: Sequence[Figure]) -> str:
    lines = [f"{'figure':<28}{'ours':>10}{'peer':>10}{'ratio':>8}  unit"]
    for figure in figures:
        peer = "-" if figure.peer is None else _shown(figure.peer)
        ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
        lines.append(f"{figure.name:<28}{_shown(figure.ours):>10}{peer:>10}{ratio:>8}  {figure.unit}")
    return "\n".join(lines)
