"""What a model says to many prompts at once, as it is or with each prompt's own neurons multiplied."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.errors import TokenError
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.models import LanguageModel, NotFinalError, Step, TooLongError
from atlas.models.hooks import Edit, neuron_hook
from atlas.models.model import Scope
from atlas.models.probability import chunks, token_logits
from atlas.models.readout import at_query, features_of_ids, output_matrix
from atlas.models.scaling import neurons_by_layer

ROWS = 128
"""Sequences that run together."""
LOGIT_BYTES = 1 << 26

UNUSABLE = (TokenError, NotFinalError, TooLongError)


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt, and the neurons (layer, neuron) multiplied by `factor` while it is put to the model."""

    prompt: Prompt
    neurons: tuple[Neuron, ...] = ()
    factor: float = 1.0


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


@torch.no_grad()
def measure(model: LanguageModel, cases: Sequence[Case], scope: Scope = "query") -> list[Measured]:
    """Measure all cases, batched by length, in the order given.

    Raises what `model.steps` raises for a prompt that the model cannot use; see `usable`.
    """
    steps: dict[int, list[Step]] = {}
    rows = []
    for index, case in enumerate(cases):
        key = case.prompt.id
        steps.setdefault(key, model.steps(case.prompt))
        rows += [(index, step) for step in steps[key]]
    found: dict[int, list[_Reading]] = defaultdict(list)
    for index, reading in _by_length(model, cases, rows, scope):
        found[index].append(reading)
    return [_joined(found[index]) for index in range(len(cases))]


def usable(model: LanguageModel, prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return the prompts that the model can use (METHOD 1), in order."""
    return [prompt for prompt in prompts if reason(model, prompt) is None]


def reason(model: LanguageModel, prompt: Prompt) -> Exception | None:
    """Return why the model cannot use `prompt`, None if it can."""
    try:
        model.steps(prompt)
    except UNUSABLE as error:
        return error
    return None


@torch.no_grad()
def divergence(model: LanguageModel, before: Tensor, after: Tensor) -> float:
    """Return KL(before || after) of the predictions for features `[step, hidden]`, mean over the steps, in nats."""
    weight, bias, cap = output_matrix(model)
    p, q = (torch.log_softmax(token_logits(side, weight, bias, cap), -1) for side in (before, after))
    return float((p.exp() * (p - q)).sum(-1).mean())


@dataclass(frozen=True, slots=True)
class _Reading:
    """One step's numbers."""

    log_probability: float
    rank: int
    best: int
    features: Tensor


def _by_length(
    model: LanguageModel, cases: Sequence[Case], rows: Sequence[tuple[int, Step]], scope: Scope
) -> Iterator[tuple[int, _Reading]]:
    lengths: dict[tuple[int, int], list[tuple[int, Step]]] = defaultdict(list)
    for index, step in rows:
        lengths[step.shape].append((index, step))
    # Shortest first: the later steps of a causal prompt are longer, so each prompt gets its readings in order.
    for _, group in sorted(lengths.items()):
        for start in range(0, len(group), ROWS):
            part = group[start : start + ROWS]
            readings = _read(model, [cases[i] for i, _ in part], [step for _, step in part], scope)
            yield from zip((i for i, _ in part), readings, strict=True)


def _read(model: LanguageModel, cases: Sequence[Case], steps: Sequence[Step], scope: Scope) -> list[_Reading]:
    """Run steps of one length, each with the neurons of its case."""
    ids, query, target = (
        torch.tensor(values, device=model.device)
        for values in ([s.ids for s in steps], [s.query for s in steps], [s.target for s in steps])
    )
    where = at_query(query, model.width(ids))[..., None] if scope == "query" else None
    with ExitStack() as stack:
        for layer, gate in _gates(model, cases).items():
            stack.enter_context(neuron_hook(model, layer, _multiply(gate, where)))
        features = features_of_ids(model, ids, query)
    weight, bias, cap = output_matrix(model)
    readings = []
    for part in chunks(len(steps), weight.shape[0] * 4, LOGIT_BYTES):
        logits = token_logits(features[part], weight, bias, cap)
        own = logits.gather(1, target[part, None])
        columns = ((own - logits.logsumexp(1, keepdim=True))[:, 0], 1 + (logits > own).sum(1), logits.argmax(1))
        readings += list(zip(*(column.tolist() for column in columns), features[part], strict=True))
    return [_Reading(*reading) for reading in readings]


def _gates(model: LanguageModel, cases: Sequence[Case]) -> dict[int, Tensor]:
    """Return for every layer that a case touches what its neurons are multiplied by, `[row, 1, neuron]`."""
    gates: dict[int, Tensor] = {}
    for row, case in enumerate(cases):
        for layer, index in neurons_by_layer(model, case.neurons).items():
            if layer not in gates:
                gates[layer] = torch.ones(len(cases), 1, model.info.neurons, dtype=model.dtype, device=model.device)
            gates[layer][row, 0, index.to(model.device)] = case.factor
    return gates


def _multiply(gate: Tensor, where: Tensor | None) -> Edit:
    def edit(neurons: Tensor) -> Tensor:
        changed = neurons * gate
        return changed if where is None else torch.where(where, changed, neurons)

    return edit


def _joined(readings: Sequence[_Reading]) -> Measured:
    return Measured(
        log_probability=sum(r.log_probability for r in readings),
        rank=readings[0].rank,
        argmax=all(r.rank == 1 for r in readings),
        best=tuple(r.best for r in readings),
        features=torch.stack([r.features for r in readings]),
    )
