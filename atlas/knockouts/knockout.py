"""Knock-outs: what cutting sets of neurons does to the probability of an answer (METHOD 3, Eq. 9-10)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atlas.engine.batches import Budget, StepBatch, alike, steps_of
from atlas.engine.cuts import NeuronSet
from atlas.engine.cutting import replay_cut
from atlas.engine.tracing import trace
from atlas.errors import ModelError
from atlas.facts import Prompt
from atlas.models import LanguageModel, Position, Step
from atlas.models.readout import token_probability

CPU_BUDGET = 1 << 28
"""Bytes of activations at a time outside a GPU; more does not run faster."""


@dataclass(frozen=True, slots=True)
class Knockouts:
    """One prompt's probability of its answer (the product of its steps, METHOD 1) before and after each set is cut.

    `status` is `ok`, or says why there are no numbers: `not_final`, `unspellable`, `too_long`, `no_subject`, `nan`.
    """

    prompt: int
    status: str
    before: float | None = None
    after: NDArray[np.float64] | None = None  # [set]


@dataclass(frozen=True, slots=True)
class _Row:
    """One step of one prompt, and sets to be cut in it: those of the prompt from number `start` on."""

    prompt: int  # place in the list
    step: Step
    sets: Sequence[NeuronSet]
    start: int = 0
    values: Tensor | None = None  # [layer, neuron], what a cut neuron becomes; zero without


_Found = tuple[_Row, float, NDArray[np.float64]]


def knock_out(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    sets: Sequence[Sequence[NeuronSet]],
    budget: Budget | int | None = None,
    values: Sequence[Tensor] | None = None,
    at: Position = "query",
) -> list[Knockouts]:
    """Cut each of `sets[i]`, one at a time, `at` a position of `prompts[i]`; results in the order given.

    Cut neurons are zero, or what `values[i]` `[step, layer, neuron]` holds of them; a step past its last takes that.
    Steps that can run together do so with all their sets: a copy for each set, started at the layer where it parts
    from the others. `budget` is the memory for activations in bytes, halved when it is refused. Raises ModelError
    for a neuron that the model does not have, and for an empty set.
    """
    _check(model, sets)
    budget = Budget.of(model, budget or (None if model.device.type == "cuda" else CPU_BUDGET))
    steps, unusable = steps_of(model, prompts, at)
    rows = [
        _Row(i, step, own, values=None if values is None else values[i][min(nth, len(values[i]) - 1)])
        for i, (group, own) in enumerate(zip(steps, sets, strict=True))
        for nth, step in enumerate(group)
    ]
    before = [1.0] * len(prompts)
    after = [np.ones(len(group)) for group in sets]
    for _, results in budget.through(list(alike(model, rows, attrgetter("step"))), partial(_first_group, model)):
        for row, intact, changed in results:
            before[row.prompt] *= 1 if row.start else intact
            after[row.prompt][row.start : row.start + len(changed)] *= changed
    return [_result(p.id, unusable.get(i), before[i], after[i]) for i, p in enumerate(prompts)]


def _result(prompt: int, status: str | None, before: float, after: NDArray[np.float64]) -> Knockouts:
    if status is None and not (np.isfinite(before) and np.isfinite(after).all()):
        status = "nan"
    return Knockouts(prompt, "ok", before, after) if status is None else Knockouts(prompt, status)


def _chunks(model: LanguageModel, rows: Sequence[_Row], budget: int) -> Iterator[list[_Row]]:
    """Yield rows that fit in the budget together; a row with more sets than fit comes in parts."""
    size = max(1, budget // _copy_bytes(model, len(rows[-1].step.ids)))
    chunk: list[_Row] = []
    for row in rows:
        for start in range(0, max(1, len(row.sets)), size):
            part = replace(row, sets=row.sets[start : start + size], start=start)
            if chunk and sum(1 + len(other.sets) for other in chunk) + len(part.sets) > size:
                yield chunk
                chunk = []
            chunk.append(part)
    yield chunk


def _first_group(model: LanguageModel, rest: Sequence[list[_Row]], budget: int) -> list[list[_Found]]:
    """Run the first of `rest`, rows that can run together: each gold token's probability, and `[set]` after cuts."""
    found: list[_Found] = []
    for chunk in _chunks(model, rest[0], budget):
        record = trace(model, StepBatch.of(model, [row.step for row in chunk]))
        with torch.no_grad():
            before = token_probability(model, record.features, record.target).double().tolist()
        cuts = [(place, cut) for place, row in enumerate(chunk) for cut in row.sets]
        values = [row.values for row in chunk if row.values is not None]
        become = torch.stack(values).to(record.neurons) if values else None
        after = replay_cut(record, cuts, become).double().cpu().numpy() if cuts else np.empty(0)
        ends = np.cumsum([len(row.sets) for row in chunk])
        found += zip(chunk, before, np.split(after, ends[:-1]), strict=True)
    return [found]


def _check(model: LanguageModel, sets: Sequence[Sequence[NeuronSet]]) -> None:
    layers, neurons = model.info.layers, model.info.neurons
    for cut in {cut for group in sets for cut in group}:
        wrong = [n for n in cut if not (0 <= n[0] < layers and 0 <= n[1] < neurons)]
        if wrong:
            raise ModelError(
                f"{model.info.name} has no neuron {wrong[0]}: it has {layers} layers of {neurons} neurons; use neurons "
                "found in the same model."
            )
        if not cut or list(cut) != sorted(set(cut)):
            raise ModelError(f"{cut} is no set of neurons in ascending order; make it with neuron_set().")


def _copy_bytes(model: LanguageModel, tokens: int) -> int:
    """Return about how many bytes one copy takes while it runs through a block."""
    info = model.info
    width = tokens if model.two_way else 1
    kept = 0 if model.two_way else 2 * tokens * info.hidden
    return int((width * (8 * info.hidden + 3 * info.neurons) + kept) * model.dtype.itemsize)
