"""Laws of the quadrature rules."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from atlas.attribution.quadrature import (
    Asked,
    Scores,
    both_ends,
    clenshaw_curtis,
    gauss_legendre,
    gauss_radau,
    integrate,
    left_riemann,
    radau_kronrod,
    rules,
)
from atlas.attribution.settings import Settings
from atlas.errors import UsageError


@pytest.mark.slow
@given(st.integers(1, 64))
def test_weights_sum_to_one_and_nodes_lie_inside(count):
    gauss = gauss_legendre(count), gauss_radau(count + 1), radau_kronrod(count + 1)
    for rule in (*gauss, left_riemann(count), both_ends(count + 1), clenshaw_curtis(count + 1)):
        assert sum(rule.weights) == pytest.approx(1)
        assert all(0 <= node <= 1 for node in rule.nodes)
        assert min(rule.weights) > 0
        assert rule.nodes[-1] == 1 or not rule.ends_at_values


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


@given(st.integers(2, 12), st.data())
def test_what_radau_is_extended_by_is_exact_to_degree_three_n_minus_one(count, data):
    degree, rule = data.draw(st.integers(0, 3 * count - 1)), radau_kronrod(count)
    found = sum(w * x**degree for x, w in zip(rule.nodes, rule.weights, strict=True))
    assert found == pytest.approx(1 / (degree + 1), rel=1e-12)
    assert len(rule.nodes) == 2 * count


@given(st.sampled_from([gauss_legendre, gauss_radau, radau_kronrod]), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_the_tail_is_the_last_legendre_coefficient_that_the_nodes_tell(kind, count, seed):
    rule, size = kind(count), (3 * count + 1) // 2 if kind is radau_kronrod else count
    series = np.polynomial.legendre.Legendre(np.random.default_rng(seed).normal(size=size), domain=(0, 1))
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


def rules_of(kind, count, most=128):
    return list(rules(Settings(rule=kind, nodes=count, max_nodes=most)))


@given(st.sampled_from(["clenshaw-curtis", "gauss-radau"]), st.integers(2, 40))
def test_the_second_nested_rule_keeps_every_node_of_the_first(kind, count):
    first, second, *_ = rules_of(kind, count)
    kept = [node for node in second.nodes if any(abs(node - old) < 1e-12 for old in first.nodes)]
    assert kept == pytest.approx(first.nodes)
    assert len(second.nodes) == 2 * count - (kind == "clenshaw-curtis")


@given(st.integers(2, 20), st.integers(0, 100))
def test_radau_and_its_extensions_take_turns_up_to_the_most_nodes(count, more):
    most = count + more
    found, expected = rules_of("gauss-radau", count, most), [gauss_radau(count)]
    while expected[-1] is not gauss_radau(most):
        size = len(expected[-1].nodes)
        extends = expected[-1] is gauss_radau(size) and 2 * size <= most
        expected.append(radau_kronrod(size) if extends else gauss_radau(min(2 * size, most)))
    assert found == expected


@given(st.sampled_from(["gauss-legendre", "clenshaw-curtis"]), st.integers(2, 40), st.integers(0, 200))
def test_other_rules_double_up_to_the_most_nodes(kind, count, more):
    most, shared = count + more, kind == "clenshaw-curtis"
    sizes = [len(rule.nodes) for rule in rules_of(kind, count, most)]
    assert sizes == [2**i * (count - shared) + shared for i in range(len(sizes))]
    assert sizes[-1] <= most < 2 * sizes[-1] - shared


@pytest.mark.slow
@given(st.sampled_from(["clenshaw-curtis", "gauss-radau"]), st.integers(2, 4), st.data())
def test_a_node_is_asked_once_for_each_unit_that_stays(kind, count, data):
    """The gradient of unit u at node x is u + x; a unit that was let go and is back is asked everywhere."""
    every = torch.tensor([[row, layer] for row in range(3) for layer in range(2)])
    number = {tuple(unit): i for i, unit in enumerate(every.tolist())}
    seen = []

    def ask(units, nodes):
        seen.extend((number[tuple(unit)], round(x, 12)) for unit in units.tolist() for x in nodes)
        for half in (slice(0, 1), slice(1, None)):
            rows = torch.tensor([number[tuple(unit)] for unit in units[half].tolist()])
            yield torch.arange(len(units))[half], (rows[:, None] + torch.tensor(nodes)[None])[..., None]

    asked, before, had = Asked(every, (0.0,), torch.arange(6.0)[:, None, None]), set(range(6)), {0.0}
    for rule in rules_of(kind, count)[:4]:
        chosen = sorted(data.draw(st.sets(st.sampled_from(range(6)), min_size=1)))
        seen.clear()
        found = asked.at(every[chosen], rule.nodes[:-1], ask)
        nodes = torch.tensor(rule.nodes[:-1])
        assert torch.allclose(found[..., 0], torch.tensor(chosen)[:, None] + nodes)
        inner = {round(x, 12) for x in rule.nodes[:-1]}
        assert len(seen) == len(set(seen))
        assert set(seen) == {(unit, x) for unit in chosen for x in inner if unit not in before or x not in had}
        before, had = set(chosen), inner


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


@given(st.integers(2, 12), st.floats(0.5, 1), st.floats(0, 0.74))
def test_an_error_that_the_last_coefficient_hides_is_told_by_the_sum(count, first, against):
    """The nodes see little of the last coefficient that they tell; the first one that they miss is nearly as large.

    As long as no more than three quarters of the first score's error cancel in the sum, of which four times are taken.
    """
    rule, basis = gauss_radau(count), partial(np.polynomial.legendre.Legendre.basis, domain=(0, 1))
    missed = 1e-3 * basis(2 * count - 1)
    seen = sum(weight * missed(x) for x, weight in zip(rule.nodes, rule.tail, strict=True))
    series = 1 + (1e-3 - seen) * basis(count - 1) + missed
    sizes, values = torch.tensor([[first, -against * first]]), series(np.array(rule.nodes))
    scores, tail = (sizes * float(values @ np.array(weights)) for weights in (rule.weights, rule.tail))
    errors = scores - sizes
    assert rule.estimate(scores, tail, errors.sum(1)) >= 0.99 * errors.abs().max()


def test_an_unknown_rule_names_the_known_ones():
    with pytest.raises(UsageError, match="gauss-radau, gauss-legendre, clenshaw-curtis, left-20, peer-20"):
        rules(Settings.model_construct(method="kn", rule="simpson"))
    with pytest.raises(ValidationError, match="'gauss-radau', 'gauss-legendre'"):
        Settings(rule="simpson")


@given(
    st.sampled_from(["amig", "amig-mean", "amig-code", "kn", "joint", "peel"]),
    st.sampled_from(["gauss-radau", "gauss-legendre", "clenshaw-curtis", "left-20", "peer-20"]),
    st.none() | st.integers(1, 40),
    st.integers(1, 40),
)
def test_no_rule_has_more_nodes_than_the_most_or_the_settings_are_refused(method, rule, nodes, most):
    """Refused are those alone of which some rule would have more; `peel` integrates as `amig-mean`, then as `amig`."""
    asked = {"rule": rule, "nodes": nodes, "max_nodes": most}
    methods = ("amig-mean", "amig") if method == "peel" else (method,)
    every = [found for own in methods for found in rules(Settings.model_construct(method=own, **asked))]
    if max(len(found.nodes) for found in every) <= most:
        assert Settings(method=method, **asked).max_nodes == most
    else:
        with pytest.raises(ValidationError, match=f"the first rule of `{method}` has"):
            Settings(method=method, **asked)


@pytest.mark.parametrize("method", ["greedy", "gradient", "activation", "random"])
def test_scorers_without_a_path_take_no_nodes(method):
    assert Settings(method=method, nodes=64, max_nodes=1).max_nodes == 1
