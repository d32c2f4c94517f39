"""Integrated gradients of every layer along straight paths from the baselines (METHOD 2, Eq. 2-3).

`Attr_j = (w_j - w'_j) * integral over a in [0,1] of dF(w' + a (w - w')) / dw_j`, one layer at a time, the others at
their values. A *unit* is one path and one layer.

A path is straight in what the neurons write, too, as the down-projection is affine: it is applied to both ends alone,
and its transpose once to the mean gradient with respect to what they wrote.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from atlas.attribution.quadrature import Rule, Scores, integrate
from atlas.attribution.settings import Settings
from atlas.engine.batches import StepBatch, sequence_bytes
from atlas.engine.replay import Entry, replay
from atlas.engine.tracing import Trace, neurons_at_query, trace
from atlas.errors import ModelError
from atlas.models import LanguageModel, Step
from atlas.models.readout import token_probability
from atlas.models.tokens import SEPARATOR

START_NODES = {"amig": 2, "amig-mean": 2, "amig-code": 20, "kn": 4}
"""Gauss-Legendre nodes of the first rule: the word baselines' paths are short."""


@dataclass(frozen=True, slots=True)
class Baselines:
    """Baseline neurons `[path, layer, neuron]` and the step that each path belongs to, `owner` [path]."""

    neurons: Tensor
    owner: Tensor


def zero_baselines(model: LanguageModel, batch: StepBatch, _: int) -> Baselines:
    """Return the zero vector as every step's baseline (Dai et al. 2022)."""
    shape = (len(batch.steps), model.info.layers, model.info.neurons)
    zeros = torch.zeros(shape, dtype=model.dtype, device=model.device)
    return Baselines(zeros, torch.arange(len(batch.steps), device=model.device))


def word_baselines(model: LanguageModel, batch: StepBatch, rows: int, *, every_token: bool = False) -> Baselines:
    """Return one baseline per word: the query with that word's tokens replaced by the filler (Chen et al., Eq. 3).

    If `every_token`, each token is a word, special ones too. At most `rows` sequences run together.
    """
    words = [_every_token(model, step) if every_token else step.words for step in batch.steps]
    owner = torch.tensor([i for i, group in enumerate(words) for _ in group], device=model.device)
    ids = batch.ids[owner]
    for row, positions in enumerate(word for group in words for word in group):
        ids[row, list(positions)] = model.filler
    query = batch.query[owner]
    parts = [neurons_at_query(model, ids[i : i + rows], query[i : i + rows])[0] for i in range(0, len(ids), rows)]
    return Baselines(torch.cat(parts), owner)


def mean_baselines(model: LanguageModel, batch: StepBatch, rows: int, *, every_token: bool) -> Baselines:
    """Return one baseline per step: the mean over its words, or over all tokens, special ones too, if `every_token`."""
    single, steps = word_baselines(model, batch, rows, every_token=every_token), len(batch.steps)
    return Baselines(_mean(single.neurons, single.owner, steps), torch.arange(steps, device=model.device))


def _every_token(model: LanguageModel, step: Step) -> tuple[tuple[int], ...]:
    """Return the position of every token that the query sees; an encoder sees none of its decoder's."""
    seen = step.ids[: step.shape[1]] if model.reads else step.ids
    return tuple((i,) for i, token in enumerate(seen) if token != SEPARATOR)


BASELINES: dict[str, Callable[[LanguageModel, StepBatch, int], Baselines]] = {
    "amig": word_baselines,
    "amig-mean": partial(mean_baselines, every_token=False),
    "amig-code": partial(mean_baselines, every_token=True),
    "kn": zero_baselines,
}


def along_paths(model: LanguageModel, batch: StepBatch, settings: Settings, budget: int) -> tuple[Scores, Tensor]:
    """Return the mean over each step's paths, and what the output matrix receives at the query, `[step, hidden]`.

    At most about `budget` bytes of activations at a time. F(w'), too, is the mean over the paths.
    """
    if settings.method == "amig" and not all(step.words for step in batch.steps):
        raise ModelError("A prompt has no word to make a baseline of; use a template with text, or --method kn.")
    rows = max(1, budget // sequence_bytes(model, batch.ids.shape[1]))
    baselines = BASELINES[settings.method](model, batch, 4 * rows)
    record = trace(model, batch)
    paths = _first(record, baselines, budget)
    subtracted = torch.zeros_like(baselines.neurons) if settings.method == "amig-code" else baselines.neurons
    integral = partial(_integral, record, baselines, subtracted, budget)
    largest = partial(_largest, owner=baselines.owner, steps=len(batch.steps))
    integrate(paths, integral, largest, settings, START_NODES[settings.method], torch.finfo(model.dtype).eps)
    return _mean_over_paths(paths, baselines.owner, len(batch.steps)), record.features


def _mean_over_paths(paths: Scores, owner: Tensor, steps: int) -> Scores:
    """Return one row a step; its nodes are the most of any path, and it has converged if all have."""
    every = owner[:, None].expand_as(paths.nodes)
    nodes = paths.nodes.new_zeros(steps, paths.nodes.shape[1]).scatter_reduce_(0, every, paths.nodes, "amax")
    numbers = (paths.scores, paths.f, paths.f_baseline, paths.error, paths.score_error)
    scores, f, f_baseline, error, score_error = (_mean(values, owner, steps) for values in numbers)
    converged = _mean(paths.converged.to(f.dtype), owner, steps) == 1
    return Scores(scores, f, f_baseline, error, score_error, nodes, converged)


def _largest(scores: Tensor, owner: Tensor, steps: int) -> Tensor:
    """Return the largest score of each path's step `[path]`, of the mean over its paths `[path, layer, neuron]`."""
    return _mean(scores, owner, steps).flatten(1).amax(1)[owner]


def _mean(values: Tensor, owner: Tensor, steps: int) -> Tensor:
    """Return the mean of the rows `[path, ...]` of each step, `[step, ...]`."""
    count = torch.bincount(owner, minlength=steps).to(values.dtype)
    sums = values.new_zeros(steps, *values.shape[1:]).index_add_(0, owner, values)
    return sums / count.view(-1, *(1 for _ in values.shape[1:]))


def _first(record: Trace, baselines: Baselines, budget: int) -> Scores:
    """Return F at both ends of every path and layer, and no scores yet."""
    paths, layers, neurons = baselines.neurons.shape
    f = token_probability(record.model, record.features, record.target)[baselines.owner]
    ends = f.new_zeros(paths, layers)
    units = torch.ones_like(ends, dtype=torch.bool).nonzero()
    with torch.no_grad():
        for part in _parts(record, units, 1, 8 * budget):
            points, chosen = _entries(record, baselines, part, Rule((0.0,), (1.0,)))
            ends[chosen.unbind(1)] = replay(record, points)
    return Scores.unfinished(f[:, None].expand_as(ends), ends, neurons)


def _integral(
    record: Trace, baselines: Baselines, subtracted: Tensor, budget: int, rule: Rule, units: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Integrate `units` `[unit, (path, layer)]`: the mean gradients times the values less what is `subtracted`."""
    for part in _parts(record, units, len(rule.nodes), budget):
        points, chosen = _entries(record, baselines, part, rule)
        path, layer = chosen.unbind(1)
        mean, tail = _mean_gradients(record, points, rule)
        way = (record.neurons[baselines.owner[path], layer] - subtracted[path, layer]).to(mean.dtype)
        yield chosen, mean * way, tail * way


def _mean_gradients(record: Trace, entries: dict[int, Entry], rule: Rule) -> tuple[Tensor, Tensor]:
    """Return the weighted mean of dF/dw over the nodes and its last Legendre coefficient, both `[unit, neuron]`.

    They are accumulated in float32 or more.
    """
    model, leaves = record.model, [entry.written.requires_grad_() for entry in entries.values()]
    with torch.enable_grad():
        gradients = torch.autograd.grad(replay(record, entries).sum(), leaves)
    layers = dict(zip(entries, gradients, strict=True))
    mean = _pulled_back(model, layers, rule.weights)
    return mean, _pulled_back(model, layers, rule.tail) if rule.tail else torch.full_like(mean, torch.nan)


def _pulled_back(model: LanguageModel, gradients: dict[int, Tensor], weights: tuple[float, ...]) -> Tensor:
    """Return the weighted sum over the nodes of each layer's gradients `[unit, node, hidden]`, at the neurons."""
    dtype = torch.promote_types(model.dtype, torch.float32)
    parts = []
    for layer, gradient in gradients.items():
        column = torch.tensor(weights, dtype=dtype, device=gradient.device)
        total = torch.einsum("n,unh->uh", column, gradient.to(dtype))
        parts.append(model.pulled_back(layer, total.to(model.dtype)).to(dtype))
    return torch.cat(parts)


def _entries(record: Trace, baselines: Baselines, units: Tensor, rule: Rule) -> tuple[dict[int, Entry], Tensor]:
    """Return the copies of `units` at the rule's nodes, by layer, and the units in their order there."""
    units = units[torch.argsort(units[:, 1], stable=True)]
    nodes = torch.tensor(rule.nodes, dtype=baselines.neurons.dtype, device=units.device)[:, None]
    entries = {}
    for layer in units[:, 1].unique().tolist():
        path = units[units[:, 1] == layer][:, 0]
        owner = baselines.owner[path]
        ends = torch.stack([baselines.neurons[path, layer], record.neurons[owner, layer]])
        start, end = record.model.written(layer, ends)[:, :, None]
        entries[int(layer)] = Entry(owner, start + nodes * (end - start))
    return entries, units


def _parts(record: Trace, units: Tensor, nodes: int, budget: int) -> Iterator[Tensor]:
    """Cut `units` into runs whose copies' activations fit in `budget` bytes, one unit at least."""
    kept, work = _copy_bytes(record)
    cost = (nodes * (kept * (len(record.blocks) - units[:, 1]) + work)).tolist()
    start, total = 0, 0
    for index, size in enumerate(cost):
        if total and total + size > budget:
            yield units[start:index]
            start, total = index, 0
        total += size
    yield units[start:]


def _copy_bytes(record: Trace) -> tuple[int, int]:
    """Return about how many bytes a copy keeps for the backward pass of each block, and the block at work takes.

    Measured by what autograd saves: in BERT 5.2 hidden + 1 neurons a token; in GPT-2 7 hidden + 3 neurons, and
    2 hidden for every token of the prefix. A decoder behind the blocks counts as as many blocks again.
    """
    info, tokens = record.model.info, record.ids.shape[1]
    if record.model.two_way:
        kept, work = tokens * (8 * info.hidden + 2 * info.neurons), tokens * (8 * info.hidden + 4 * info.neurons)
        work += kept * info.layers if record.model.reads else 0
    else:
        prefix = 2 * tokens * info.hidden
        kept, work = prefix + 8 * info.hidden + 4 * info.neurons, 2 * prefix + 8 * info.hidden + 8 * info.neurons
    return kept * record.features.element_size(), work * record.features.element_size()
