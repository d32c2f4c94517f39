"""Scorers that change all layers at once: joint, greedy, and the controls (METHOD 2)."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from atlas.attribution.quadrature import Asked, Rule, Scores, integrate
from atlas.attribution.settings import Settings
from atlas.engine.answers import probability
from atlas.engine.batches import StepBatch, pause, sequence_bytes
from atlas.engine.tracing import neurons_at
from atlas.ids import stable_id
from atlas.models import LanguageModel
from atlas.models.readout import features_of_ids


def gate_gradients(
    model: LanguageModel, batch: StepBatch, gates: Tensor, rows: int, *, held: bool = False
) -> tuple[Tensor, Tensor]:
    """Return F [row] and dF/dgate `[row, layer, neuron]` at `gates`, whose rows repeat the batch's in turn.

    The gradient with respect to a gate of 1 is gradient x activation. `held`: gates act behind the norms that stand
    behind down-projections.
    """
    owner = torch.arange(len(gates), device=gates.device) % len(batch.steps)
    values, slopes = [], []
    for i in range(0, len(gates), rows):
        pause()
        own = owner[i : i + rows]
        leaf = gates[i : i + rows].clone().requires_grad_()
        with torch.enable_grad():
            f = probability(model, batch.select(own), leaf, held=held)
            slopes.append(torch.autograd.grad(f.sum(), leaf)[0])
        values.append(f.detach())
    return torch.cat(values), torch.cat(slopes)


def _joint(model: LanguageModel, batch: StepBatch, settings: Settings, rows: int) -> Scores:
    """Integrate dF/dgate with the gates of all neurons going from 0 to 1 together (METHOD 2).

    One path for all layers: its ends, error and nodes stand beside every layer. Norms behind down-projections are held
    at the size that the ungated neurons give them, as without that F jumps where the gates open.
    """
    layers, neurons = model.info.layers, model.info.neurons
    gradients = partial(gate_gradients, model, rows=rows, held=True)
    ends = (gradients(batch, _gates(model, batch, (end,))) for end in (0.0, 1.0))
    (f0, at_baseline), (f1, at_values) = ((f[:, None], slopes.flatten(1)) for f, slopes in ends)
    path = Scores.unfinished(f1, f0, layers * neurons)
    asked = Asked(torch.ones_like(f0, dtype=torch.bool).nonzero(), (0.0,), at_baseline[:, None])

    def slopes_at(units: Tensor, nodes: tuple[float, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        pending = batch.select(units[:, 0])
        _, slopes = gradients(pending, _gates(model, pending, nodes))
        yield torch.arange(len(units), device=units.device), slopes.view(len(nodes), len(units), -1).transpose(0, 1)

    def integral(rule: Rule, units: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        slopes = asked.at(units, rule.nodes[: len(rule.nodes) - rule.ends_at_values], slopes_at)
        if rule.ends_at_values:
            slopes = torch.cat([slopes, at_values[units[:, 0], None]], 1)
        tail = rule.tail or (torch.nan,) * len(rule.nodes)
        mean, last = (torch.einsum("n,snj->sj", slopes.new_tensor(w), slopes) for w in (rule.weights, tail))
        yield units, mean, last

    largest = partial(torch.amax, dim=(1, 2))
    integrate(path, integral, largest, settings, torch.finfo(model.dtype).eps)
    columns = (path.f, path.f_baseline, path.error, path.score_error, path.nodes, path.converged)
    return Scores(path.scores.view(-1, layers, neurons), *(column.expand(-1, layers) for column in columns))


def _gates(model: LanguageModel, batch: StepBatch, values: tuple[float, ...]) -> Tensor:
    """Return gates `[value * step, layer, neuron]`, all neurons of a row alike; float64 for a float64 model."""
    wide = torch.float64 if model.dtype == torch.float64 else torch.float32
    column = torch.tensor(values, dtype=wide, device=model.device).repeat_interleave(len(batch.steps))
    return column[:, None, None].expand(-1, model.info.layers, model.info.neurons)


def _greedy(model: LanguageModel, batch: StepBatch, settings: Settings, rows: int) -> Scores:
    """Cut the neuron of largest gradient x activation, compute again, `settings.cuts` times or until none is left.

    The score of the r-th neuron cut is F before that cut less F after the last one, so scores follow the order of the
    cuts and differ by the drops; a backup that acts only once another is gone shows its drop. Neurons never cut have 0.
    """
    gates = _gates(model, batch, (1.0,)).clone()
    steps = torch.arange(len(batch.steps), device=model.device)
    before, order = [], []
    for _ in range(min(settings.cuts, gates[0].numel())):
        f, slopes = gate_gradients(model, batch, gates, rows)
        top = (slopes.masked_fill(gates == 0, -torch.inf)).flatten(1).argmax(1)
        before.append(f)
        order.append(top)
        gates.view(len(steps), -1)[steps, top] = 0
    last, _ = gate_gradients(model, batch, gates, rows)
    scores = torch.zeros_like(gates).view(len(steps), -1)
    for f, top in zip(before, order, strict=True):
        scores[steps, top] = f - last
    return _without_path(scores.view_as(gates), before[0])


def _gradient(model: LanguageModel, batch: StepBatch, _: Settings, rows: int) -> Scores:
    """Return gradient x activation."""
    f, slopes = gate_gradients(model, batch, _gates(model, batch, (1.0,)), rows)
    return _without_path(slopes, f)


def _activation(model: LanguageModel, batch: StepBatch, settings: Settings, rows: int) -> Scores:
    """Return the activation."""
    other = _gradient(model, batch, settings, rows)
    return replace(other, scores=neurons_at(model, batch.ids, batch.query, batch.at)[0].to(other.scores.dtype))


def _random(model: LanguageModel, batch: StepBatch, settings: Settings, rows: int) -> Scores:
    """Return uniform scores that depend on the seed and the step alone, not on what else is in the batch."""
    other, uniform = _gradient(model, batch, settings, rows), []
    for step in batch.steps:
        seed = stable_id("random", settings.seed, step.ids, step.at, step.target)
        generator = torch.Generator().manual_seed(seed)
        uniform.append(torch.rand(other.scores.shape[1:], generator=generator))
    return replace(other, scores=torch.stack(uniform).to(other.scores))


def _without_path(scores: Tensor, f: Tensor) -> Scores:
    nothing = torch.full(scores.shape[:2], torch.nan, dtype=f.dtype, device=f.device)
    nodes = torch.zeros(scores.shape[:2], dtype=torch.int32, device=f.device)
    f = f[:, None].expand_as(nothing)
    return Scores(scores, f, nothing, nothing, nothing, nodes, torch.ones_like(nodes).bool())


_SCORERS = {"joint": _joint, "greedy": _greedy, "gradient": _gradient, "activation": _activation, "random": _random}


def by_gates(model: LanguageModel, batch: StepBatch, settings: Settings, budget: int) -> tuple[Scores, Tensor]:
    """Return scores, and what the output matrix receives at the query, `[step, hidden]`."""
    rows = max(1, budget // sequence_bytes(model, batch.ids.shape[1]))
    scores = _SCORERS[settings.method](model, batch, settings, rows)
    with torch.no_grad():
        return scores, features_of_ids(model, batch.ids, batch.query)
