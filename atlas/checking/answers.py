"""What is said of the claims that a user asks about, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from atlas.checking.claims import Claim


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one claim; `status` is `ok`, or why there is no verdict.

    `probability` is the model's own for the claimed object, over all its tokens; `neurons` are `(layer, neuron, score)`
    of the largest scores, `texts` the prompts that the claim was put in, `notes` what a reader should know.
    """

    claim: Claim
    evidence: str
    status: str
    texts: tuple[str, ...] = ()
    score: float | None = None
    threshold: float | None = None
    probability: float | None = None
    neurons: tuple[tuple[int, int, float], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def supported(self) -> bool | None:
        """Whether the score exceeds the threshold; None without a verdict."""
        if self.status != "ok" or self.score is None or self.threshold is None:
            return None
        return self.score > self.threshold


def answer_rows(answers: Sequence[Answer]) -> pa.Table:
    """Return answers as a table for output, one row a claim, in order."""
    texts = ("subject", "relation", "object", "language", "verdict", "evidence", "status")
    types = dict.fromkeys(texts, pa.string()) | {"truth": pa.bool_()}
    types |= dict.fromkeys(("score", "threshold", "probability"), pa.float64())
    types |= dict.fromkeys(("neurons", "texts", "notes"), pa.list_(pa.string()))
    rows = list(map(_row, answers))
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, types[name]) for name in rows[0]]))


def _row(answer: Answer) -> dict[str, Any]:
    claim = answer.claim
    words = {True: "supported", False: "not supported", None: None}
    return {
        "subject": claim.subject,
        "relation": claim.relation,
        "object": claim.object,
        "language": claim.language,
        "truth": claim.truth,
        "verdict": words[answer.supported],
        "score": answer.score,
        "threshold": answer.threshold,
        "probability": answer.probability,
        "evidence": answer.evidence,
        "neurons": [f"{layer}.{neuron}: {score:.3g}" for layer, neuron, score in answer.neurons],
        "texts": list(answer.texts),
        "status": answer.status,
        "notes": list(answer.notes),
    }
