"""`fit`: the value vectors of the chosen neurons, optimised for the new answer (METHOD 5)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.editing.columns import Columns, Index, shifting
from atlas.editing.problem import Problem, make_problem
from atlas.editing.prompts import EditPrompts
from atlas.editing.requests import EditSettings
from atlas.engine.batches import Budget
from atlas.models import LanguageModel

PROGRESS = 0.05
"""A step that adds less than this to the smallest lead, in log-odds, is none."""
HALVINGS = 5
"""How often the last step is halved: what goes beyond `margin` spoils other facts for nothing."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What to add to the value vectors; whether the new answer leads everywhere; the steps taken; the smallest lead."""

    delta: Columns
    converged: bool
    steps: int
    lead: float


def prepare(
    model: LanguageModel, around: EditPrompts, settings: EditSettings, budget: Budget | None = None
) -> Callable[[Index], Fit]:
    """Trace the prompts once and return what fits neurons to them, a `budget` of activations at a time."""
    problem = make_problem(model, around.new, around.keep, budget)
    return lambda index: fit(model, index, problem.starting(min(index)), settings)


def fit(model: LanguageModel, index: Index, problem: Problem, settings: EditSettings) -> Fit:
    """Optimise `delta` until every sequence to be changed says the new token, by `margin` in log-odds.

    The loss is the mean shortfall of the new tokens' lead plus `keep_weight` times the mean KL divergence of the
    sequences to be kept from what they said before. It ends after `steps` steps, or `patience` steps without progress;
    a lead above zero everywhere then still counts as converged. A last step that goes beyond `margin` is shortened.
    """
    scale = {layer: _spread(model, layer) for layer in index}
    free = {layer: _start(model, own).requires_grad_() for layer, own in index.items()}
    optimiser = torch.optim.Adam(list(free.values()), lr=settings.rate, betas=(0.8, 0.95))
    best: tuple[float, Columns] = (-torch.inf, {})
    last: Columns = {}
    step, since = 0, 0
    for step in range(settings.steps + 1):
        optimiser.zero_grad()
        delta = {layer: value * scale[layer] for layer, value in free.items()}
        lead = _gradients(model, index, delta, problem, settings)
        if lead > best[0] + PROGRESS:
            since = step
        if lead > best[0]:
            best = (lead, {layer: value.detach().clone() for layer, value in delta.items()})
        if lead >= settings.margin or step - since >= settings.patience:
            break
        last = {layer: value.detach() for layer, value in delta.items()}
        optimiser.step()
    if best[0] >= settings.margin and last:
        best = _shortened(model, index, problem, settings.margin, last, best)
    return Fit(best[1], best[0] > 0, step, best[0])


def _shortened(
    model: LanguageModel, index: Index, problem: Problem, margin: float, last: Columns, best: tuple[float, Columns]
) -> tuple[float, Columns]:
    """Return a lead of `margin` or more, and what is added to reach it, as near to `last` as halving finds."""
    low = last
    for _ in range(HALVINGS):
        middle = {layer: (low[layer] + value) / 2 for layer, value in best[1].items()}
        lead = _smallest_lead(model, index, middle, problem)
        if lead >= margin:
            best = (lead, middle)
        else:
            low = middle
    return best


def _smallest_lead(model: LanguageModel, index: Index, delta: Columns, problem: Problem) -> float:
    with torch.no_grad(), shifting(model, index, delta):
        return min(float(_lead(batch.logits(problem.start), batch.target).min()) for batch in problem.change)


def _gradients(
    model: LanguageModel, index: Index, delta: Mapping[int, Tensor], problem: Problem, settings: EditSettings
) -> float:
    """Add the loss's gradients batch by batch and return the smallest lead."""
    lead = torch.inf
    with torch.enable_grad(), shifting(model, index, delta):
        for loss, least in _losses(problem, settings):
            lead = min(lead, least)
            loss.backward(retain_graph=True)
    return lead


def _losses(problem: Problem, settings: EditSettings) -> Iterator[tuple[Tensor, float]]:
    """Yield the share of the loss of every batch, and its smallest lead."""
    change, keep = (max(1, sum(len(batch.target) for batch in side)) for side in (problem.change, problem.keep))
    for batch in problem.change:
        lead = _lead(batch.logits(problem.start), batch.target)
        yield (settings.margin + 0.5 - lead).clamp(min=0).sum() / change, float(lead.detach().min())
    for batch, before in zip(problem.keep, problem.before, strict=True):
        logs = torch.log_softmax(batch.logits(problem.start), -1)
        kl = torch.nn.functional.kl_div(logs, before, reduction="sum", log_target=True)
        yield settings.keep_weight * kl / keep, torch.inf


def _lead(logits: Tensor, target: Tensor) -> Tensor:
    """Return by how much each target leads the best other token, `[row]`."""
    own = logits.gather(1, target[:, None])
    return own[:, 0] - logits.scatter(1, target[:, None], -torch.inf).amax(1)


def _start(model: LanguageModel, index: Tensor) -> Tensor:
    wide = torch.float64 if model.dtype == torch.float64 else torch.float32
    return torch.zeros(len(index), model.info.hidden, dtype=wide, device=model.device)


def _spread(model: LanguageModel, layer: int) -> float:
    """Return the root mean square of the layer's value vectors."""
    return float(model.value_vectors(layer).float().square().mean().sqrt())
