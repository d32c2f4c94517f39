"""The verdicts, on rows made up here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.statistics import mean_interval
from atlas.study.claims import CANNOT_BE_SAID, CLAIMS, DOES_NOT, FEWEST, HOLDS, Claim, judge

CLAIM = Claim("it is so", "own", "control", "unit", 0.1, "zero", "SELECT")


def rows(*differences, control=1.0):
    return [{"own": control + difference, "control": control} for difference in differences]


def test_a_difference_that_every_fact_shows_holds():
    found = judge(CLAIM, rows(*[0.5, 0.6] * 10))
    assert (found.verdict, found.facts, found.why) == (HOLDS, 20, "")
    assert found.difference == pytest.approx(0.55)
    assert found.own == pytest.approx(1.55)
    assert 0.5 < found.low < 0.55 < found.high < 0.6


def test_a_difference_the_other_way_or_too_small_to_count_does_not_hold():
    assert judge(CLAIM, rows(*[-0.5, -0.6] * 10)).verdict == DOES_NOT
    assert judge(CLAIM, rows(*[0.05] * 20)).verdict == DOES_NOT
    assert judge(CLAIM, rows(*[0.0] * 20)).verdict == DOES_NOT


def test_what_the_interval_leaves_open_cannot_be_said():
    found = judge(CLAIM, rows(*[3.0, -2.0] * 10))
    assert (found.verdict, found.low < 0 < 0.1 < found.high) == (CANNOT_BE_SAID, True)


def test_few_facts_say_nothing_however_clear():
    assert judge(CLAIM, rows(*[5.0] * (FEWEST - 1))).verdict == CANNOT_BE_SAID
    assert judge(CLAIM, rows(*[5.0] * FEWEST)).verdict == HOLDS


def test_facts_measured_on_one_side_alone_do_not_count():
    one_sided = [{"own": 9.0, "control": None}, {"own": None, "control": 9.0}] * 20
    found = judge(CLAIM, rows(*[0.5] * 12) + one_sided)
    assert (found.facts, found.difference) == (12, pytest.approx(0.5))
    assert judge(CLAIM, one_sided).verdict == judge(CLAIM, []).verdict == CANNOT_BE_SAID
    assert (judge(CLAIM, []).own, judge(CLAIM, []).facts) == (None, 0)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.2, HOLDS), (-0.1, 0.05, DOES_NOT), (-0.1, 0.2, CANNOT_BE_SAID), (None, None, CANNOT_BE_SAID)],
)
def test_an_interval_that_was_measured_over_all_is_taken(low, high, verdict):
    found = judge(CLAIM, [{"facts": 40, "own": 0.9, "control": 0.8, "low": low, "high": high}])
    assert (found.verdict, found.facts) == (verdict, 40)


@pytest.mark.parametrize(("low", "high", "verdict"), [
    (0.01, 0.1, HOLDS), (0.0, 0.2, CANNOT_BE_SAID), (0.0, 0.1, CANNOT_BE_SAID), (-0.1, 0.1, CANNOT_BE_SAID),
])  # fmt: skip
def test_an_interval_must_lie_above_0_and_reach_the_difference_that_counts_or_lie_below_it(low, high, verdict):
    assert judge(CLAIM, [{"facts": 40, "own": 0.9, "control": 0.8, "low": low, "high": high}]).verdict == verdict


@pytest.mark.parametrize("ends", [(None, None), (0.2, None), (None, 0.05)])
def test_without_both_ends_there_is_no_interval(ends):
    low, high = ends
    found = judge(CLAIM, [{"facts": 40, "own": 0.9, "control": 0.8, "low": low, "high": high}])
    assert (found.verdict, found.why, found.bounded) == (CANNOT_BE_SAID, "no interval", False)


@settings(max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=FEWEST, max_size=30), st.floats(0, 3))
def test_a_larger_difference_never_weakens_a_claim(differences, more):
    order = [DOES_NOT, CANNOT_BE_SAID, HOLDS]
    before, after = (judge(CLAIM, rows(*values)) for values in (differences, [d + more for d in differences]))
    assert order.index(after.verdict) >= order.index(before.verdict)


def test_the_interval_of_a_mean_is_that_of_resampled_means():
    values = np.random.default_rng(5).normal(2, 3, 40)
    draws = np.random.default_rng(1).choice(values, (20_000, 40)).mean(1)
    found = mean_interval(values, 0)
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.15)


def test_every_claim_has_a_difference_that_counts_and_names_both_sides():
    assert all(claim.least > 0 and claim.own and claim.control for claim in CLAIMS)
    assert len({claim.says for claim in CLAIMS}) == len(CLAIMS)
