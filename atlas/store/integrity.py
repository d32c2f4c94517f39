"""Integrity checks of an atlas: SQL that returns the rows that are wrong, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlas import schema
from atlas.store.connection import named

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.store.reader import Reader

_SHOWN = 10
_REBUILD = "the atlas was written to by something else; build it again into a new file"
_REMEDIES = {
    ("prompt", None): "`atlas import` the data set that they come from",
    ("in_use", "run"): "`atlas use --newest` takes the newest run, `--run` another",
    ("in_use", "definition"): "`atlas use --definition default` takes the one that is always there",
}
"""What to do about rows of a table that lack one of another, or any."""
_BY_PLACE = ("probe_layer", "attribution")
"""Tables whose rows hang on a probe by their place; the checks of places stand for those of run and prompt."""


@dataclass(frozen=True, slots=True)
class Check:
    """Rows that should not be there; `harmless` ones are a warning."""

    name: str
    remedy: str
    sql: str
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found: how many rows, and the first of them."""

    check: Check
    rows: int
    sample: pa.Table

    @property
    def ok(self) -> bool:
        """True if there was nothing to find."""
        return self.rows == 0


def run(atlas: Reader) -> list[CheckResult]:
    """Run every check on an open atlas; raises StoreError for a file that cannot be read."""
    return [result(atlas, check) for check in CHECKS]


def result(atlas: Reader, check: Check) -> CheckResult:
    """Run one check; raises StoreError for a file that cannot be read."""
    sample = atlas.sql(f"SELECT *, count(*) OVER () AS n_rows FROM ({check.sql}) LIMIT {_SHOWN}")
    rows = sample["n_rows"][0].as_py() if sample.num_rows else 0
    return CheckResult(check, rows, sample.drop_columns(["n_rows"]))


def _orphans() -> Iterator[Check]:
    """Yield a check for every column that refers to another table."""
    for table in schema.TABLES.values():
        for column in table.columns if table.name not in _BY_PLACE else ():
            if column.refers:
                yield Check(
                    f"rows of {table.name} without their {column.refers}",
                    _REMEDIES.get((table.name, column.refers)) or _REMEDIES.get((table.name, None), _REBUILD),
                    f'SELECT DISTINCT "{column.name}" FROM {table.name} WHERE "{column.name}" IS NOT NULL '
                    f'AND "{column.name}" NOT IN (SELECT {column.refers} FROM {column.refers})',
                )


def _doubles() -> Iterator[Check]:
    """Yield a check for every key; scores, which are sorted, have a check of their own."""
    for table in schema.TABLES.values():
        if table.name != "attribution":
            keys = named(*table.key)
            yield Check(
                f"rows of {table.name} that come twice",
                _REBUILD,
                f"SELECT {keys} FROM {table.name} GROUP BY {keys} HAVING count(*) > 1",
            )


def _placed() -> Iterator[Check]:
    """Yield a check for every table that hangs on a probe by its place."""
    for name in _BY_PLACE:
        yield Check(
            f"rows of {name} without their probe",
            _REBUILD,
            f"SELECT DISTINCT place, run, prompt FROM {name} ANTI JOIN probe USING (place, run, prompt)",
        )


def _numbers() -> Iterator[Check]:
    """Yield a check for every table with measured numbers."""
    for table in schema.TABLES.values():
        measured = [f'"{column.name}"' for column in table.columns if column.type in ("DOUBLE", "FLOAT")]
        if measured:
            wrong = " OR ".join(f"NOT isfinite({name})" for name in measured)
            keys = named(*table.key)
            yield Check(
                f"rows of {table.name} with numbers that are none",
                _REBUILD,
                f"SELECT {keys} FROM {table.name} WHERE {wrong}",
            )


CHECKS: tuple[Check, ...] = (
    Check(
        "runs that are not done",
        "the same `atlas build` goes on where it stopped",
        "SELECT run, method, status FROM run WHERE status <> 'done'",
        harmless=True,
    ),
    *_orphans(),
    *_doubles(),
    *_placed(),
    *_numbers(),
    Check(
        "scores that come twice or out of order",
        _REBUILD,
        """
SELECT run, prompt, layer, neuron FROM (
    SELECT *, lag((place, layer, neuron)) OVER () AS before FROM attribution
)
WHERE before >= (place, layer, neuron)
""",
    ),
    Check(
        "scored probes without a probability, or others with one",
        _REBUILD,
        f"""
SELECT run, prompt, status FROM probe
WHERE ({schema.scored("status")}) <> (probability IS NOT NULL AND max_score IS NOT NULL)
""",
    ),
    Check(
        "probes whose largest score is not among their scores",
        _REBUILD,
        """
SELECT probe.run, probe.prompt, probe.max_score, stored.largest
FROM probe LEFT JOIN (SELECT place, max(score) AS largest FROM attribution GROUP BY place) AS stored USING (place)
WHERE probe.max_score > 0 AND stored.largest IS DISTINCT FROM probe.max_score
""",
    ),
    Check(
        "scored probes without a row for each layer",
        _REBUILD,
        f"""
SELECT probe.run, probe.prompt, stored.layers AS found, model.layers
FROM probe JOIN run USING (run) JOIN model USING (model)
LEFT JOIN (SELECT place, count(*) AS layers FROM probe_layer GROUP BY place) AS stored USING (place)
WHERE {schema.scored("probe.status")} AND stored.layers IS DISTINCT FROM model.layers
""",
    ),
    Check(
        "scores of neurons that the model does not have",
        _REBUILD,
        """
SELECT DISTINCT run.run, attribution.layer, attribution.neuron
FROM attribution JOIN run USING (run) JOIN model USING (model)
WHERE attribution.layer >= model.layers OR attribution.neuron >= model.neurons
""",
    ),
    Check(
        "layers whose scores do not add up to what their completeness error says",
        _REBUILD,
        """
SELECT probe_layer.run, prompt, layer FROM probe_layer JOIN run USING (run)
WHERE run.method <> 'joint' AND abs(score_sum - (f - f_baseline)) > completeness_error + 1e-6
""",
    ),
    Check(
        "prompts whose joint scores do not add up to what their completeness error says",
        _REBUILD,
        """
SELECT probe_layer.run, prompt FROM probe_layer JOIN run USING (run)
WHERE run.method = 'joint'
GROUP BY probe_layer.run, prompt
HAVING abs(sum(score_sum) - any_value(f - f_baseline)) > any_value(completeness_error) + 1e-6
""",
    ),
)
"""In the order in which they are told."""
