"""Quadrature on [0, 1], adaptive to a stated completeness: where, and how often, to ask for the gradient."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from numpy.polynomial import legendre
from numpy.typing import NDArray
from torch import Tensor

from atlas.attribution.settings import FIXED_NODES, Settings, first_nodes
from atlas.errors import UsageError

DIGITS = 12
"""Nodes that agree to so many are one: each rule makes its own."""
RESOLVED = 0.01
"""A change of F below this share of F(w) counts as this share, so that the tolerance never asks for zero."""
ROUNDING = 4
"""F is not known better than so many units of rounding of the model's number type."""
NARROW = 16
"""The same in bfloat16, narrower than F's own type, and more of many layers; of scores, shares of the largest."""
FAR = 10
"""Errors above so many times the tolerance are no longer those of a number that is nearly right."""
HOPELESS = 0.1
"""The error, as a share, that a smooth integrand soon falls below, once its nodes are dense enough."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Nodes in [0, 1] and weights that sum to 1.

    `tail` are the weights, at the same nodes, of the last coefficient of the integrand, in the polynomials of the rule,
    that they can tell; empty for a rule that knows none. `missed` is by how many degrees the first coefficient that the
    integral misses lies beyond it, as a share of its own degree; `safety` and `sum_safety` raise the two estimates of
    the error. The last node of a rule that `ends_at_values` is 1: the gradient there is that at w, one for all paths
    and layers of a prompt. Finer rules that do may hold the nodes of coarser ones.
    """

    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    tail: tuple[float, ...] = ()
    missed: float = 0
    safety: float = 1
    sum_safety: float = 0
    ends_at_values: bool = False

    def estimate(self, scores: Tensor, tail: Tensor, error: Tensor) -> Tensor:
        """Return about how far the worst score of each unit is from exact `[unit]`, the larger of two estimates.

        From the scores and their last coefficients, both `[unit, neuron]`: the coefficients of a smooth integrand fall
        geometrically, from the mean, of degree 0, to the last one by `tail / scores`, and as fast from there to the
        first one that the integral misses. And from the completeness error `[unit]`, which is exact: what a score
        misses is to its last coefficient as what the sum misses is to theirs; no more than that, or than it.
        """
        worst, whole = tail.abs().amax(1), torch.stack([scores.abs().amax(1), tail.sum(1).abs()])
        whole = torch.maximum(whole, worst).clamp_min(torch.finfo(whole.dtype).tiny)
        fall, missed = (torch.stack([worst, error.abs().to(worst)]) / whole).clamp_max(1)
        return worst * torch.maximum(self.safety * fall**self.missed, self.sum_safety * missed)


@cache
def clenshaw_curtis(count: int) -> Rule:
    """Return the Clenshaw-Curtis rule of `count` nodes, exact for polynomials up to degree `count - 1`.

    Its nodes are the extremes of a Chebyshev polynomial (Clenshaw and Curtis 1960). Errors of degree `count + 1` all
    but vanish, as its neighbours below are integrated alike (Trefethen 2008, SIAM Review 50).
    """
    last, degrees = count - 1, np.arange(count)
    inner = np.ones(count)
    inner[[0, -1]] = 0.5
    values = np.cos(np.outer(degrees, degrees) * (np.pi / last))
    moments = np.where(degrees % 2, 0, 1 / (1 - degrees.astype(float) ** 2 + degrees % 2))
    weights, tail = inner * (values @ (inner * moments)) * 2 / last, inner * values[-1] / last
    nodes = ((1 - values[1]) / 2).tolist()
    columns = tuple(nodes), tuple(weights.tolist()), tuple(tail.tolist())
    return Rule(*columns, 2 / last, ends_at_values=True)


@cache
def gauss_legendre(count: int) -> Rule:
    """Return the Gauss-Legendre rule of `count` nodes, exact for polynomials up to degree `2 count - 1`."""
    nodes, weights = legendre.leggauss(count)
    return _gauss(nodes, weights, 2 * count - 1)


@cache
def gauss_radau(count: int) -> Rule:
    """Return the Gauss-Radau rule of `count` nodes, the last at 1, exact for polynomials up to degree `2 count - 2`.

    Its nodes are the eigenvalues of the recurrence of the Legendre polynomials, the last coefficient such that 1 is one
    (Golub 1973, SIAM Review 15).
    """
    degrees = np.arange(1, count)
    recurrence = np.diag(degrees / np.sqrt(4.0 * degrees**2 - 1), -1)
    recurrence[-1, -1] = count / (2 * count - 1)
    nodes = np.linalg.eigvalsh(recurrence)
    nodes[-1] = 1
    weights = (1 + nodes) / (count * legendre.Legendre.basis(count - 1)(nodes)) ** 2
    return _gauss(nodes, weights, 2 * count - 2, ends_at_values=True)


@cache
def radau_kronrod(count: int) -> Rule:
    """Return the Gauss-Radau rule of `count` nodes with as many more, exact for polynomials up to degree `3 count - 1`.

    The new nodes are the zeros of the polynomial that, times that of the old nodes, is orthogonal to all of lower
    degree than itself (Kronrod 1965; Monegato 1982, Numerical Integration).
    """
    old = 2 * np.array(gauss_radau(count).nodes) - 1
    points, weights = legendre.leggauss(2 * count)
    of_old = (2 * (points[:, None] - old)).prod(1)
    basis = legendre.legvander(points, count) * np.sqrt(2 * np.arange(count + 1) + 1)
    products = basis.T @ (basis * (weights * of_old / np.abs(of_old).max())[:, None])
    lower = np.linalg.solve(products[:-1, :-1], -products[:-1, -1])
    new = legendre.legroots(np.append(lower, 1) * np.sqrt(2 * np.arange(count + 1) + 1))
    nodes = np.sort(np.concatenate([old, new]))
    weights = 2 * np.linalg.inv(legendre.legvander(nodes, 2 * count - 1))[0]
    return _gauss(nodes, weights, 3 * count - 1, ends_at_values=True)


def _gauss(nodes: NDArray[np.float64], weights: NDArray[np.float64], degree: int, ends_at_values: bool = False) -> Rule:
    """Return a rule of nodes and weights on [-1, 1], exact up to `degree`: it tells coefficients of half of that."""
    last = degree // 2
    tail = (2 * last + 1) * legendre.Legendre.basis(last)(nodes) * weights / 2
    columns = tuple(((nodes + 1) / 2).tolist()), tuple((weights / 2).tolist()), tuple(tail.tolist())
    safety, sum_safety = (0.5, 4) if ends_at_values else (4, 0)  # each sees what the other cannot
    return Rule(*columns, (degree + 1 - last) / max(1, last), safety, sum_safety, ends_at_values)


@cache
def left_riemann(count: int) -> Rule:
    """Return the left sum of `count` equal steps, which the published AMIG code uses with 20."""
    return Rule(tuple(i / count for i in range(count)), (1 / count,) * count)


@cache
def both_ends(count: int) -> Rule:
    """Return `count` equally spaced, equally weighted nodes from 0 to 1, both included (the code of Dai et al.)."""
    return Rule(tuple(i / (count - 1) for i in range(count)), (1 / count,) * count)


def radau_rules(count: int, most: int) -> Iterator[Rule]:
    """Yield Gauss-Radau, what extends it, Gauss-Radau of twice as many nodes (to extend again, some would lie outside).

    And so on; `most` nodes at last.
    """
    while True:
        yield gauss_radau(count)
        if 2 * count <= most:
            yield radau_kronrod(count)
        if count >= most:
            return
        count = min(4 * count, most)


def doubled_rules(count: int, most: int, kind: Callable[[int], Rule], shared: int) -> Iterator[Rule]:
    """Yield rules of a kind, each of twice as many nodes but the `shared` ones, the first and those of up to `most`."""
    yield kind(count)
    while (count := 2 * count - shared) <= most:
        yield kind(count)


FIXED = {"left-20": left_riemann, "peer-20": both_ends}
"""Rules of FIXED_NODES, used as they are."""
ADAPTIVE: dict[str, Callable[[int, int], Iterator[Rule]]] = {
    "gauss-radau": radau_rules,
    "gauss-legendre": partial(doubled_rules, kind=gauss_legendre, shared=0),
    "clenshaw-curtis": partial(doubled_rules, kind=clenshaw_curtis, shared=1),
}
"""Given the nodes of the first and the most nodes, yield rules, coarse to fine."""


def rules(settings: Settings) -> Iterator[Rule]:
    """Return the rules that the settings ask for, coarse to fine; `amig-code` has its own, of fixed size."""
    name = "left-20" if settings.method == "amig-code" else settings.rule
    if name in FIXED:
        return iter((FIXED[name](FIXED_NODES),))
    if name not in ADAPTIVE:
        raise UsageError(f"Quadrature rule {name!r} is not known; choose {', '.join((*ADAPTIVE, *FIXED))}.")
    return ADAPTIVE[name](first_nodes(settings.method, name, settings.nodes), settings.max_nodes)


Ask = Callable[[Tensor, tuple[float, ...]], Iterable[tuple[Tensor, Tensor]]]
"""Given units `[unit, (row, layer)]` and nodes, yields places in their list and gradients, `[unit, node, size]`."""


@dataclass
class Asked:
    """Units `[unit, (row, layer)]` that are still integrated, and `gradients` `[unit, node, size]` at `nodes`."""

    units: Tensor
    nodes: tuple[float, ...]
    gradients: Tensor

    def at(self, units: Tensor, nodes: Sequence[float], ask: Ask) -> Tensor:
        """Return the gradients of `units` at `nodes`, `[unit, node, size]`, asking for those that are not known.

        A unit that was let go, as it had converged, and is back is asked at all of them.
        """
        keys, before = ((part[:, 0] << 32) + part[:, 1] for part in (units, self.units))
        stayed, known = torch.isin(keys, before), self.gradients[torch.isin(before, keys)]
        new, had = ({round(node, DIGITS): i for i, node in enumerate(part)} for part in (nodes, self.nodes))
        old = torch.tensor([node in had for node in new], device=units.device)
        found = known.new_empty(len(units), len(nodes), known.shape[2])
        found[stayed.nonzero(), old.nonzero()[:, 0]] = known[:, [had[node] for node in new if node in had]]
        for rows, places in ((stayed, ~old), (~stayed, torch.ones_like(old))):
            row, place = rows.nonzero(), places.nonzero()[:, 0]
            wanted = tuple(nodes[i] for i in place.tolist())
            for asked, gradients in ask(units[row[:, 0]], wanted) if len(row) and wanted else ():
                found[row[asked], place] = gradients
        self.units, self.nodes, self.gradients = units, tuple(nodes), found
        return found


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores `[row, layer, neuron]`; F(w), F(w'), errors, nodes and converged, each `[row, layer]`.

    `error` is the sum of the scores less F(w) - F(w'), signed, so that its mean is that of the mean; `score_error` is
    about how far the worst score is from exact (see `Rule.estimate`). A row is a path or a step. A scorer without a
    path has NaN for F(w') and both errors, and 0 nodes. `rounds` `[row, layer, neuron]` says in which round a scorer of
    several cut the neuron, from 1; 0 in none.
    """

    scores: Tensor
    f: Tensor
    f_baseline: Tensor
    error: Tensor
    score_error: Tensor
    nodes: Tensor
    converged: Tensor
    rounds: Tensor | None = None

    @classmethod
    def unfinished(cls, f: Tensor, f_baseline: Tensor, neurons: int) -> "Scores":
        """Return the scores before any integration: F at both ends `[row, layer]`, nothing converged."""
        nothing = torch.zeros_like(f_baseline, dtype=torch.int32)
        scores = f_baseline.new_zeros(*f_baseline.shape, neurons)
        unknown = torch.full_like(f_baseline, torch.inf)
        return cls(scores, f, f_baseline, unknown, unknown.clone(), nothing, nothing.bool())


Integral = Callable[[Rule, Tensor], Iterable[tuple[Tensor, Tensor, Tensor]]]
"""Yields, in parts, units `[unit, (row, layer)]`, their integrals by a rule and last coefficients, `[unit, neuron]`."""
Largest = Callable[[Tensor], Tensor]
"""From scores `[row, layer, neuron]` to the largest of the prompt that each row belongs to, `[row]`."""


def integrate(result: Scores, integral: Integral, largest: Largest, settings: Settings, rounding: float) -> None:
    """Integrate every unit, one row and one layer, and write scores, errors and nodes into `result`.

    Units are integrated again with a finer rule while their completeness error or their score error is not `allowed`:
    errors of neurons can cancel in the sum. A unit is given up that finer rules cannot help: while the nodes doubled
    twice its completeness error never fell as they grew, and falling so up to the most nodes would leave it FAR above
    what is allowed, or above HOPELESS. A fixed rule of the settings is used as it is, once; its score error is unknown.
    `rounding` is that of the model's number type.
    """
    pending = possible = torch.isfinite(result.f)
    before, stalled = torch.full_like(result.error, torch.inf), torch.zeros_like(result.error)
    for rule in rules(settings):
        if not pending.any():
            return
        for units, scores, tail in integral(rule, pending.nonzero()):
            at = units.unbind(1)
            result.scores[at] = scores
            result.error[at] = error = scores.sum(1) - (result.f[at] - result.f_baseline[at])
            result.score_error[at] = rule.estimate(scores, tail, error).to(result.error.dtype)
            result.nodes[at] = len(rule.nodes)
        most = largest(result.scores)[:, None]
        of_sums, of_scores = allowed(result.f, result.f_baseline, most, settings.tolerance, rounding)
        missed = result.error.abs() / of_sums
        result.converged[:] = torch.fmax(missed, result.score_error / of_scores) <= 1
        stalled = torch.where(2 * missed > before, stalled + 1, 0)
        doublings = int(math.log2(settings.max_nodes / len(rule.nodes)))
        hopeless = missed > 2**doublings * max(FAR, HOPELESS / settings.tolerance)
        possible = possible & ~((stalled >= 2) & hopeless)
        pending, before = possible & ~result.converged, missed


def allowed(f: Tensor, f_baseline: Tensor, largest: Tensor, tolerance: float, rounding: float) -> tuple[Tensor, Tensor]:
    """Return the completeness and the score error up to which units have converged, both like F `[..., layer]`: the
    tolerance's shares of the change of F and of the prompt's `largest` score, and no less than what is known of them.
    """
    least, exact = torch.finfo(f.dtype).tiny, torch.finfo(f.dtype).eps
    known = (NARROW * max(1, math.sqrt(f.shape[-1]) / 2) if rounding > exact else ROUNDING) * rounding
    of_sums = (tolerance * (f - f_baseline).abs().maximum(RESOLVED * f)).maximum(known * f)
    of_scores = (max(tolerance, known) * largest).maximum(ROUNDING * exact * f)
    return of_sums.clamp_min(least), of_scores.clamp_min(least)
