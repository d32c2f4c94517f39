"""Thresholds, metrics and their bootstrap intervals over subjects (METHOD 6). A missing score is NaN."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.errors import UsageError

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]
REPLICATES = 1000
METRICS = ("precision", "recall", "f1", "accuracy", "auroc")


def best_threshold(scores: Floats, truth: Truth) -> float:
    """Return the threshold of best accuracy for `score > threshold`; of several, the middle one.

    Missing scores are never supported. Raises UsageError if `truth` holds one class only.
    """
    if truth.all() or not truth.any():
        raise UsageError("A threshold cannot be tuned on claims that are all true or all false; give both kinds.")
    found = np.unique(scores[np.isfinite(scores)])
    if not len(found):
        return float("nan")
    ends = np.array([np.nextafter(found[0], -np.inf), np.nextafter(found[-1], np.inf)])
    choices = np.concatenate([ends[:1], (found[1:] + found[:-1]) / 2, ends[1:]])
    right = [np.mean(supported(scores, choice) == truth) for choice in choices]
    best = choices[np.flatnonzero(np.isclose(right, max(right)))]
    return float(best[(len(best) - 1) // 2])


def supported(scores: Floats, threshold: float | Floats) -> Truth:
    """Return `score > threshold`, False where either is missing."""
    with np.errstate(invalid="ignore"):
        result: Truth = scores > threshold
    return result


@dataclass(frozen=True, slots=True)
class Judged:
    """Claims judged by one kind of evidence, all arrays `[claim]`.

    Scores are compared within a `group` (relation and language) only; `subject` is what the bootstrap draws.
    """

    scores: Floats
    supported: Truth
    truth: Truth
    group: NDArray[np.int64]
    subject: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its bootstrap 95 % interval."""

    value: float
    low: float
    high: float


def measure(judged: Judged, seed: int, replicates: int = REPLICATES) -> dict[str, Interval]:
    """Return precision, recall, F1, accuracy and AUROC with intervals over subjects; NaN where one is not defined."""
    weights = draws(judged.subject, seed, replicates)
    rates, area = _rates(judged, weights), weighted_auroc(judged, weights)
    return {name: _interval(values) for name, values in (rates | {"auroc": area}).items()}


def auroc_difference(one: Judged, other: Judged, seed: int) -> Interval:
    """Return AUROC of `one` less that of `other` on the same claims, with a paired interval over subjects."""
    weights = draws(one.subject, seed, REPLICATES)
    return _interval(weighted_auroc(one, weights) - weighted_auroc(other, weights))


def mean_interval(values: Sequence[float], seed: int) -> Interval:
    """Return the mean of `values` with its interval over them; a single one has none."""
    every = np.asarray(values, dtype=np.float64)
    return _interval(draws(np.arange(len(every)), seed, REPLICATES) @ every / len(every))


def draws(subject: NDArray[np.int64], seed: int, replicates: int) -> Floats:
    """Return weights `[1 + replicate, claim]`: all ones, then how often each claim's subject was drawn, of several."""
    names, place = np.unique(subject, return_inverse=True)
    generator = np.random.default_rng(seed % (1 << 64))  # a seed may be below 0
    counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=replicates * (len(names) > 1))
    return np.concatenate([np.ones((1, len(subject))), counts[:, place].astype(np.float64)])


def weighted_auroc(judged: Judged, weights: Floats) -> Floats:
    """Return the chance `[replicate]` that a true claim outranks a false one of the same group, ties counting half.

    A missing score ranks below every other.
    """
    scores = np.where(np.isnan(judged.scores), -np.inf, judged.scores)
    won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for group in np.unique(judged.group):
        here = judged.group == group
        true, false = np.flatnonzero(here & judged.truth), np.flatnonzero(here & ~judged.truth)
        above = scores[true][:, None] > scores[false]
        wins = above + 0.5 * (scores[true][:, None] == scores[false])
        won += np.einsum("rt,tf,rf->r", weights[:, true], wins, weights[:, false], optimize=True)
        pairs += weights[:, true].sum(1) * weights[:, false].sum(1)
    return _ratio(won, pairs)


def _rates(judged: Judged, weights: Floats) -> dict[str, Floats]:
    hit = weights @ (judged.supported & judged.truth)
    precision = _ratio(hit, weights @ judged.supported)
    recall = _ratio(hit, weights @ judged.truth)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * hit, weights @ judged.supported + weights @ judged.truth),
        "accuracy": _ratio(weights @ (judged.supported == judged.truth), weights.sum(1)),
    }


def _ratio(over: Floats, under: Floats) -> Floats:
    ratio: Floats = np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)
    return ratio


def _interval(values: Floats) -> Interval:
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return Interval(float(values[0]), float(low), float(high))
