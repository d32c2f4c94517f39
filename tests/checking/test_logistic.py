"""The logistic model: on data whose law is known."""

import numpy as np
import pytest

from atlas.checking.logistic import FOLDS, _folds, fit_logistic


def made(count, weights, seed=0):
    generator = np.random.default_rng(seed)
    signals = generator.normal(size=(count, len(weights)))
    truth = generator.random(count) < 1 / (1 + np.exp(-(signals @ np.array(weights))))
    return signals, truth, np.arange(count), np.zeros(count, dtype=int)


@pytest.mark.slow
def test_probabilities_are_calibrated():
    signals, truth, *group = made(4000, [1.0, 2.0])
    model = fit_logistic(signals, truth, *group, 0)
    new, fresh, *_ = made(4000, [1.0, 2.0], seed=1)
    p = model.probability(new)
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (p >= low) & (p < low + 0.25)
        assert fresh[inside].mean() == pytest.approx(p[inside].mean(), abs=0.06)


def test_a_useless_signal_is_left_out_and_the_order_is_that_of_the_first():
    signals, truth, *group = made(300, [2.0, 0.0])
    model = fit_logistic(signals, truth, *group, 0)
    assert np.isinf(model.penalty)
    assert model.weights[2] == 0
    assert (np.argsort(model.log_odds(signals)) == np.argsort(signals[:, 0])).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_order_is_that_of_the_first_where_it_tells_nothing(sign):
    signals, truth, *group = made(60, [0.0, 0.0])
    signals[:, 0] *= sign
    model = fit_logistic(signals, truth, *group, 0)
    assert np.isinf(model.penalty)
    assert (np.argsort(model.log_odds(signals)) == np.argsort(signals[:, 0])).all()


def test_a_useful_signal_comes_in():
    signals, truth, *group = made(600, [0.3, 3.0])
    assert fit_logistic(signals, truth, *group, 0).weights[2] > 0.5


@pytest.mark.parametrize("groups", [1, 3, 12])
def test_folds_hold_every_claim_once_and_share_no_group(groups):
    group = np.arange(40) % groups
    folds = _folds(group, -1)
    assert len(folds) == min(FOLDS, groups)
    assert (np.sum(folds, axis=0) == 1).all()
    assert all(len({*group[fold]} & {*group[~fold]}) == 0 < fold.sum() for fold in folds)


def test_separable_data_stay_finite():
    signals = np.linspace(-1, 1, 40)[:, None] * np.array([1.0, 1.0])
    model = fit_logistic(signals, signals[:, 0] > 0, np.arange(40), np.zeros(40, dtype=int), 0)
    assert np.isfinite(model.weights).all()
    assert model.probability(signals)[0] < 0.1 < 0.9 < model.probability(signals)[-1]


def test_missing_and_constant_signals_do_no_harm():
    signals, truth, *group = made(200, [2.0, 1.0])
    signals = np.column_stack([signals, np.ones(200), np.full(200, np.nan)])
    signals[::3, 1] = np.nan
    model = fit_logistic(signals, truth, *group, 0)
    assert np.isfinite(model.probability(signals)).all()


def test_a_signal_that_tells_strata_apart_but_not_their_claims_is_left_out():
    signals, _, group, _ = made(600, [1.0, 1.0])
    stratum = (signals[:, 1] > 0).astype(int)
    truth = np.random.default_rng(0).random(600) < 1 / (1 + np.exp(-(signals[:, 0] + 3 * stratum - 1.5)))
    assert np.isinf(fit_logistic(signals, truth, group, stratum, 0).penalty)
