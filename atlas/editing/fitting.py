"""`fit`: the value vectors of the chosen neurons, optimised for the new answer (METHOD 5)."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.editing.columns import Columns, Index, shifting
from atlas.editing.problem import Batch, Problem
from atlas.editing.settings import EditSettings
from atlas.models import LanguageModel


@dataclass(frozen=True, slots=True)
class Fit:
    """What to add to the value vectors; whether the new answer leads everywhere; the steps taken; the smallest lead."""

    delta: Columns
    converged: bool
    steps: int
    lead: float


def fit(model: LanguageModel, index: Index, problem: Problem, settings: EditSettings) -> Fit:
    """Optimise `delta` by L-BFGS until every sequence to be changed says the new token, by `margin` in log-odds.

    The loss is the mean shortfall of the new tokens' log-odds plus `keep_weight` times the mean KL divergence of the
    sequences to be kept from what they said before. It is evaluated at most `steps` times, and `settle` times more
    once the margin is reached: the columns with the smallest loss that reach it are taken. Where it is never reached,
    those with the largest lead are, and they count as converged if it is above zero everywhere.
    """
    search = _Search(model, index, problem, settings)
    optimiser = torch.optim.LBFGS(
        list(search.free.values()), max_iter=settings.steps, max_eval=settings.steps, history_size=20,
        tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe",
    )  # fmt: skip
    with suppress(_Enough):
        optimiser.step(search.evaluate)
    return Fit(search.best, search.lead > 0, search.count, search.lead)


class _Enough(Exception):  # noqa: N818
    """Raised inside the optimiser when the search is over."""


class _Search:
    """The free variables, in units of the layer's spread, and the best columns seen so far."""

    def __init__(self, model: LanguageModel, index: Index, problem: Problem, settings: EditSettings) -> None:
        self.model, self.index, self.problem, self.settings = model, index, problem, settings
        self.spread = {layer: _spread(model, layer) for layer in index}
        self.free = {layer: _start(model, own).requires_grad_() for layer, own in index.items()}
        self.best: Columns = {layer: torch.zeros_like(value) for layer, value in self.free.items()}
        self.lead = self.loss = -torch.inf
        self.count = self.reached = 0

    def evaluate(self) -> float:
        """Return the loss at the free variables, with its gradients in place; remember them if they are the best."""
        for value in self.free.values():
            value.grad = None
        delta = {layer: value * self.spread[layer] for layer, value in self.free.items()}
        loss, lead = _gradients(self.model, self.index, delta, self.problem, self.settings)
        self._remember(delta, loss, lead)
        self.count += 1
        self.reached += self.lead >= self.settings.margin
        if self.reached > self.settings.settle or self.count >= self.settings.steps or not math.isfinite(loss):
            raise _Enough
        return loss

    def _remember(self, delta: Columns, loss: float, lead: float) -> None:
        enough = min(lead, self.settings.margin)
        if (enough, -loss) > (min(self.lead, self.settings.margin), -self.loss):
            self.best = {layer: value.detach().clone() for layer, value in delta.items()}
            self.loss, self.lead = loss, lead


def _gradients(
    model: LanguageModel, index: Index, delta: Mapping[int, Tensor], problem: Problem, settings: EditSettings
) -> tuple[float, float]:
    """Add the loss's gradients batch by batch; return the loss and the smallest lead."""
    total, lead = 0.0, torch.inf
    with torch.enable_grad(), shifting(model, index, delta):
        for batch in problem.batches:
            loss, least = _loss(batch, problem, settings)
            total, lead = total + float(loss.detach()), min(lead, least)
            loss.backward(retain_graph=True)
    return total, lead


def _loss(batch: Batch, problem: Problem, settings: EditSettings) -> tuple[Tensor, float]:
    logs = torch.log_softmax(batch.logits(problem.start), -1)
    lead = _lead(logs[: batch.change], batch.target)
    short = torch.nn.functional.softplus(settings.margin + 1 - lead).sum() / max(1, problem.change)
    kl = (batch.kept.exp() * (batch.kept - logs[batch.change :])).sum() / max(1, problem.keep)
    return short + settings.keep_weight * kl, float(lead.detach().min()) if batch.change else torch.inf


def _lead(logs: Tensor, target: Tensor) -> Tensor:
    """Return the log-odds of each target against all other tokens together, `[row]`."""
    own = logs.gather(1, target[:, None])
    return own[:, 0] - logs.scatter(1, target[:, None], -torch.inf).logsumexp(1)


def _start(model: LanguageModel, index: Tensor) -> Tensor:
    wide = torch.float64 if model.dtype == torch.float64 else torch.float32
    return torch.zeros(len(index), model.info.hidden, dtype=wide, device=model.device)


def _spread(model: LanguageModel, layer: int) -> float:
    """Return the root mean square of the layer's value vectors."""
    return float(model.value_vectors(layer).float().square().mean().sqrt())
