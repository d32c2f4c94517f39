"""Laws of the quadrature rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.attribution.quadrature import both_ends, fixed_rule, gauss_legendre, left_riemann
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


def test_an_unknown_rule_names_the_known_ones():
    assert fixed_rule("gauss-legendre") is None
    with pytest.raises(UsageError, match="left-20, peer-20"):
        fixed_rule("simpson")
