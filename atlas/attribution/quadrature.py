"""Quadrature on [0, 1]: where to evaluate the gradient along the path, and with which weights."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from atlas.errors import UsageError


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


def fixed_rule(name: str) -> Rule | None:
    """Return the 20-point rule of that name, or None for `gauss-legendre`, whose size adapts."""
    if name == "gauss-legendre":
        return None
    if name in _FIXED:
        return _FIXED[name](20)
    raise UsageError(f"Quadrature rule {name!r} is not known; choose gauss-legendre, {', '.join(_FIXED)}.")


_FIXED = {"left-20": left_riemann, "peer-20": both_ends}
