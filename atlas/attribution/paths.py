"""Integrated gradients of every layer along straight paths, to a stated completeness (METHOD 2, Eq. 2).

`Attr_j = (w_j - w'_j) * integral over a in [0,1] of dF(w' + a (w - w')) / dw_j`, one layer at a time, the others at
their values. A *unit* is one path and one layer. Units whose completeness error is above the tolerance are integrated
again with twice the nodes.

A path is straight in what the neurons write, too, as the down-projection is affine: it is applied to both ends alone,
and its transpose once to the mean gradient with respect to what they wrote.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.attribution.batch import Baselines
from atlas.attribution.quadrature import Rule, fixed_rule, gauss_legendre
from atlas.attribution.settings import Settings
from atlas.engine.replay import Entry, replay
from atlas.engine.tracing import Trace
from atlas.models import LanguageModel
from atlas.models.readout import token_probability

RESOLVED = 0.01
"""A change of F below this share of F(w) counts as this share, so that the tolerance never asks for zero."""
ROUNDING = 4
"""F is not known better than so many units of rounding of the model's number type."""


@dataclass(frozen=True, slots=True)
class PathScores:
    """Scores `[path, layer, neuron]`; F(w) [path]; F(w'), completeness error, nodes and converged `[path, layer]`."""

    scores: Tensor
    f: Tensor
    f_baseline: Tensor
    error: Tensor
    nodes: Tensor
    converged: Tensor


def integrate(record: Trace, baselines: Baselines, settings: Settings, start: int, budget: int) -> PathScores:
    """Integrate every path and layer; at most `budget` bytes of activations at a time.

    `start` is the size of the first Gauss-Legendre rule; a fixed rule of the settings is used as it is, once.
    """
    fixed = fixed_rule("left-20" if settings.method == "amig-code" else settings.rule)
    rule = fixed or gauss_legendre(settings.nodes or start)
    result = _first(record, baselines, budget)
    pending = torch.isfinite(result.f)[:, None].expand_as(result.converged)
    while bool(pending.any()):
        _integrate_units(record, baselines, result, pending.nonzero(), rule, settings, budget)
        if fixed or 2 * len(rule.nodes) > settings.max_nodes:
            break
        rule = gauss_legendre(2 * len(rule.nodes))
        pending = pending & ~result.converged
    return result


def allowed_error(model: LanguageModel, settings: Settings, f: Tensor, change: Tensor) -> Tensor:
    """Return the completeness error that counts as converged, for F(w) and F(w) - F(w')."""
    least = max(settings.tolerance * RESOLVED, ROUNDING * torch.finfo(model.dtype).eps)
    return torch.maximum(settings.tolerance * change.abs(), least * f)


def _first(record: Trace, baselines: Baselines, budget: int) -> PathScores:
    """Return the result before any integration: F at both ends, nothing converged."""
    paths, layers, neurons = baselines.neurons.shape
    f = token_probability(record.model, record.features, record.target)[baselines.owner]
    ends = f.new_zeros(paths, layers)
    units = torch.ones_like(ends, dtype=torch.bool).nonzero()
    with torch.no_grad():
        for part in _parts(record, units, 1, 8 * budget):
            points, order = _entries(record, baselines, units[part], Rule((0.0,), (1.0,)))
            chosen = units[part][order]
            ends[chosen[:, 0], chosen[:, 1]] = replay(record, points)
    return PathScores(
        f.new_zeros(paths, layers, neurons),
        f,
        ends,
        torch.full_like(ends, torch.inf),
        torch.zeros_like(ends, dtype=torch.int32),
        torch.zeros_like(ends, dtype=torch.bool),
    )


def _integrate_units(
    record: Trace,
    baselines: Baselines,
    result: PathScores,
    units: Tensor,
    rule: Rule,
    settings: Settings,
    budget: int,
) -> None:
    """Integrate `units` `[unit, (path, layer)]` with `rule` and write their scores and errors into `result`."""
    for part in _parts(record, units, len(rule.nodes), budget):
        points, order = _entries(record, baselines, units[part], rule)
        path, layer = units[part][order].unbind(1)
        mean = _mean_gradients(record, points, rule, result.scores.dtype)
        value = record.neurons[baselines.owner[path], layer]
        start = 0 if settings.method == "amig-code" else baselines.neurons[path, layer]
        scores = mean * (value - start).to(mean.dtype)
        change = result.f[path] - result.f_baseline[path, layer]
        error = (scores.sum(1) - change).abs()
        result.scores[path, layer] = scores
        result.error[path, layer] = error
        result.nodes[path, layer] = len(rule.nodes)
        result.converged[path, layer] = error <= allowed_error(record.model, settings, result.f[path], change)


def _mean_gradients(record: Trace, entries: dict[int, Entry], rule: Rule, dtype: torch.dtype) -> Tensor:
    """Return the weighted mean of dF/dw over the nodes, `[unit, neuron]`, accumulated in `dtype`."""
    leaves = [entry.written.requires_grad_() for entry in entries.values()]
    with torch.enable_grad():
        gradients = torch.autograd.grad(replay(record, entries).sum(), leaves)
    weights = torch.tensor(rule.weights, dtype=dtype, device=leaves[0].device)
    means = (torch.einsum("n,unh->uh", weights, gradient.to(dtype)) for gradient in gradients)
    model = record.model
    return torch.cat(
        [model.pulled_back(layer, m.to(model.dtype)).to(dtype) for layer, m in zip(entries, means, strict=True)]
    )


def _entries(record: Trace, baselines: Baselines, units: Tensor, rule: Rule) -> tuple[dict[int, Entry], Tensor]:
    """Return the copies of `units` at the rule's nodes, by layer, and the order in which the units stand there."""
    order = torch.argsort(units[:, 1], stable=True)
    nodes = torch.tensor(rule.nodes, dtype=baselines.neurons.dtype, device=units.device)[:, None]
    entries = {}
    for layer in units[:, 1].unique().tolist():
        path = units[order][units[order][:, 1] == layer][:, 0]
        owner = baselines.owner[path]
        ends = torch.stack([baselines.neurons[path, layer], record.blocks[layer].neurons[owner]])
        start, end = record.model.written(layer, ends)[:, :, None]
        entries[int(layer)] = Entry(owner, start + nodes * (end - start))
    return entries, order


def _parts(record: Trace, units: Tensor, nodes: int, budget: int) -> Iterator[slice]:
    """Cut `units` into runs whose copies' activations fit in `budget` bytes, one unit at least."""
    kept, work = copy_bytes(record)
    cost = (nodes * (kept * (len(record.blocks) - units[:, 1]) + work)).tolist()
    start, total = 0, 0
    for index, size in enumerate(cost):
        if total and total + size > budget:
            yield slice(start, index)
            start, total = index, 0
        total += size
    yield slice(start, len(cost))


def copy_bytes(record: Trace) -> tuple[int, int]:
    """Return about how many bytes a copy keeps for the backward pass of each block, and the block at work takes.

    Measured by what autograd saves: in BERT 5.2 hidden + 1 neurons a token; in GPT-2 7 hidden + 3 neurons, and
    2 hidden for every token of the prefix. A decoder behind the blocks counts as as many blocks again.
    """
    info, tokens = record.model.info, record.ids.shape[1]
    if record.model.whole:
        kept, work = tokens * (8 * info.hidden + 2 * info.neurons), tokens * (8 * info.hidden + 4 * info.neurons)
        work += kept * info.layers if record.model.apart else 0
    else:
        prefix = 2 * tokens * info.hidden
        kept, work = prefix + 8 * info.hidden + 4 * info.neurons, 2 * prefix + 8 * info.hidden + 8 * info.neurons
    return kept * record.features.element_size(), work * record.features.element_size()
