"""Attribution of many prompts: steps of like length run together, prompts gather their steps (METHOD 1-2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from atlas.attribution.batch import StepBatch
from atlas.attribution.budget import Budget
from atlas.attribution.results import LayerRecord, PromptAttribution
from atlas.attribution.scorers import score_steps, sequence_bytes
from atlas.attribution.settings import Settings
from atlas.errors import TokenError
from atlas.facts import Prompt
from atlas.models import LanguageModel, NotFinalError, Step, TooLongError
from atlas.models.readout import token_ranks

MOST_STEPS = 64
"""How many steps run together at most."""


@dataclass(frozen=True, slots=True)
class _StepResult:
    """One step's numbers, each as in `StepScores` without the step axis, and what the model answers."""

    scores: np.ndarray
    layers: np.ndarray  # [f, f_baseline, error, nodes; layer]
    f: float
    converged: bool
    rank: int
    best: int


def attribute(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    settings: Settings | None = None,
    budget: Budget | int | None = None,
) -> list[PromptAttribution]:
    """Score every neuron for every prompt, in the order given.

    `budget` is the memory for activations in bytes (default: by device and model), or a `Budget` that several calls
    share. On a refusal of memory it is halved and the work goes on, with one warning. Prompts that cannot be used come
    back with the status that says why.
    """
    settings = settings or Settings()
    budget = budget if isinstance(budget, Budget) else Budget.of(model, budget)
    steps, unusable = _tokenise(model, prompts)
    flat = [(index, step) for index, group in enumerate(steps) for step in group]
    found: dict[int, list[_StepResult]] = {}
    for index, result in _in_batches(model, flat, settings, budget):
        found.setdefault(index, []).append(result)
    return [
        PromptAttribution(prompt.id, unusable[i]) if i in unusable else _gather(model, prompt, steps[i], found[i])
        for i, prompt in enumerate(prompts)
    ]


def _tokenise(model: LanguageModel, prompts: Sequence[Prompt]) -> tuple[list[list[Step]], dict[int, str]]:
    """Return the steps of each prompt, and the status of those that have none."""
    steps: list[list[Step]] = []
    unusable = {}
    for index, prompt in enumerate(prompts):
        try:
            steps.append(model.steps(prompt))
        except (TokenError, NotFinalError, TooLongError) as error:
            unusable[index] = _STATUS[type(error)]
            steps.append([])
    return steps, unusable


_STATUS: dict[type[Exception], str] = {
    TokenError: "unspellable",
    NotFinalError: "not_final",
    TooLongError: "too_long",
}


def _in_batches(
    model: LanguageModel, flat: Sequence[tuple[int, Step]], settings: Settings, budget: Budget
) -> Iterator[tuple[int, _StepResult]]:
    """Yield `(prompt index, result)` of every step, in the order of the steps of each prompt."""
    rest = sorted(flat, key=lambda pair: pair[1].shape)
    while rest:
        results = budget.spend(partial(_first_batch, model, [step for _, step in rest[:MOST_STEPS]], settings))
        yield from zip((index for index, _ in rest), results, strict=False)
        rest = rest[len(results) :]


def _first_batch(model: LanguageModel, steps: Sequence[Step], settings: Settings, budget: int) -> list[_StepResult]:
    """Score the first of `steps`, in the order of their shapes: as many as can run together in `budget` bytes."""
    together = [step for step in steps if step.shape == steps[0].shape or model.kind == "causal"]
    longest = len(together[-1].ids)
    batch = StepBatch.of(model, together[: max(1, budget // (2 * sequence_bytes(model, longest)))])
    scores = score_steps(model, batch, settings, budget)
    rank, best = token_ranks(model, scores.features, batch.target)
    layers = torch.stack([scores.f, scores.f_baseline, scores.error, scores.nodes.to(scores.f.dtype)], dim=1)
    columns = (scores.scores, layers, scores.f[:, 0], scores.converged, rank, best)
    arrays = [_numpy(column) for column in columns]
    return [
        _StepResult(arrays[0][i], arrays[1][i], *(array[i].item() for array in arrays[2:])) for i in range(len(rank))
    ]


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _gather(
    model: LanguageModel, prompt: Prompt, steps: Sequence[Step], results: Sequence[_StepResult]
) -> PromptAttribution:
    """Return a prompt's record: the mean of its steps' scores, the product of their probabilities (METHOD 1)."""
    tokens = tuple(model.tokenizer.convert_ids_to_tokens([step.target for step in steps]))
    scores = np.mean([r.scores for r in results], axis=0)
    probabilities = np.array([r.f for r in results])
    if not (np.isfinite(scores).all() and np.isfinite(probabilities).all()):
        return PromptAttribution(prompt.id, "nan", tokens=tokens)
    layers = np.mean([r.layers for r in results], axis=0)
    nodes = np.max([r.layers[3] for r in results], axis=0).astype(np.int32)
    return PromptAttribution(
        prompt=prompt.id,
        status="ok" if all(r.converged for r in results) else "not_converged",
        probability=float(probabilities.prod()),
        mean_probability=float(np.exp(np.log(np.maximum(probabilities, np.finfo(float).tiny)).mean())),
        rank=results[0].rank,
        prediction=model.tokenizer.decode([results[0].best]).strip(),
        tokens=tokens,
        scores=scores.astype(np.float32),
        layers=LayerRecord(scores.sum(1, dtype=np.float64), layers[0], layers[1], layers[2], nodes),
    )
