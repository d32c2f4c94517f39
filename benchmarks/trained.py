"""On the trained demo models: nodes spent, completeness, and what bfloat16 changes."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from atlas.attribution import PromptAttribution, Settings, attribute
from atlas.facts import Prompt, read
from atlas.models import load_model
from benchmarks.job import Job
from benchmarks.tables import Cell, Table

METHODS = (Settings(method="kn", tolerance=0.01), Settings(method="amig", tolerance=0.01))
SETTLED = 0.2
"""A neuron counts where its score is above this share of the prompt's maximum."""


def tables(job: Job) -> list[Table]:
    """Nodes a layer, completeness error and agreement of bfloat16 with float32."""
    prompts = list(read("bundled", limit=5 if job.quick else 20).prompts())
    spent: list[Sequence[Cell]] = []
    rounded: list[Sequence[Cell]] = []
    for name in ("demo-mbert", "demo-mgpt"):
        for settings in METHODS:
            wide, narrow = (_found(name, dtype, prompts, settings, job) for dtype in ("float32", "bfloat16"))
            spent.append((name, settings.method, len(wide), *_spent(wide)))
            rounded.append((name, settings.method, *_agreement(wide, narrow)))
    return [
        Table(
            "Trained demo models, tolerance 1 %",
            (
                "model",
                "method",
                "prompts",
                "nodes a layer, mean",
                "% of layers within tolerance",
                "worst, of tolerance",
            ),
            spent,
        ),
        Table(
            "bfloat16 against float32, trained demo models",
            ("model", "method", "rank correlation", "overlap of neurons"),
            rounded,
            f"Overlap: neurons above {SETTLED} of the maximum in both over those in either; mean over prompts.",
        ),
    ]


def _found(
    name: str, dtype: Literal["float32", "bfloat16"], prompts: Sequence[Prompt], settings: Settings, job: Job
) -> list[PromptAttribution]:
    model = load_model(name, dtype=dtype, device=str(job.device))
    return [result for result in attribute(model, prompts, settings) if result.scores is not None]


def _spent(results: Sequence[PromptAttribution]) -> tuple[float, float, float]:
    """Return mean nodes, % of layers within the tolerance, and the largest error over what the tolerance allows."""
    layers = [result.layers for result in results if result.layers]
    allowed = [0.01 * np.maximum(np.abs(layer.f - layer.f_baseline), 0.01 * layer.f) for layer in layers]
    errors = np.concatenate([layer.completeness_error / most for layer, most in zip(layers, allowed, strict=True)])
    return (
        float(np.mean([layer.nodes.mean() for layer in layers])),
        100 * float(np.mean(errors <= 1)),
        float(errors.max()),
    )


def _agreement(found: Sequence[PromptAttribution], other: Sequence[PromptAttribution]) -> tuple[float, float]:
    """Return mean rank correlation of all scores and mean Jaccard overlap of the neurons that count."""
    correlations, overlaps = [], []
    for a, b in zip(found, other, strict=True):
        pair = [result.scores for result in (a, b) if result.scores is not None]
        first, second = (scores.ravel().argsort().argsort().astype(float) for scores in pair)
        correlations.append(np.corrcoef(first, second)[0, 1])
        sets = [set(np.flatnonzero(scores > SETTLED * scores.max())) for scores in pair]
        overlaps.append(len(sets[0] & sets[1]) / len(sets[0] | sets[1]))
    return float(np.mean(correlations)), float(np.mean(overlaps))
