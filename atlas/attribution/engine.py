"""Attribution of many prompts: steps of like length run together, prompts gather their steps (METHOD 1-2)."""

from collections.abc import Sequence
from dataclasses import fields
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atlas.attribution.gated import by_gates
from atlas.attribution.paths import BASELINES, along_paths
from atlas.attribution.peeling import peel
from atlas.attribution.quadrature import FAR, Scores, allowed
from atlas.attribution.results import LayerRecord, PromptAttribution
from atlas.attribution.settings import Settings
from atlas.engine.batches import Budget, StepBatch, sequence_bytes, steps_of, trace_bytes
from atlas.facts import Prompt
from atlas.models import LanguageModel, Step
from atlas.models.readout import token_ranks

MOST_STEPS = 64
"""How many steps run together at most."""
FEW = 16
"""Fewer steps of one length than so many are not worth a run of their own in a masked model."""
PADDED = 0.25
"""Tokens of padding at most in a batch, as a share of the steps' own."""

_Columns = tuple[NDArray[np.float64] | None, ...]
"""A step's numbers: scores `[layer, neuron]`; F(w), F(w'), errors, nodes, converged, each `[layer]`; rounds as scores,
or None; rank; best.
"""


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
    steps, unusable = steps_of(model, prompts, settings.at)
    numbered = [(i, step) for i, group in enumerate(steps) for step in group]
    flat = sorted(numbered, key=partial(_likeness, model, steps))
    found: dict[int, list[_Columns]] = {}
    for (index, _), columns in Budget.of(model, budget).through(flat, partial(_first_batch, model, settings)):
        found.setdefault(index, []).append(columns)
    return [
        PromptAttribution(prompt.id, unusable[i])
        if i in unusable
        else _gather(model, prompt, steps[i], found[i], settings)
        for i, prompt in enumerate(prompts)
    ]


def score_steps(model: LanguageModel, batch: StepBatch, settings: Settings, budget: int) -> tuple[Scores, Tensor]:
    """Score a batch of steps with the method of `settings`, in about `budget` bytes of activations: return scores whose
    rows are the steps, and what the output matrix receives at their queries, `[step, hidden]`.
    """
    score = peel if settings.method == "peel" else along_paths if settings.method in BASELINES else by_gates
    return score(model, batch, settings, budget)


def _likeness(model: LanguageModel, steps: Sequence[Sequence[Step]], numbered: tuple[int, Step]) -> tuple[int, ...]:
    """Return what steps are ordered by: their shape, and before it how far the query is where that is the work; in a
    causal model that of the prompt's last step, so that all run together and share what they can.
    """
    step = steps[numbered[0]][-1] if model.kind == "causal" else numbered[1]
    return step.shape if model.two_way else (step.query - step.at, *step.shape)


def _first_batch(
    model: LanguageModel, settings: Settings, rest: Sequence[tuple[int, Step]], budget: int
) -> list[_Columns]:
    """Score the first of `rest`, in order of likeness: as many as `budget` bytes hold, back again too if `two_way`."""
    together = _together(model, [step for _, step in rest[:MOST_STEPS]])
    longest = max(len(step.ids) for step in together)
    if model.kind == "causal" and settings.method in BASELINES:  # whose copies alone run back
        one = trace_bytes(model, longest)
    else:
        one = (2 if model.two_way else 1) * sequence_bytes(model, longest)
    batch = StepBatch.of(model, together[: max(1, budget // one)])
    scores, features = score_steps(model, batch, settings, budget)
    parts = (getattr(scores, column.name) for column in fields(scores))
    columns = (*parts, *token_ranks(model, features, batch.target))
    every = ([None] * len(batch.steps) if part is None else part.numpy(force=True) for part in columns)
    return list(zip(*every, strict=True))


def _together(model: LanguageModel, steps: Sequence[Step]) -> Sequence[Step]:
    """Return the first of `steps`, in order of likeness, that run together: in a causal model all, else those of one
    shape, and longer ones with them if they are FEW and little is PADDED.
    """
    if model.kind == "causal":
        return steps
    count = next((place for place, step in enumerate(steps) if step.shape != steps[0].shape), len(steps))
    own = count * len(steps[0].ids)
    for step in steps[count:FEW] if model.padding is not None else ():
        own += len(step.ids)
        if (count + 1) * len(step.ids) > (1 + PADDED) * own:
            break
        count += 1
    return steps[:count]


def _gather(
    model: LanguageModel, prompt: Prompt, steps: Sequence[Step], results: Sequence[_Columns], settings: Settings
) -> PromptAttribution:
    """Return a prompt's record: the mean of its steps' scores, the product of their probabilities (METHOD 1)."""
    tokens = tuple(model.tokenizer.convert_ids_to_tokens([step.target for step in steps]))
    *measured, rounds, ranks, best = zip(*results, strict=True)
    every, f, f_baseline, error, score_error, nodes, converged = map(np.stack, measured)
    scores, probabilities = every.mean(0), f[:, 0].astype(np.float64)
    if not (np.isfinite(scores).all() and np.isfinite(probabilities).all()):
        return PromptAttribution(prompt.id, "nan", tokens=tokens)
    cut = None if rounds[0] is None else _first_round(np.stack(rounds))
    # Of several rounds the first one's scores are what adds up to the change of F.
    sums = scores.sum(1, dtype=np.float64) if cut is None else (f - f_baseline + error).mean(0, dtype=np.float64)
    numbers = (f.mean(0), f_baseline.mean(0), np.abs(error.mean(0)), score_error.mean(0))
    layers = LayerRecord(sums, *numbers, nodes.max(0).astype(np.int32))
    return PromptAttribution(
        prompt=prompt.id,
        status="ok" if converged.all() else _missed(layers, scores.max(), settings, torch.finfo(model.dtype).eps),
        probability=float(probabilities.prod()),
        mean_probability=float(np.exp(np.log(np.maximum(probabilities, np.finfo(float).tiny)).mean())),
        rank=int(ranks[0]),
        argmax=bool(max(ranks) == 1),
        prediction=model.tokenizer.convert_ids_to_tokens(int(best[0])),
        prediction_text=model.tokenizer.decode([int(best[0])]).strip(),
        unknown=steps[0].unknown,
        tokens=tokens,
        scores=scores.astype(np.float32),
        layers=layers,
        rounds=cut,
    )


def _first_round(rounds: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the first round `[layer, neuron]` after which any step cut each neuron, 0 for none; of `[step, ...]`."""
    one = np.uint8(1)  # taken from 0 it gives the largest number, which added to gives 0 again
    first: NDArray[np.uint8] = (rounds - one).min(0) + one
    return first


def _missed(layers: LayerRecord, largest: float, settings: Settings, rounding: float) -> str:
    """Return the status of a prompt with a layer above the tolerance: `unresolved` if one is FAR above it.

    A rule of fixed size, whose score error is unknown, is taken as it is.
    """
    if np.isnan(layers.score_error).all():
        return "not_converged"
    f, f_baseline = torch.from_numpy(layers.f), torch.from_numpy(layers.f_baseline)
    of_sums, of_scores = allowed(f, f_baseline, torch.tensor(largest), FAR * settings.tolerance, rounding)
    far = layers.completeness_error > of_sums.numpy()
    far |= layers.score_error > of_scores.numpy()
    return "unresolved" if far.any() else "not_converged"
