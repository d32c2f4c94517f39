"""Bootstrap intervals of fact checking, from the verdicts that the atlas holds (METHOD 6)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from atlas.reports.query import Row
from atlas.statistics import REPLICATES, Judged, measure

if TYPE_CHECKING:
    import atlas

SEED = 0
_MOST = 20_000_000
"""Weights to hold at once: with many claims, fewer bootstrap samples are drawn."""

_METRICS = ("auroc", "accuracy", "f1")
_VERDICTS = """
SELECT
    claim.condition, verdict.evidence, claim.truth, coalesce(verdict.supported, false) AS supported,
    coalesce(verdict.score, 'nan'::DOUBLE) AS score,
    dense_rank() OVER (ORDER BY claim.relation, claim.language) AS stratum,
    dense_rank() OVER (ORDER BY coalesce(fact.subject, claim.subject)) AS subject
FROM verdict JOIN claim USING (claim) LEFT JOIN fact ON fact.fact = claim.fact
WHERE verdict.evaluation = $evaluation AND claim.split = 'test' AND claim.truth IS NOT NULL
    AND verdict.source_language = claim.language AND claim.condition = $condition AND verdict.evidence = $evidence
ORDER BY verdict.claim
"""


def with_intervals(source: "atlas.Atlas", evaluation: int, rows: Sequence[Row]) -> list[Row]:
    """Return the rows of an evaluation's metrics, each with the ends of the intervals of AUROC, accuracy and F1."""
    return [_widened(row, judged(source, evaluation, row["condition"], row["evidence"])) for row in rows]


def judged(source: "atlas.Atlas", evaluation: int, condition: str, evidence: str) -> Judged:
    """Return the test claims of a condition as one kind of evidence judged them."""
    bound = {"evaluation": evaluation, "condition": condition, "evidence": evidence}
    found = source.sql(_VERDICTS, bound).to_pydict()
    return Judged(
        np.array(found["score"], dtype=float),
        np.array(found["supported"], dtype=bool),
        np.array(found["truth"], dtype=bool),
        np.array(found["stratum"], dtype=np.int64),
        np.array(found["subject"], dtype=np.int64),
    )


def _widened(row: Row, claims: Judged) -> Row:
    replicates = max(100, min(REPLICATES, _MOST // max(len(claims.truth), 1)))
    measured = measure(claims, SEED, replicates)
    wide: Row = {}
    for name, value in row.items():
        wide[name] = value
        if name in _METRICS:
            wide |= {f"{name}_low": measured[name].low, f"{name}_high": measured[name].high}
    return wide
