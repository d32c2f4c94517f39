"""What attribution hands on: one record per prompt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """Per layer, each `[layer]`: the sum of scores, F(w), F(w'), two errors and the nodes used.

    `completeness_error` is |score_sum - (F(w) - F(w'))|, in which errors of neurons can cancel; `score_error` is about
    how far the worst of the layer's scores is from exact. A scorer without a path has NaN for F(w') and both, and 0
    nodes; a fixed rule does not know the second.
    """

    score_sum: Array
    f: Array
    f_baseline: Array
    completeness_error: Array
    score_error: Array
    nodes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PromptAttribution:
    """The scores of one prompt and what the model says about its answer (METHOD 1-2).

    `status` is `ok`, `not_converged` (usable, some layer is above the tolerance), `unresolved` (not usable, some layer
    is above ten times the tolerance), or says why there are no numbers: `not_final`, `unspellable`, `too_long`,
    `no_subject`, `nan`. `scores` is `[layer, neuron]`, and so are `rounds`, the first after which any step of a scorer
    with several cut the neuron; 0 for none. `rank` is that of the answer's first token, `argmax` whether each of its
    tokens is the most probable one. `prediction` is the name of the most probable first token, `unknown` what
    `Step` counts.
    """

    prompt: int
    status: str
    probability: float | None = None
    mean_probability: float | None = None
    rank: int | None = None
    argmax: bool | None = None
    prediction: str | None = None
    prediction_text: str | None = None
    unknown: int | None = None
    tokens: tuple[str, ...] = ()
    scores: NDArray[np.float32] | None = None
    layers: LayerRecord | None = None
    rounds: NDArray[np.uint8] | None = None

    @property
    def max_score(self) -> float | None:
        """The largest score over all layers."""
        return None if self.scores is None else float(self.scores.max())
