"""The exam's results: one row a mark, and the tables made of them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

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
    found = sums(rows, "setting", "method", "target")
    lines = []
    for setting, method in dict.fromkeys(key[:2] for key in found):
        line: dict[str, object] = {"setting": setting, "scorer": method}
        for target in TARGETS:
            numbers = _numbers(found.get((setting, method, target), Mark()))
            line |= {f"{target} {name}": None if value is None else round(value, 3) for name, value in numbers.items()}
        decoys = found.get((setting, method, "decoy"), Mark())
        line["decoys taken"] = f"{decoys.wrong}/{decoys.right + decoys.wrong}"
        against = found.get((setting, method, "suppressor"), Mark())
        line["suppressors found"] = f"{against.right}/{against.right + against.missed}" + (
            f" +{against.wrong}" if against.wrong else ""
        )
        lines.append(line)
    return pa.Table.from_pylist(lines)


def by_circuit(rows: Sequence[Row], setting: str) -> pa.Table:
    """Return each scorer's recall of knowledge neurons and DKN in one setting, a line for each kind of circuit.

    `+n` says that n were found wrongly; `none` that there is nothing to find.
    """
    lines: dict[tuple[object, ...], dict[str, object]] = {}
    here = [row for row in rows if row.setting == setting and row.target in ("KN", "DKN")]
    nothing = dict.fromkeys((row.method for row in here), _recall(Mark()))
    for (target, circuit, method), mark in sums(here, "target", "circuit", "method").items():
        line = lines.setdefault((target != "KN", circuit), {"set": target, "circuit": circuit, **nothing})
        line[method] = _recall(mark)
    return pa.Table.from_pylist([lines[key] for key in sorted(lines)])


def sums(rows: Iterable[Row], *columns: str) -> dict[tuple[Any, ...], Mark]:
    """Return the sum of the marks by the values of some columns, in the order of the rows."""
    found: dict[tuple[Any, ...], Mark] = {}
    for row in rows:
        key = tuple(getattr(row, column) for column in columns)
        found[key] = found.get(key, Mark()) + row.mark
    return found


def _recall(mark: Mark) -> str:
    recall = "none" if mark.recall is None else f"{mark.recall:.2f}"
    return f"{recall} +{mark.wrong}" if mark.wrong else recall


def _numbers(mark: Mark) -> dict[str, float | None]:
    return {"precision": mark.precision, "recall": mark.recall, "F1": mark.f1}
