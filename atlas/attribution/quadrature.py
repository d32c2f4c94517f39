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
ROUNDING = 4
"""F is not known better than so many units of rounding of the model's number type."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Nodes in [0, 1] and weights that sum to 1."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]


@cache
def gauss_legendre(count: int) -> Rule:
    """Return the Gauss-Legendre rule of `count` nodes, exact for polynomials up to degree `2 count - 1`."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return Rule(tuple((nodes + 1) / 2), tuple(weights / 2))


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
    """Scores `[row, layer, neuron]`; F(w), F(w'), completeness error, nodes and converged, each `[row, layer]`.

    A row is a path or a step. A scorer without a path has NaN for F(w') and the error, and 0 nodes.
    """

    scores: Tensor
    f: Tensor
    f_baseline: Tensor
    error: Tensor
    nodes: Tensor
    converged: Tensor

    @classmethod
    def unfinished(cls, f: Tensor, f_baseline: Tensor, neurons: int) -> "Scores":
        """Return the scores before any integration: F at both ends `[row, layer]`, nothing converged."""
        nothing = torch.zeros_like(f_baseline, dtype=torch.int32)
        scores = f_baseline.new_zeros(*f_baseline.shape, neurons)
        return cls(scores, f, f_baseline, torch.full_like(f_baseline, torch.inf), nothing, nothing.bool())


Integral = Callable[[Rule, Tensor], Iterable[tuple[Tensor, Tensor]]]
"""Yields, part by part, units `[unit, (row, layer)]` of those given and their integrals by a rule, `[unit, neuron]`."""


def integrate(result: Scores, integral: Integral, settings: Settings, start: int, rounding: float) -> None:
    """Integrate every unit, one row and one layer, and write scores, errors and nodes into `result`.

    Units whose completeness error is above the tolerance are integrated again with twice the nodes. `start` is the size
    of the first Gauss-Legendre rule; a fixed rule of the settings is used as it is, once. `rounding` is that of F.
    """
    fixed = fixed_rule("left-20" if settings.method == "amig-code" else settings.rule)
    rule = fixed or gauss_legendre(settings.nodes or start)
    least = max(settings.tolerance * RESOLVED, ROUNDING * rounding)
    pending = torch.isfinite(result.f)
    while bool(pending.any()):
        for units, scores in integral(rule, pending.nonzero()):
            at = units.unbind(1)
            change = result.f[at] - result.f_baseline[at]
            error = (scores.sum(1) - change).abs()
            result.scores[at] = scores
            result.error[at] = error
            result.nodes[at] = len(rule.nodes)
            result.converged[at] = error <= torch.maximum(settings.tolerance * change.abs(), least * result.f[at])
        if fixed or 2 * len(rule.nodes) > settings.max_nodes:
            break
        rule = gauss_legendre(2 * len(rule.nodes))
        pending = pending & ~result.converged
