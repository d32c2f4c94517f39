"""A small logistic model: ridge on all signals but the first, its strength chosen by cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atlas.statistics import Floats, Interval, Judged, auroc_difference

PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
"""From nearly the first signal alone to nearly free."""
LEAST_SLOPE = 1e-6
"""Of the first signal alone: one that tells claims the wrong way round in training counts for nothing, in its order."""
STEPS = 50
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Logistic:
    """Probability of truth from signals `[claim, signal]`: standardised, a missing one (NaN) at the training mean."""

    center: Floats
    scale: Floats
    weights: Floats  # [1 + signal], the intercept first
    penalty: float

    def probability(self, signals: Floats) -> Floats:
        """Return the probability `[claim]` that each claim is true."""
        return _sigmoid(_design(signals, self.center, self.scale) @ self.weights)

    def log_odds(self, signals: Floats) -> Floats:
        """Return log(p / (1 - p)) of the probability, `[claim]`, which keeps the order where p rounds to 1."""
        odds: Floats = _design(signals, self.center, self.scale) @ self.weights
        return odds


def fit_logistic(
    signals: Floats, truth: NDArray[np.bool_], group: NDArray[np.int64], stratum: NDArray[np.int64], seed: int
) -> Logistic:
    """Fit by penalised maximum likelihood; folds of the cross-validation share no `group` [claim].

    The other signals come in only if they raise the AUROC of claims left out, compared within a `stratum` [claim],
    above that of the first signal, with a paired 95 % interval over groups above 0; of several penalties the one that
    raises it most. Otherwise the penalty is infinite and the order of claims that of the first signal.
    """
    folds = _folds(group, seed)

    def gain(penalty: float) -> Interval:
        left_out = Judged(_left_out(signals, truth, folds, penalty), truth, truth, stratum, group)
        return auroc_difference(left_out, replace(left_out, scores=signals[:, 0]), seed)

    gains = {penalty: gain(penalty) for penalty in PENALTIES}
    sure = [penalty for penalty in PENALTIES if gains[penalty].low > 0]
    return _fit(signals, truth, max(sure, key=lambda penalty: gains[penalty].value, default=np.inf))


def _folds(group: NDArray[np.int64], seed: int) -> Sequence[NDArray[np.bool_]]:
    names, place = np.unique(group, return_inverse=True)
    fold = np.random.default_rng(seed % (1 << 64)).permutation(len(names)) % min(FOLDS, len(names))
    return [fold[place] == number for number in range(fold.max() + 1)]


def _left_out(signals: Floats, truth: NDArray[np.bool_], folds: Sequence[NDArray[np.bool_]], penalty: float) -> Floats:
    """Return the log-odds `[claim]` by models fitted to the other folds."""
    scores = np.empty(len(truth))
    for fold in folds:
        scores[fold] = _fit(signals[~fold], truth[~fold], penalty).log_odds(signals[fold])
    return scores


def _fit(signals: Floats, truth: NDArray[np.bool_], penalty: float) -> Logistic:
    """Newton's method on the penalised likelihood; a slight penalty on the first signal keeps separable data finite."""
    known = np.isfinite(signals)
    count = np.maximum(known.sum(0), 1)
    center = np.where(known, signals, 0).sum(0) / count
    scale = np.sqrt((np.where(known, signals - center, 0) ** 2).sum(0) / count)
    scale[scale == 0] = 1
    x = _design(signals, center, scale)
    ridge = np.array([0.0, 0.01, *[penalty] * (signals.shape[1] - 1)])
    used = np.isfinite(ridge)
    weights = np.zeros(x.shape[1])
    weights[used] = _newton(x[:, used], truth, ridge[used])
    if np.isinf(penalty):
        weights[1] = max(weights[1], LEAST_SLOPE)
    return Logistic(center, scale, weights, penalty)


def _newton(x: Floats, truth: NDArray[np.bool_], ridge: Floats) -> Floats:
    weights = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = _sigmoid(x @ weights)
        slope = x.T @ (p - truth) + ridge * weights
        curve = (x.T * (p * (1 - p))) @ x + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curve, slope)
        weights = weights - np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _design(signals: Floats, center: Floats, scale: Floats) -> Floats:
    z = np.where(np.isfinite(signals), (signals - center) / scale, 0)
    return np.concatenate([np.ones((len(z), 1)), z], axis=1)


def _sigmoid(z: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
    return result
