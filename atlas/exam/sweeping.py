"""Precision and recall of knowledge neurons over thresholds, as no scorer should be judged at one (METHOD 3, 3b)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from atlas.exam.marking import Mark
from atlas.exam.results import Row
from atlas.statistics import draws

if TYPE_CHECKING:
    from atlas.planted.truth import Truth
    from atlas.store.reader import Reader

Sweep = Literal["tau", "least"]
THRESHOLDS: Mapping[Sweep, Sequence[float]] = {
    "tau": [round(0.05 * step, 2) for step in range(1, 20)],
    "least": [float(10 ** (step / 4)) for step in range(-28, 0)],
}
"""What is swept: `tau` beside the scorer's own `least`, and `least` beside the `tau` of the definition `default`."""
TAU, SHARE = 0.2, 0.5
REPLICATES = 1000


@dataclass(frozen=True, slots=True)
class Swept:
    """One scorer's knowledge neurons on one planted model at one threshold."""

    family: str
    setting: str
    seed: int
    method: str
    sweep: Sweep
    threshold: float
    right: int
    wrong: int
    missed: int

    @property
    def mark(self) -> Mark:
        """The counts."""
        return Mark(self.right, self.wrong, self.missed)


def swept(opened: "Reader", run: int, truth: "Truth") -> Iterator[tuple[Sweep, float, Mark]]:
    """Yield the mark of a run's knowledge neurons at every threshold of both sweeps."""
    planted = sum(map(len, truth.knowledge.values()))
    for sweep, thresholds in THRESHOLDS.items():
        right, wrong = _highest(opened, run, truth, sweep)
        for threshold in thresholds:
            hits, false = (sum(value > threshold for value in values) for values in (right, wrong))
            yield sweep, threshold, Mark(hits, false, planted - hits)


def _highest(opened: "Reader", run: int, truth: "Truth", sweep: Sweep) -> tuple[list[float], list[float]]:
    """Return the threshold up to which each neuron is found: of the planted ones, and of all others."""
    sides: tuple[list[float], list[float]] = [], []
    for row in opened.sql(_PASSING, {"run": run, "tau": TAU}).to_pylist():
        key = row["fact"], row["language"]
        if key in truth.knowledge:
            wrong = (row["layer"], row["neuron"]) not in truth.knowledge[key]
            needed = floor(SHARE * row["usable"])  # more than a share of the prompts: the next best one has to pass
            sides[wrong].extend(sorted(row[sweep], reverse=True)[needed : needed + 1])
    return sides


def area(marks: Sequence[Mark]) -> float:
    """Return the area under precision over recall, `marks` going from the strictest threshold to the loosest.

    Each gain of recall counts at the precision that it comes with; recall that no threshold reaches counts as 0.
    """
    total, before = 0.0, 0.0
    for mark in marks:
        recall = mark.recall or 0.0
        total += max(recall - before, 0.0) * (mark.precision or 0.0)
        before = max(before, recall)
    return total


def by_area(rows: Sequence[Row], points: Sequence[Swept]) -> pa.Table:
    """Return F1 of knowledge neurons and the areas of both sweeps, by setting and scorer, with intervals over models.

    Counts are added up over models before they are divided; the 95 % intervals draw models, and there are none of one.
    """
    known = _grouped(((r.setting, r.method), r.seed, "F1", r.mark) for r in rows if r.target == "KN")
    for point in points:
        name = f"{point.sweep} {point.threshold:.9f}"
        marks = known[point.setting, point.method][point.seed]
        marks[name] = marks.get(name, Mark()) + point.mark
    lines = [
        {"setting": setting, "scorer": method} | _measured(list(models.values()))
        for (setting, method), models in known.items()
    ]
    return pa.Table.from_pylist(lines)


_Models = dict[tuple[str, str], dict[int, dict[str, Mark]]]


def _grouped(rows: Iterable[tuple[tuple[str, str], int, str, Mark]]) -> _Models:
    found: _Models = defaultdict(lambda: defaultdict(dict))
    for key, seed, name, mark in rows:
        found[key][seed][name] = found[key][seed].get(name, Mark()) + mark
    return found


def _measured(models: Sequence[Mapping[str, Mark]]) -> dict[str, str]:
    weights = draws(np.arange(len(models)), 0, REPLICATES)
    drawn = [_numbers(models, row) for row in weights]
    found = {}
    for name, value in drawn[0].items():
        low, high = np.quantile([one[name] for one in drawn[1:] or drawn], [0.025, 0.975])
        found[name] = f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if len(models) > 1 else "")
    return found


def _numbers(models: Sequence[Mapping[str, Mark]], weights: np.ndarray) -> dict[str, float]:
    """Return F1 and areas of the models' counts, each so many times."""

    def total(name: str) -> Mark:
        counts = np.array([[one[name].right, one[name].wrong, one[name].missed] for one in models])
        return Mark(*(weights @ counts).astype(int).tolist())

    numbers = {"KN F1": total("F1").f1 or 0.0}
    for sweep, thresholds in THRESHOLDS.items():
        marks = [total(f"{sweep} {threshold:.9f}") for threshold in sorted(thresholds, reverse=True)]
        numbers[f"area over {sweep}"] = area(marks)
    return numbers


_PASSING = """
WITH score AS (
    SELECT
        asked.fact, asked.language, a.layer, a.neuron, a.score / probe.max_score AS of_largest,
        a.score / probe.mean_probability AS of_answer, a.score > asked.lowest_score AS above_noise
    FROM attribution AS a
    JOIN probe ON probe.place = a.place
    JOIN usable_probe_of(thresholds()) AS asked ON asked.place = a.place
    WHERE a.run = $run AND a.score > 0
),
probed AS (
    SELECT prompt.fact, prompt.language, count(*) AS usable
    FROM probe JOIN prompt ON prompt.prompt = probe.prompt
    WHERE probe.run = $run AND usable(probe.status)
    GROUP BY ALL
)
SELECT
    score.fact, score.language, score.layer, score.neuron, any_value(probed.usable) AS usable,
    list(CASE WHEN above_noise THEN of_largest ELSE 0 END) AS tau,
    list(CASE WHEN of_largest > $tau THEN of_answer ELSE 0 END) AS least
FROM score JOIN probed ON probed.fact = score.fact AND probed.language = score.language
GROUP BY score.fact, score.language, score.layer, score.neuron
"""
