"""Scorers that change all layers at once: joint, greedy, and the controls (METHOD 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.attribution.batch import StepBatch
from atlas.attribution.paths import allowed_error
from atlas.attribution.quadrature import Rule, fixed_rule, gauss_legendre
from atlas.attribution.settings import Settings
from atlas.engine.tracing import neurons_at_query
from atlas.ids import stable_id
from atlas.models import LanguageModel
from atlas.models.gates import gated_probability


def gate_gradients(model: LanguageModel, batch: StepBatch, gates: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Return F [row] and dF/dgate `[row, layer, neuron]` at `gates`, whose rows repeat the batch's in turn.

    The gradient with respect to a gate of 1 is gradient x activation.
    """
    owner = torch.arange(len(gates), device=gates.device) % len(batch.steps)
    values, slopes = [], []
    for i in range(0, len(gates), rows):
        own = owner[i : i + rows]
        leaf = gates[i : i + rows].clone().requires_grad_()
        with torch.enable_grad():
            f = gated_probability(model, batch.ids[own], batch.query[own], batch.target[own], leaf)
            slopes.append(torch.autograd.grad(f.sum(), leaf)[0])
        values.append(f.detach())
    return torch.cat(values), torch.cat(slopes)


@dataclass(frozen=True, slots=True)
class JointScores:
    """Scores `[step, layer, neuron]`; F(1), F(0), completeness error over all layers, nodes, converged: [step]."""

    scores: Tensor
    f: Tensor
    f_baseline: Tensor
    error: Tensor
    nodes: Tensor
    converged: Tensor


def joint(model: LanguageModel, batch: StepBatch, settings: Settings, start: int, rows: int) -> JointScores:
    """Integrate dF/dgate with the gates of all neurons going from 0 to 1 together.

    Steps whose completeness error is above the tolerance are integrated again with twice the nodes.
    """
    fixed = fixed_rule(settings.rule)
    rule = fixed or gauss_legendre(settings.nodes or start)
    result = _unfinished(model, batch, rows)
    pending = torch.isfinite(result.f).nonzero()[:, 0]
    while len(pending):
        _joint_steps(model, batch, result, pending, rule, settings, rows)
        if fixed or 2 * len(rule.nodes) > settings.max_nodes:
            break
        rule = gauss_legendre(2 * len(rule.nodes))
        pending = pending[~result.converged[pending]]
    return result


def _unfinished(model: LanguageModel, batch: StepBatch, rows: int) -> JointScores:
    """Return F at both ends, and no scores yet."""
    f0, slopes = gate_gradients(model, batch, _gates(model, batch, (0.0,)), rows)
    f1, _ = gate_gradients(model, batch, _gates(model, batch, (1.0,)), rows)
    nodes = torch.zeros_like(f1, dtype=torch.int32)
    return JointScores(torch.zeros_like(slopes), f1, f0, torch.full_like(f1, torch.inf), nodes, nodes.bool())


def _joint_steps(
    model: LanguageModel,
    batch: StepBatch,
    result: JointScores,
    pending: Tensor,
    rule: Rule,
    settings: Settings,
    rows: int,
) -> None:
    """Integrate the `pending` steps with `rule` and write their scores and errors into `result`."""
    scores = _joint_scores(model, batch.select(pending), rule, rows)
    change = result.f[pending] - result.f_baseline[pending]
    error = (scores.sum((1, 2)) - change).abs()
    result.scores[pending] = scores
    result.error[pending] = error
    result.nodes[pending] = len(rule.nodes)
    result.converged[pending] = error <= allowed_error(model, settings, result.f[pending], change)


def _joint_scores(model: LanguageModel, batch: StepBatch, rule: Rule, rows: int) -> Tensor:
    _, slopes = gate_gradients(model, batch, _gates(model, batch, rule.nodes), rows)
    weights = torch.tensor(rule.weights, dtype=slopes.dtype, device=slopes.device)
    return torch.einsum("n,nslj->slj", weights, slopes.unflatten(0, (len(weights), -1)))


def _gates(model: LanguageModel, batch: StepBatch, values: tuple[float, ...]) -> Tensor:
    """Return gates `[value * step, layer, neuron]`, all neurons of a row alike; float64 for a float64 model."""
    wide = torch.float64 if model.dtype == torch.float64 else torch.float32
    column = torch.tensor(values, dtype=wide, device=model.device).repeat_interleave(len(batch.steps))
    return column[:, None, None].expand(-1, model.info.layers, model.info.neurons)


def greedy(model: LanguageModel, batch: StepBatch, cuts: int, rows: int) -> tuple[Tensor, Tensor]:
    """Cut the neuron of largest gradient x activation, compute again, `cuts` times.

    Returns scores `[step, layer, neuron]` and F [step]. The score of the r-th neuron cut is F before that cut less F
    after the last one, so scores follow the order of the cuts and differ by the drops; a backup that acts only once
    another is gone shows its drop. Neurons never cut have 0.
    """
    gates = _gates(model, batch, (1.0,)).clone()
    steps = torch.arange(len(batch.steps), device=model.device)
    before, order = [], []
    for _ in range(cuts):
        f, slopes = gate_gradients(model, batch, gates, rows)
        top = (slopes.masked_fill(gates == 0, -torch.inf)).flatten(1).argmax(1)
        before.append(f)
        order.append(top)
        gates.view(len(steps), -1)[steps, top] = 0
    last, _ = gate_gradients(model, batch, gates, rows)
    scores = torch.zeros_like(gates).view(len(steps), -1)
    for f, top in zip(before, order, strict=True):
        scores[steps, top] = f - last
    return scores.view_as(gates), before[0]


def control(model: LanguageModel, batch: StepBatch, settings: Settings, rows: int) -> tuple[Tensor, Tensor]:
    """Return gradient x activation, the activation, or seeded random scores, `[step, layer, neuron]`, and F [step]."""
    f, slopes = gate_gradients(model, batch, _gates(model, batch, (1.0,)), rows)
    if settings.method == "gradient":
        return slopes, f
    if settings.method == "activation":
        return neurons_at_query(model, batch.ids, batch.query).to(slopes.dtype), f
    return _random(batch, settings.seed, slopes), f


def _random(batch: StepBatch, seed: int, like: Tensor) -> Tensor:
    """Return uniform scores that depend on the seed and the step alone, not on what else is in the batch."""
    rows = []
    for step in batch.steps:
        generator = torch.Generator().manual_seed(stable_id("random", seed, step.ids, step.query, step.target))
        rows.append(torch.rand(like.shape[1:], generator=generator))
    return torch.stack(rows).to(like)
