"""Claims and verdicts as rows of the tables `claim` and `verdict`."""

import math
from collections.abc import Sequence

import pyarrow as pa

from atlas.checking.answers import Answer
from atlas.checking.evaluation import Verdicts
from atlas.checking.known_claims import KnownClaim, claim_id
from atlas.store.rows import table


def claim_table(cases: Sequence[KnownClaim]) -> pa.Table:
    """Return a row for every claim, each once."""
    rows = {}
    for case in cases:
        said = (case.language, case.fact.relation, case.subject, case.object, [prompt.text for prompt in case.prompts])
        rows[case.id] = (case.id, case.fact.id, *said, case.condition, case.truth, case.split)
    return table("claim", rows.values())


def verdict_table(evaluation: int, run: int, cases: Sequence[KnownClaim], verdicts: Sequence[Verdicts]) -> pa.Table:
    """Return a row for every claim, evidence and language of the neurons; what is missing is NULL."""
    rows = {}
    for kind in verdicts:
        for i, case in enumerate(cases):
            key = case.id, kind.evidence, kind.source[i]
            score, threshold = _number(kind.scores[i]), _number(kind.thresholds[i])
            known = score is not None and threshold is not None
            supported = score > threshold if score is not None and threshold is not None else None
            status = kind.status[i] if known or kind.status[i] != "ok" else "no score"
            rows[key] = (evaluation, run, *key, score, threshold, supported, status)
    return table("verdict", rows.values())


def asked_tables(answers: Sequence[Answer], run: int, evaluations: Sequence[int]) -> dict[str, pa.Table]:
    """Return the tables `claim` and `verdict` of claims that were put to the model, each of its own evaluation."""
    claims, verdicts = {}, {}
    for answer, evaluation in zip(answers, evaluations, strict=True):
        claim, language = answer.claim, str(answer.claim.language)
        said = (language, claim.relation, claim.subject, claim.object, list(answer.texts))
        number = claim_id(*said, "asked")
        claims[number] = (number, None, *said, "asked", claim.truth, None)
        judged = (answer.score, answer.threshold, answer.supported, answer.status)
        verdicts[number] = (evaluation, run, number, answer.evidence, language, *judged)
    return {"claim": table("claim", claims.values()), "verdict": table("verdict", verdicts.values())}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
