"""Quadrature on [0, 1], adaptive to a stated completeness: where, and how often, to ask for the gradient."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from atlas.attribution.settings import Settings
from atlas.errors import UsageError

RESOLVED = 0.01
"""A change of F below this share of F(w) counts as this share, so that the tolerance never asks for zero."""
SAFETY = 4
"""By how much the estimate of a score's error is raised; on the demo models it then fell short in 3 % of paths at most,
and no score that it let pass was off by more than 0.6 % of the prompt's largest (48 nodes, float64).
"""
ROUNDING = 4
"""F is not known better than so many units of rounding of the model's number type."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Nodes in [0, 1] and weights that sum to 1.

    `tail` are the weights, at the same nodes, of the last Legendre coefficient of the integrand that they can tell;
    empty for a rule that knows none.
    """

    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    tail: tuple[float, ...] = ()

    def estimate(self, tail: Tensor, largest: Tensor) -> Tensor:
        """Return how far scores are from exact, about: of an integrand with such a last coefficient and largest score.

        Legendre coefficients of a smooth integrand fall geometrically. From the mean, of degree 0, to degree `n - 1`
        they fell by `tail / largest`; the first that n Gauss-Legendre nodes miss has degree `2 n`.
        """
        fall = tail / largest.clamp_min(torch.finfo(largest.dtype).tiny)
        return SAFETY * tail * fall.clamp_max(1) ** ((len(self.nodes) + 1) / max(1, len(self.nodes) - 1))


@cache
def gauss_legendre(count: int) -> Rule:
    """Return the Gauss-Legendre rule of `count` nodes, exact for polynomials up to degree `2 count - 1`."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    last = (2 * count - 1) * np.polynomial.legendre.Legendre.basis(count - 1)(nodes)
    return Rule(tuple((nodes + 1) / 2), tuple(weights / 2), tuple(last * weights / 2))


@cache
def left_riemann(count: int) -> Rule:
    """Return the left sum of `count` equal steps, which the published AMIG code uses with 20."""
    return Rule(tuple(i / count for i in range(count)), (1 / count,) * count)


@cache
def both_ends(count: int) -> Rule:
    """Return `count` equally spaced, equally weighted nodes from 0 to 1, both included (the code of Dai et al.)."""
    return Rule(tuple(i / (count - 1) for i in range(count)), (1 / count,) * count)


@cache
def fixed_rule(name: str) -> Rule | None:
    """Return the 20-point rule of that name, or None for `gauss-legendre`, whose size adapts."""
    if name == "gauss-legendre":
        return None
    if name in _FIXED:
        return _FIXED[name](20)
    raise UsageError(f"Quadrature rule {name!r} is not known; choose gauss-legendre, {', '.join(_FIXED)}.")


_FIXED = {"left-20": left_riemann, "peer-20": both_ends}


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores `[row, layer, neuron]`; F(w), F(w'), errors, nodes and converged, each `[row, layer]`.

    `error` is the sum of the scores less F(w) - F(w'), signed, so that its mean is that of the mean; `score_error` is
    about how far the worst score is from exact (see `Rule.estimate`). A row is a path or a step. A scorer without a
    path has NaN for F(w') and both errors, and 0 nodes.
    """

    scores: Tensor
    f: Tensor
    f_baseline: Tensor
    error: Tensor
    score_error: Tensor
    nodes: Tensor
    converged: Tensor

    @classmethod
    def unfinished(cls, f: Tensor, f_baseline: Tensor, neurons: int) -> "Scores":
        """Return the scores before any integration: F at both ends `[row, layer]`, nothing converged."""
        nothing = torch.zeros_like(f_baseline, dtype=torch.int32)
        scores = f_baseline.new_zeros(*f_baseline.shape, neurons)
        unknown = torch.full_like(f_baseline, torch.inf)
        return cls(scores, f, f_baseline, unknown, unknown.clone(), nothing, nothing.bool())


Integral = Callable[[Rule, Tensor], Iterable[tuple[Tensor, Tensor, Tensor]]]
"""Yields, part by part, units `[unit, (row, layer)]` of those given, their integrals by a rule and their last Legendre
coefficients, both `[unit, neuron]`.
"""
Largest = Callable[[Tensor], Tensor]
"""From scores `[row, layer, neuron]` to the largest of the prompt that each row belongs to, `[row]`."""


def integrate(
    result: Scores, integral: Integral, largest: Largest, settings: Settings, start: int, rounding: float
) -> None:
    """Integrate every unit, one row and one layer, and write scores, errors and nodes into `result`.

    Units are integrated again with twice the nodes while their completeness error is above the tolerance, as a share of
    F(w) - F(w'), or their score error is, as a share of the prompt's largest score: errors of neurons can cancel in
    the sum. `start` is the size of the first Gauss-Legendre rule; a fixed rule of the settings is used as it is, once,
    and its score error is unknown. `rounding` is that of F.
    """
    fixed = fixed_rule("left-20" if settings.method == "amig-code" else settings.rule)
    rule = fixed or gauss_legendre(settings.nodes or start)
    pending = torch.isfinite(result.f)
    while bool(pending.any()):
        for units, scores, tail in integral(rule, pending.nonzero()):
            at = units.unbind(1)
            result.scores[at] = scores
            result.error[at] = scores.sum(1) - (result.f[at] - result.f_baseline[at])
            result.score_error[at] = rule.estimate(tail.abs().amax(1), scores.abs().amax(1)).to(result.error.dtype)
            result.nodes[at] = len(rule.nodes)
        result.converged[:] = _converged(result, largest(result.scores), settings.tolerance, rounding)
        if fixed or 2 * len(rule.nodes) > settings.max_nodes:
            break
        rule = gauss_legendre(2 * len(rule.nodes))
        pending = torch.isfinite(result.f) & ~result.converged


def _converged(result: Scores, largest: Tensor, tolerance: float, rounding: float) -> Tensor:
    """Return which units `[row, layer]` are within the tolerance, of the sum and of each score."""
    change, known = (result.f - result.f_baseline).abs(), ROUNDING * rounding * result.f
    sums = result.error.abs() <= torch.maximum(tolerance * change.maximum(RESOLVED * result.f), known)
    scores = result.score_error <= torch.maximum(tolerance * largest[:, None], known)
    return sums & (scores | result.score_error.isnan())
