"""The SQL of random overlaps against exact sums of fractions."""

import math
from fractions import Fraction

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store.world import tail

from atlas.store import views

exact = settings(settings.get_profile("store"), max_examples=60)


@pytest.fixture(scope="module")
def sql():
    with duckdb.connect() as connection:
        connection.execute(views.text("chance"))
        yield lambda query: connection.execute(f"SELECT {query}").fetchall()[0][0]


@exact
@given(st.integers(5, 40), st.data())
def test_two_sets(sql, population, data):
    a, b = (data.draw(st.integers(0, population)) for _ in "ab")
    observed = data.draw(st.integers(0, min(a, b) + 1))
    expected = sum(
        Fraction(math.comb(a, x) * math.comb(population - a, b - x), math.comb(population, b))
        for x in range(observed, min(a, b) + 1)
        if b - x >= 0
    )
    assert sql(f"two_set_tail({population}, {a}, {b}, {observed})") == pytest.approx(float(expected), abs=1e-9)


def test_two_sets_of_a_real_models_size():
    population, a, b, observed = 36_864, 60, 45, 7
    expected = sum(
        Fraction(math.comb(a, x) * math.comb(population - a, b - x), math.comb(population, b))
        for x in range(observed, 46)
    )
    with duckdb.connect() as connection:
        connection.execute(views.text("chance"))
        found = connection.execute(f"SELECT two_set_tail({population}, {a}, {b}, {observed})").fetchall()[0][0]
    assert found == pytest.approx(float(expected), rel=1e-6)


@exact
@given(st.lists(st.integers(0, 5), min_size=2, max_size=4), st.integers(0, 5))
def test_all_sets(sql, sizes, observed):
    expected = tail(14, sizes, observed)
    assert sql(f"all_sets_tail(14, {sizes}, {observed})") == pytest.approx(float(expected), abs=1e-9)


@exact
@given(st.integers(1, 60), st.integers(0, 20), st.integers(0, 61))
def test_binomial(sql, trials, twentieths, observed):
    p = Fraction(twentieths, 20)
    expected = sum(math.comb(trials, x) * p**x * (1 - p) ** (trials - x) for x in range(observed, trials + 1))
    assert sql(f"binomial_tail({trials}, {twentieths} / 20, {observed})") == pytest.approx(float(expected), abs=1e-9)


@exact
@given(st.lists(st.integers(0, 10), min_size=1, max_size=6), st.integers(1, 7))
def test_at_least(sql, tenths, least):
    chances = [Fraction(n, 10) for n in tenths]
    expected = 0
    for mask in range(1 << len(chances)):
        held = [mask >> i & 1 for i in range(len(chances))]
        if sum(held) >= least:
            expected += math.prod(p if h else 1 - p for p, h in zip(chances, held, strict=True))
    found = sql(f"at_least([{', '.join(f'{n} / 10' for n in tenths)}], {least})")
    assert found == pytest.approx(float(expected), abs=1e-12)
