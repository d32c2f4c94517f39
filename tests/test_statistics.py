"""Thresholds and metrics against plain definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import UsageError
from atlas.statistics import (
    Judged,
    auroc_difference,
    best_threshold,
    draws,
    mean_interval,
    measure,
    supported,
    weighted_auroc,
)

scores = st.one_of(st.floats(-5, 5), st.integers(-2, 2).map(float), st.just(float("nan")))
rows = st.lists(st.tuples(scores, st.booleans(), st.integers(0, 2), st.integers(0, 5)), min_size=2, max_size=30)


def judged(data, threshold=0.0):
    s, truth, group, subject = map(np.array, zip(*data, strict=True))
    return Judged(s.astype(float), supported(s.astype(float), threshold), truth.astype(bool), group, subject)


def plain_auroc(data):
    """The share of (true, false) pairs of a group that are in order; a missing score is below all others."""
    low = [(-np.inf if np.isnan(s) else s, truth, group) for s, truth, group, _ in data]
    pairs = [(a, b) for a, t, g in low for b, u, h in low if t and not u and g == h]
    return np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]) if pairs else np.nan


@pytest.mark.slow
@given(rows)
def test_auroc_is_the_share_of_ordered_pairs(data):
    one = judged(data)
    assert weighted_auroc(one, np.ones((1, len(data))))[0] == pytest.approx(plain_auroc(data), nan_ok=True)


@pytest.mark.slow
@given(rows, st.lists(st.integers(0, 3), min_size=30, max_size=30))
def test_weights_are_repetitions(data, weights):
    repeated = [row for row, times in zip(data, weights, strict=False) for _ in range(times)]
    found = weighted_auroc(judged(data), np.array([weights[: len(data)]], dtype=float))[0]
    assert found == pytest.approx(plain_auroc(repeated), nan_ok=True)


@pytest.mark.slow
@given(rows)
def test_rates_are_counts(data):
    one = judged(data)
    found = measure(one, seed=0, replicates=5)
    hit = sum(s > 0 and t for s, t, _, _ in data)
    said = sum(s > 0 for s, _, _, _ in data)
    true = sum(t for _, t, _, _ in data)
    assert found["precision"].value == pytest.approx(hit / said if said else np.nan, nan_ok=True)
    assert found["recall"].value == pytest.approx(hit / true if true else np.nan, nan_ok=True)
    assert found["f1"].value == pytest.approx(hit / ((said + true) / 2) if said + true else np.nan, nan_ok=True)
    assert found["accuracy"].value == pytest.approx(np.mean([(s > 0) == t for s, t, _, _ in data]))


@pytest.mark.slow
@given(rows.filter(lambda data: len({t for _, t, _, _ in data}) == 2))
def test_no_threshold_is_better_than_the_best(data):
    s, truth = np.array([r[0] for r in data]), np.array([r[1] for r in data])
    best = best_threshold(s, truth)
    if np.isnan(best):
        assert np.isnan(s).all()
        return
    right = np.mean(supported(s, best) == truth)
    for other in [*s[np.isfinite(s)], -10.0, 10.0]:
        assert right >= np.mean(supported(s, other) == truth)


@pytest.mark.parametrize(
    ("scores", "truth", "best"),
    [
        ([0, 1, 2, 4], [False, False, True, True], 1.5),
        ([0, 1, 2, 3], [False, True, False, True], 0.5),
        ([0, 1, 2, 3, 4, 6], [False, True, False, True, False, True], 2.5),
        ([0, 0, 1, np.nan], [False, False, True, True], 0.5),
        ([5, 7, 9], [True, True, False], np.nextafter(5.0, -1)),
        ([5, 7, 9], [False, False, True], 8),
        ([5, 7, 9], [True, False, False], np.nextafter(9.0, 10)),
        ([5, 7], [True, False], np.nextafter(5.0, -1)),
    ],
)
def test_of_several_best_thresholds_the_middle_one(scores, truth, best):
    """Halfway between two scores or just beyond all; of two, the lower."""
    assert best_threshold(np.array(scores, dtype=float), np.array(truth)) == best


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_one_class_is_an_error(truth):
    with pytest.raises(UsageError, match="both kinds"):
        best_threshold(np.array([0.0, 1.0]), np.array(truth))


def test_the_bootstrap_draws_whole_subjects_and_is_seeded():
    subject = np.array([0, 0, 1, 1, 2, 2])
    weights = draws(subject, 3, 50)
    assert (weights[0] == 1).all()
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    assert (weights[1:, ::2].sum(1) == 3).all()
    assert (draws(subject, 3, 50) == weights).all()
    assert (draws(subject, 4, 50) != weights).any()


def test_intervals_hold_the_value_and_a_difference_with_itself_is_nought():
    generator = np.random.default_rng(0)
    data = [(float(generator.normal() + truth), bool(truth), 0, i // 2) for i, truth in enumerate([0, 1] * 60)]
    one = judged(data)
    for interval in measure(one, seed=0).values():
        assert interval.low < interval.value < interval.high
    same = auroc_difference(one, one, seed=0)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_a_seed_may_be_below_0():
    subjects = np.arange(9)
    assert (draws(subjects, -1, 5) != draws(subjects, 1, 5)).any()


def test_one_subject_has_no_interval_and_two_have():
    one = judged([(float(i), bool(i % 2), 0, 7) for i in range(6)], 2.5)
    for interval in (*measure(one, seed=0).values(), auroc_difference(one, one, seed=0), mean_interval([1.5], seed=0)):
        assert np.isfinite(interval.value)
        assert np.isnan([interval.low, interval.high]).all()
    two = mean_interval([1.0, 3.0], seed=0)
    assert (two.value, two.low, two.high) == (2, 1, 3)
