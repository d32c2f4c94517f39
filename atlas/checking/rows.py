"""Claims and verdicts as rows of the tables `claim` and `verdict`."""

import math
from collections.abc import Sequence

import pyarrow as pa

from atlas import schema
from atlas.checking.cases import Case
from atlas.checking.evaluation import Verdicts


def claim_table(cases: Sequence[Case]) -> pa.Table:
    """Return a row for every claim, each once."""
    rows = {
        case.id: {
            "claim": case.id,
            "fact": case.fact.id,
            "language": case.language,
            "relation": case.fact.relation,
            "subject": case.subject,
            "object": case.object,
            "texts": [prompt.text for prompt in case.prompts],
            "condition": case.condition,
            "truth": case.truth,
            "split": case.split,
        }
        for case in cases
    }
    return pa.Table.from_pylist(list(rows.values()), schema=schema.arrow("claim"))


def verdict_table(evaluation: int, run: int, cases: Sequence[Case], verdicts: Sequence[Verdicts]) -> pa.Table:
    """Return a row for every claim, evidence and language of the neurons; what is missing is NULL."""
    rows = {}
    for kind in verdicts:
        for i, case in enumerate(cases):
            score, threshold = _number(kind.scores[i]), _number(kind.thresholds[i])
            known = score is not None and threshold is not None
            rows[case.id, kind.evidence, kind.source[i]] = {
                "evaluation": evaluation,
                "run": run,
                "claim": case.id,
                "evidence": kind.evidence,
                "source_language": kind.source[i],
                "score": score,
                "threshold": threshold,
                "supported": score > threshold if score is not None and threshold is not None else None,
                "status": kind.status[i] if known or kind.status[i] != "ok" else "no score",
            }
    return pa.Table.from_pylist(list(rows.values()), schema=schema.arrow("verdict"))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
