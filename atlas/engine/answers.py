"""What a model says to many prompts at once, as it is or with each prompt's own neurons multiplied.

`measure` answers most questions: for cases `Case(prompt, neurons, factor)` it returns each answer's probability (its
`probability`), whether every token of it was the argmax (`argmax`) and more; `Case(prompt, neurons, 0.0)` asks with
`neurons` cut at the query. `put` reads anything else from the same batches, and `probability` is that of a batch's
tokens with a factor for every neuron.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from atlas.engine.batches import UNUSABLE, Budget, StepBatch, by_shape, fitting
from atlas.engine.replay import resumed
from atlas.engine.tracing import beginnings, trace
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.models import LanguageModel, Position, Step
from atlas.models.norms import norms_held
from atlas.models.readout import (
    chunks,
    features_of_ids,
    log_probability,
    of_tokens,
    output_matrix,
    token_logits,
    token_probability,
)
from atlas.models.scaling import Change, Scope, changed, multiplied, neurons_by_layer

LOGIT_BYTES = 1 << 26
R = TypeVar("R")


class Place(NamedTuple):
    """Where a step comes from: the place of its prompt in a list, and its own number there."""

    prompt: int
    step: int


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt, and the neurons (layer, neuron) multiplied by `factor` while it is put to the model.

    With a factor of 0 they become their `values` `[step, neuron]` (METHOD 4), zero if there are none; `neurons` are
    ascending then. A step past the last one of `values` takes the last.
    """

    prompt: Prompt
    neurons: tuple[Neuron, ...] = ()
    factor: float = 1.0
    values: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What the model said: the answer's log-probability (sum over its tokens), the rank of its first token, whether
    each token was the most probable one, the most probable tokens, and `[step, hidden]` before the output matrix.
    """

    log_probability: float
    rank: int
    argmax: bool
    best: tuple[int, ...]
    features: Tensor

    @property
    def probability(self) -> float:
        """Probability of the answer: the product of its tokens' (METHOD 1)."""
        return math.exp(self.log_probability)

    def beside(self, after: "Measured") -> dict[str, float | int | bool]:
        """Return what the model said, and said `after` a change, by the columns of the tables that hold both."""
        names = ("probability", "rank", "argmax")
        return {f"{n}_{when}": getattr(m, n) for n in names for when, m in (("before", self), ("after", after))}


def measure(
    model: LanguageModel,
    cases: Sequence[Case],
    scope: Scope = "query",
    budget: Budget | int | None = None,
    at: Position = "query",
) -> list[Measured]:
    """Measure all cases, batched by length, in the order given; `budget` is the memory for activations in bytes.

    With scope `query` neurons are changed `at` their position alone. Raises what `model.steps` raises for a prompt that
    the model cannot use; see `usable`.
    """
    known: dict[int, list[Step]] = {}
    for case in cases:
        if case.prompt.id not in known:
            known[case.prompt.id] = model.steps(case.prompt, at)
    found = put(
        model, [known[case.prompt.id] for case in cases], partial(_readings, model),
        changes=partial(_changes, model, cases), scope=scope, budget=budget,
    )  # fmt: skip
    return [_joined(readings) for readings in found]


def probabilities(model: LanguageModel, prompts: Sequence[Prompt], budget: Budget | int | None = None) -> list[float]:
    """Return the probability of each prompt's answer; raises what `measure` raises."""
    return [said.probability for said in measure(model, [Case(prompt) for prompt in prompts], budget=budget)]


def usable(model: LanguageModel, prompts: Sequence[Prompt], at: Position = "query") -> list[Prompt]:
    """Return the prompts that the model can use (METHOD 1), in order."""
    return [prompt for prompt in prompts if reason(model, prompt, at) is None]


def reason(model: LanguageModel, prompt: Prompt, at: Position = "query") -> Exception | None:
    """Return why the model cannot use `prompt`, asked for neurons `at` a position, None if it can."""
    try:
        model.steps(prompt, at)
    except tuple(UNUSABLE) as error:
        return error
    return None


def put(
    model: LanguageModel,
    steps: Sequence[Sequence[Step]],
    read: Callable[[Tensor, Tensor], Sequence[R]],
    *,
    changes: Callable[[Sequence[Place]], Mapping[int, Change]] = lambda _: {},
    scope: Scope = "query",
    budget: Budget | int | None = None,
) -> list[list[R]]:
    """Put the steps of many prompts to the model, batched by length; return what `read` makes of each step.

    `read` is given what the output matrix receives for the queries of a batch, `[step, hidden]`, and their gold tokens
    [step]. `changes` is given the places that the batch's steps come from, and says what neurons become.
    """
    flat = [(Place(place, nth), step) for place, group in enumerate(steps) for nth, step in enumerate(group)]
    found: list[list[R]] = [[] for _ in steps]
    budget = Budget.of(model, budget)
    work = partial(_first, model, read, changes, scope)
    for group in by_shape(flat, itemgetter(1)):
        for ((place, _), _), result in budget.through(group, work):
            found[place].append(result)
    return found


def probability(
    model: LanguageModel, batch: StepBatch, factors: Tensor, *, held: bool = False, scope: Scope = "query"
) -> Tensor:
    """Return F `[step]` with neurons at the steps' positions, or all, multiplied by `factors` `[step, layer, neuron]`.

    Later layers are computed from the changed ones; differentiable in the factors. `held`: norms behind
    down-projections keep the size that they have without the layer's own factors.
    """
    with norms_held(model) if held else nullcontext(), changed(model, multiplied(model, factors), scope):
        features = features_of_ids(model, batch.ids, batch.query, batch.at)
    return token_probability(model, features, batch.target)


@torch.no_grad()
def divergence(model: LanguageModel, before: Tensor, after: Tensor) -> float:
    """Return KL(before || after) of the predictions for features `[step, hidden]`, mean over the steps, in nats."""
    weight, bias, cap = output_matrix(model)
    p, q = (torch.log_softmax(token_logits(side, weight, bias, cap), -1) for side in (before, after))
    return float((p.exp() * (p - q)).sum(-1).mean())


@torch.no_grad()
def _first(
    model: LanguageModel,
    read: Callable[[Tensor, Tensor], Sequence[R]],
    changes: Callable[[Sequence[Place]], Mapping[int, Change]],
    scope: Scope,
    rest: Sequence[tuple[Place, Step]],
    budget: int,
) -> Sequence[R]:
    """Read the first of `rest`, steps of one shape: as many as can run together in `budget` bytes.

    Steps of the same tokens, as of a prompt that is asked for several answers, run once where no neurons are changed.
    """
    steps = [step for _, step in rest]
    steps = steps[: fitting(model, steps, budget)]
    batch = StepBatch.of(model, steps)
    wanted = changes([place for place, _ in rest[: len(steps)]])
    if wanted and scope == "query" and model.kind == "causal" and _pays(steps):
        return read(_features_of_copies(model, steps, wanted), batch.target)
    with changed(model, wanted, scope):
        places, rows, _ = beginnings(batch.ids, batch.ids.shape[1])
        features = features_of_ids(model, batch.ids[places], batch.query, batch.at[places], rows)
    return read(features, batch.target)


def _pays(steps: Sequence[Step]) -> bool:
    """Return whether running equal steps once, and copies from their neurons on, is less than half of the tokens."""
    behind = sum(step.query - step.at + 1 for step in steps)
    return 2 * (behind + sum(len(step.ids) for step in set(steps))) <= sum(len(step.ids) for step in steps)


def _features_of_copies(model: LanguageModel, steps: Sequence[Step], changes: Mapping[int, Change]) -> Tensor:
    """Return what the output matrix receives for the queries of a causal model, `[step, hidden]`.

    Each of the steps, many of which are equal, is run once as it is, and from the neurons' position on with its change.
    """
    rows = {step: row for row, step in enumerate(dict.fromkeys(steps))}
    record = trace(model, StepBatch.of(model, list(rows)))
    owner = torch.tensor([rows[step] for step in steps], device=model.device)
    with changed(model, changes, copies=True):
        return resumed(record, min(changes), owner)


def _changes(model: LanguageModel, cases: Sequence[Case], places: Sequence[Place]) -> dict[int, Change]:
    """Return for every layer that a case touches what its neurons are multiplied by or become, `[row, neuron]`."""
    replaced = any(cases[place].values is not None for place, _ in places)
    found: dict[int, Change] = {}
    for row, (place, nth) in enumerate(places):
        case, start = cases[place], 0
        for layer, index in neurons_by_layer(model, case.neurons).items():
            if layer not in found:
                found[layer] = _unchanged(model, len(places), replaced=replaced)
            change, index = found[layer], index.to(model.device)
            change.factor[row, index] = case.factor
            if change.value is not None and case.values is not None:
                become = case.values[min(nth, len(case.values) - 1), start : start + len(index)]
                change.value[row, index] = become.to(change.value)
            start += len(index)
    return found


def _unchanged(model: LanguageModel, rows: int, *, replaced: bool) -> Change:
    """Return a change of one layer, `[row, neuron]`, that leaves all as it is; `replaced`: with places for values."""
    one = torch.ones(rows, model.info.neurons, dtype=model.dtype, device=model.device)
    return Change(one, torch.zeros_like(one) if replaced else None)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One step's numbers."""

    log_probability: float
    rank: int
    best: int
    features: Tensor


def _readings(model: LanguageModel, features: Tensor, target: Tensor) -> list[_Reading]:
    weight, bias, cap = output_matrix(model)
    readings: list[_Reading] = []
    for part in chunks(len(features), weight.shape[0] * 4, LOGIT_BYTES):
        logits = token_logits(features[part], weight, bias, cap, target[part])
        own, share = logits.gather(1, target[part, None]), log_probability(logits, target[part])
        logits = of_tokens(model, logits)
        columns = (share, 1 + (logits > own).sum(1), logits.argmax(1))
        rows = zip(*(column.tolist() for column in columns), features[part], strict=True)
        readings += [_Reading(*row) for row in rows]
    return readings


def _joined(readings: Sequence[_Reading]) -> Measured:
    return Measured(
        log_probability=sum(r.log_probability for r in readings),
        rank=readings[0].rank,
        argmax=all(r.rank == 1 for r in readings),
        best=tuple(r.best for r in readings),
        features=torch.stack([r.features for r in readings]),
    )
