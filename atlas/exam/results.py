"""The exam's results: one row a mark, and the tables made of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from atlas.exam.marking import Mark

TARGETS = ("KN", "LIKN", "DKN")


@dataclass(frozen=True, slots=True)
class Row:
    """One scorer on one planted model: what it made of one target in circuits of one kind."""

    family: str
    setting: str
    axis: str
    background: float
    facts: int
    layers: int
    seed: int
    method: str
    target: str
    circuit: str
    right: int
    wrong: int
    missed: int

    @property
    def mark(self) -> Mark:
        """The row's counts."""
        return Mark(self.right, self.wrong, self.missed)


@dataclass(frozen=True, slots=True)
class Failure:
    """A model that could not be planted: the setting, the seed and the reason."""

    setting: str
    seed: int
    reason: str


def all_rows(rows: Sequence[Row]) -> pa.Table:
    """Return every row, with precision, recall and F1."""
    return pa.Table.from_pylist([asdict(row) | _numbers(row.mark) for row in rows])


def by_setting(rows: Sequence[Row]) -> pa.Table:
    """Return precision, recall and F1 of each target, and the share of decoys taken, by setting and scorer.

    Counts are added up over circuits and seeds before they are divided.
    """
    lines = []
    for setting, method in dict.fromkeys((row.setting, row.method) for row in rows):
        own = [row for row in rows if row.setting == setting and row.method == method]
        line: dict[str, object] = {"setting": setting, "scorer": method}
        for target in TARGETS:
            numbers = _numbers(total(own, lambda row, target=target: row.target == target))
            line |= {f"{target} {name}": _shown(value) for name, value in numbers.items()}
        decoys = total(own, lambda row: row.target == "decoy")
        line["decoys taken"] = f"{decoys.wrong}/{decoys.right + decoys.wrong}"
        lines.append(line)
    return pa.Table.from_pylist(lines)


def by_circuit(rows: Sequence[Row], setting: str) -> pa.Table:
    """Return each scorer's recall of knowledge neurons and DKN in one setting, a line for each kind of circuit.

    `+n` says that n were found wrongly; `none` that there is nothing to find.
    """
    here = [row for row in rows if row.setting == setting]
    methods = list(dict.fromkeys(row.method for row in here))
    lines = []
    for target in ("KN", "DKN"):
        for kind in sorted({row.circuit for row in here if row.target == target}):
            line: dict[str, object] = {"set": target, "circuit": kind}
            for method in methods:
                mark = total(here, lambda r, m=method, t=target, k=kind: (r.method, r.target, r.circuit) == (m, t, k))
                line[method] = _recall(mark)
            lines.append(line)
    return pa.Table.from_pylist(lines)


def total(rows: Iterable[Row], chosen: Callable[..., bool]) -> Mark:
    """Return the sum of the marks of the chosen rows."""
    return sum((row.mark for row in rows if chosen(row)), Mark())


def _recall(mark: Mark) -> str:
    recall = "none" if mark.recall is None else f"{mark.recall:.2f}"
    return f"{recall} +{mark.wrong}" if mark.wrong else recall


def _numbers(mark: Mark) -> dict[str, float | None]:
    return {"precision": mark.precision, "recall": mark.recall, "F1": mark.f1}


def _shown(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
