"""The table of an evaluation: every kind of evidence under every condition, with intervals over subjects."""

from typing import Any

import pyarrow as pa

from atlas.checking.evaluation import EVIDENCE, ClaimEvaluation
from atlas.statistics import METRICS, Interval, auroc_difference, measure

DIFFERENCE = "auroc_over_probability"


def evaluation_table(found: ClaimEvaluation, seed: int) -> pa.Table:
    """Return a row for each condition and evidence; a metric is `value`, `_low` and `_high`, null where not defined.

    `auroc_over_probability` is the AUROC less that of the model's own probability on the same claims, paired.
    """
    own = {v.evidence: v for v in reversed(found.verdicts) if not _is_across(found, v.source)}
    rows = []
    for condition in dict.fromkeys(case.condition for case in found.cases if case.split == "test"):
        base, _ = found.judged(own["probability"], condition)
        for evidence in EVIDENCE:
            judged, unusable = found.judged(own[evidence], condition)
            numbers = measure(judged, seed) | {DIFFERENCE: auroc_difference(judged, base, seed)}
            head = {"condition": condition, "evidence": evidence, "claims": len(judged.truth), "unusable": unusable}
            rows.append(head | _cells(numbers))
    columns = pa.Table.from_pylist(rows).schema
    return pa.table({c.name: pa.array([row[c.name] for row in rows], c.type, from_pandas=True) for c in columns})


def compact(table: pa.Table) -> pa.Table:
    """Return the rows of `evaluation_table` with each metric and its interval as one text."""
    rows = table.select(["condition", "evidence", "claims", "unusable"]).to_pylist()
    for row, numbers in zip(rows, table.to_pylist(), strict=True):
        for name in (*METRICS, DIFFERENCE):
            values = (numbers[f"{name}{end}"] for end in ("", "_low", "_high"))
            row[name] = "{} ({} to {})".format(*("-" if value is None else f"{value:.3f}" for value in values))
    return pa.Table.from_pylist(rows)


def _is_across(found: ClaimEvaluation, source: Any) -> bool:
    return any(case.language != code for case, code in zip(found.cases, source, strict=True))


def _cells(numbers: dict[str, Interval]) -> dict[str, object]:
    cells: dict[str, object] = {}
    for name in (*METRICS, DIFFERENCE):
        number = numbers[name]
        cells |= {name: number.value, f"{name}_low": number.low, f"{name}_high": number.high}
    return cells
