"""Attribution of many prompts: steps of equal length run together, prompts gather their steps (METHOD 1-2)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from atlas.attribution.batch import StepBatch
from atlas.attribution.results import LayerRecord, PromptAttribution
from atlas.attribution.scorers import StepScores, score_steps, sequence_bytes
from atlas.attribution.settings import Settings
from atlas.errors import TokenError
from atlas.facts import Prompt
from atlas.models import LanguageModel, NotFinalError, Step, TooLongError
from atlas.models.readout import features_of_ids, token_ranks

log = logging.getLogger("atlas")

CPU_BUDGET = 1 << 29


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
    budget: int | None = None,
) -> list[PromptAttribution]:
    """Score every neuron for every prompt, in the order given.

    `budget` is the memory for activations in bytes (default: by device). On a refusal of memory it is halved and the
    work goes on, with one warning. Prompts that cannot be used come back with the status that says why.
    """
    settings = settings or Settings()
    budget = budget or default_budget(model)
    steps, unusable = _tokenise(model, prompts)
    flat = [(index, step) for index, group in enumerate(steps) for step in group]
    found: dict[int, list[_StepResult]] = {}
    for index, result in _by_length(model, flat, settings, budget):
        found.setdefault(index, []).append(result)
    return [
        PromptAttribution(prompt.id, unusable[i]) if i in unusable else _gather(model, prompt, steps[i], found[i])
        for i, prompt in enumerate(prompts)
    ]


def default_budget(model: LanguageModel) -> int:
    """Return the memory for activations in bytes: half of a GPU's memory, 512 MiB elsewhere."""
    if model.device.type == "cuda":
        return torch.cuda.get_device_properties(model.device).total_memory // 2
    return CPU_BUDGET


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


def _by_length(
    model: LanguageModel, flat: Sequence[tuple[int, Step]], settings: Settings, budget: int
) -> Iterator[tuple[int, _StepResult]]:
    """Yield `(prompt index, result)` of every step, in the order of the steps of each prompt."""
    lengths: dict[tuple[int, int], list[tuple[int, Step]]] = {}
    for index, step in flat:
        lengths.setdefault(step.shape, []).append((index, step))
    for (length, _), group in sorted(lengths.items()):
        size = max(1, min(64, budget // (4 * sequence_bytes(model, length))))
        for start in range(0, len(group), size):
            part = group[start : start + size]
            batch = StepBatch.of(model, [step for _, step in part])
            results, budget = _with_less_memory(model, batch, settings, budget)
            yield from zip((index for index, _ in part), results, strict=True)


def _with_less_memory(
    model: LanguageModel, batch: StepBatch, settings: Settings, budget: int
) -> tuple[list[_StepResult], int]:
    """Score a batch; halve the budget as long as memory is refused, down to 1/1024 of it."""
    smallest = budget >> 10
    while True:
        try:
            return _results(model, batch, score_steps(model, batch, settings, budget)), budget
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_memory(error) or budget <= smallest:
                raise
        budget //= 2
        log.warning("Memory was refused; going on with %d MiB of activations at a time.", budget >> 20)


def _is_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _results(model: LanguageModel, batch: StepBatch, scores: StepScores) -> list[_StepResult]:
    with torch.no_grad():
        rank, best = token_ranks(model, features_of_ids(model, batch.ids, batch.query), batch.target)
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
