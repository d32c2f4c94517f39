"""What is said of the claims that a user asks about, and how it is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atlas.checking.claims import Claim
from atlas.ids import neuron_name
from atlas.statistics import Interval, Judged, measure

_WORDS = {True: "supported", False: "not supported", None: None}


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


def marks(rows: pa.Table, seed: int) -> tuple[int, Mapping[str, Interval]]:
    """Return how many claims of known truth have a verdict, and accuracy, AUROC and so on over these; see `measure`.

    `rows` are those of `answer_rows`.
    """
    asked = [row for row in rows.to_pylist() if row["truth"] is not None and row["verdict"] is not None]
    if not asked:
        return 0, {}
    judged = Judged(
        scores=np.array([row["score"] for row in asked], dtype=np.float64),
        supported=np.array([row["verdict"] == _WORDS[True] for row in asked], dtype=bool),
        truth=np.array([row["truth"] for row in asked], dtype=bool),
        group=_numbered([f"{row['relation']} {row['language']}" for row in asked]),
        subject=_numbered([row["subject"] for row in asked]),
    )
    return len(asked), measure(judged, seed)


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


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
    return {
        "subject": claim.subject,
        "relation": claim.relation,
        "object": claim.object,
        "language": claim.language,
        "truth": claim.truth,
        "verdict": _WORDS[answer.supported],
        "score": answer.score,
        "threshold": answer.threshold,
        "probability": answer.probability,
        "evidence": answer.evidence,
        "neurons": [f"{neuron_name(layer, neuron)}: {score:.3g}" for layer, neuron, score in answer.neurons],
        "texts": list(answer.texts),
        "status": answer.status,
        "notes": list(answer.notes),
    }
