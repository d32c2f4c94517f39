"""Laws of the quadrature rules."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atlas.attribution.nested import Asked
from atlas.attribution.quadrature import (
    Scores,
    both_ends,
    clenshaw_curtis,
    first_rule,
    gauss_legendre,
    gauss_radau,
    integrate,
    left_riemann,
)
from atlas.attribution.settings import Settings
from atlas.errors import UsageError


@given(st.integers(1, 64))
def test_weights_sum_to_one_and_nodes_lie_inside(count):
    gauss = gauss_legendre(count), gauss_radau(count + 1)
    for rule in (*gauss, left_riemann(count), both_ends(count + 1), clenshaw_curtis(count + 1)):
        assert sum(rule.weights) == pytest.approx(1)
        assert all(0 <= node <= 1 for node in rule.nodes)


@given(st.integers(1, 12), st.data())
def test_gauss_is_exact_to_degree_two_n_minus_one(count, data):
    degree = data.draw(st.integers(0, 2 * count - 1))
    rule = gauss_legendre(count)
    found = sum(w * x**degree for x, w in zip(rule.nodes, rule.weights, strict=True))
    assert found == pytest.approx(1 / (degree + 1), rel=1e-12)


@given(st.integers(2, 12), st.data())
def test_radau_is_exact_to_degree_two_n_minus_two_and_ends_at_one(count, data):
    degree, rule = data.draw(st.integers(0, 2 * count - 2)), gauss_radau(count)
    found = sum(w * x**degree for x, w in zip(rule.nodes, rule.weights, strict=True))
    assert found == pytest.approx(1 / (degree + 1), rel=1e-12)
    assert rule.ends_at_values


@given(st.sampled_from([gauss_legendre, gauss_radau]), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_the_tail_is_the_last_legendre_coefficient_that_n_nodes_tell(kind, count, seed):
    series = np.polynomial.legendre.Legendre(np.random.default_rng(seed).normal(size=count), domain=(0, 1))
    rule = kind(count)
    found = sum(w * series(x) for x, w in zip(rule.nodes, rule.tail, strict=True))
    assert found == pytest.approx(series.coef[-1], rel=1e-9, abs=1e-9)


@given(st.integers(2, 65), st.data())
def test_clenshaw_curtis_is_exact_to_degree_n_minus_one(count, data):
    degree, rule = data.draw(st.integers(0, count - 1)), clenshaw_curtis(count)
    found = sum(w * x**degree for x, w in zip(rule.nodes, rule.weights, strict=True))
    assert found == pytest.approx(1 / (degree + 1), rel=1e-12)


@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_the_tail_of_clenshaw_curtis_is_the_last_chebyshev_coefficient(count, seed):
    series = np.polynomial.chebyshev.Chebyshev(np.random.default_rng(seed).normal(size=count), domain=(0, 1))
    rule = clenshaw_curtis(count)
    found = sum(w * series(x) for x, w in zip(rule.nodes, rule.tail, strict=True))
    assert found == pytest.approx(series.coef[-1] * (-1) ** (count - 1), rel=1e-9, abs=1e-9)


@given(st.integers(2, 40))
def test_a_finer_nested_rule_keeps_every_node(count):
    rule = clenshaw_curtis(count)
    assert rule.kind(2 * count - 1).nodes[::2] == pytest.approx(rule.nodes, abs=1e-15)


@given(st.sampled_from([(2, 3, 5, 9), (3, 5, 9, 17), (5, 9), (4, 7)]), st.data())
def test_a_node_is_asked_once_for_each_unit_that_stays(counts, data):
    """The gradient of unit u at node x is u + x; a unit that was let go and is back is asked everywhere."""
    every = torch.tensor([[row, layer] for row in range(3) for layer in range(2)])
    number = {tuple(unit): i for i, unit in enumerate(every.tolist())}
    seen = []

    def ask(units, nodes):
        seen.extend((tuple(unit), round(x, 12)) for unit in units.tolist() for x in nodes)
        for half in (slice(0, 1), slice(1, None)):
            rows = torch.tensor([number[tuple(unit)] for unit in units[half].tolist()])
            yield torch.arange(len(units))[half], (rows[:, None] + torch.tensor(nodes)[None])[..., None]

    asked, before = Asked(every, torch.arange(6.0)[:, None, None]), set(range(6))
    for count in counts:
        chosen = sorted(data.draw(st.sets(st.sampled_from(range(6)), min_size=1)))
        seen.clear()
        found = asked.at(clenshaw_curtis(count), every[chosen], ask)
        nodes = torch.tensor(clenshaw_curtis(count).nodes[:-1])
        assert torch.allclose(found[..., 0], torch.tensor(chosen)[:, None] + nodes)
        stayed = before & set(chosen)
        old = 0 if count == counts[0] else count // 2
        new = count - 2 if count == counts[0] else count - 1 - old
        assert len(seen) == len(set(seen)) == len(stayed) * new + (len(chosen) - len(stayed)) * (count - 1)
        before = set(chosen)


@pytest.mark.parametrize("kind", ["gauss-radau", "gauss-legendre", "clenshaw-curtis"])
def test_errors_that_cancel_in_the_sum_are_seen(kind):
    """Two neurons with the gradients 1 + x^5 and 1 - x^5: under any rule their sum is complete, each score is not."""

    def integral(rule, units):
        x, signs = torch.tensor(rule.nodes, dtype=torch.float64), torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
        gradients = 1 + signs * x**5
        yield units, *((gradients @ x.new_tensor(weights))[None] for weights in (rule.weights, rule.tail))

    ends = torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([[0.0]], dtype=torch.float64)
    result = Scores.unfinished(*ends, neurons=2)
    integrate(result, integral, lambda scores: scores.amax((1, 2)), Settings(rule=kind), rounding=1e-16)
    assert result.converged.all()
    assert result.scores[0, 0].tolist() == pytest.approx([7 / 6, 5 / 6], abs=0.01)
    assert result.nodes.item() > 2


def test_an_unknown_rule_names_the_known_ones():
    with pytest.raises(UsageError, match="gauss-radau, gauss-legendre, clenshaw-curtis, left-20, peer-20"):
        first_rule(Settings.model_construct(method="kn", rule="simpson"))
