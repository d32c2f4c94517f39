"""Laws of the quadrature rules."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atlas.attribution.quadrature import Scores, both_ends, fixed_rule, gauss_legendre, integrate, left_riemann
from atlas.attribution.settings import Settings
from atlas.errors import UsageError


@given(st.integers(1, 64))
def test_weights_sum_to_one_and_nodes_lie_inside(count):
    for rule in (gauss_legendre(count), left_riemann(count), both_ends(count + 1)):
        assert sum(rule.weights) == pytest.approx(1)
        assert all(0 <= node <= 1 for node in rule.nodes)


@given(st.integers(1, 12), st.data())
def test_gauss_is_exact_to_degree_two_n_minus_one(count, data):
    degree = data.draw(st.integers(0, 2 * count - 1))
    rule = gauss_legendre(count)
    found = sum(w * x**degree for x, w in zip(rule.nodes, rule.weights, strict=True))
    assert found == pytest.approx(1 / (degree + 1), rel=1e-12)


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_tail_is_the_last_legendre_coefficient_that_n_nodes_tell(count, seed):
    series = np.polynomial.legendre.Legendre(np.random.default_rng(seed).normal(size=count), domain=(0, 1))
    rule = gauss_legendre(count)
    found = sum(w * series(x) for x, w in zip(rule.nodes, rule.tail, strict=True))
    assert found == pytest.approx(series.coef[-1], rel=1e-9, abs=1e-9)


def test_errors_that_cancel_in_the_sum_are_seen():
    """Two neurons with the gradients 1 + x^5 and 1 - x^5: under any rule their sum is complete, each score is not."""

    def integral(rule, units):
        x, signs = torch.tensor(rule.nodes, dtype=torch.float64), torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
        gradients = 1 + signs * x**5
        yield units, *((gradients @ x.new_tensor(weights))[None] for weights in (rule.weights, rule.tail))

    ends = torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([[0.0]], dtype=torch.float64)
    result = Scores.unfinished(*ends, neurons=2)
    integrate(result, integral, lambda scores: scores.amax((1, 2)), Settings(), start=2, rounding=1e-16)
    assert result.converged.all()
    assert result.scores[0, 0].tolist() == pytest.approx([7 / 6, 5 / 6], abs=0.01)
    assert result.nodes.item() > 2


def test_an_unknown_rule_names_the_known_ones():
    assert fixed_rule("gauss-legendre") is None
    with pytest.raises(UsageError, match="left-20, peer-20"):
        fixed_rule("simpson")
