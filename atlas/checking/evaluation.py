"""The evaluation of METHOD 6: every kind of evidence on the same claims, thresholds from the training part alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from atlas.checking import neurons
from atlas.checking.known_claims import KnownClaim
from atlas.checking.logistic import Logistic, fit_logistic
from atlas.checking.permutation import spelt_alike
from atlas.checking.signals import Signals
from atlas.errors import UsageError, counted
from atlas.statistics import Floats, Judged, best_threshold

OWN = ("probability", "probability-languages", "margin", "argmax")
ACROSS = ("dkn", "dkn-or-kn")
FREQUENCY = "frequency"
"""How many training facts of the relation have the claimed object: what a judge without any model could go by."""
EVIDENCE = (*neurons.EVIDENCE, *OWN, FREQUENCY, "combined")
COMBINED_FROM = ("probability", "probability-languages", "margin", "dkn-or-kn", "dkn-languages", "kn", "likn")
"""What the logistic model reads; the first is always in, the others as far as cross-validation finds them of use."""

ARGMAX_THRESHOLD = 0.5
COMBINED_THRESHOLD = 0.0


@dataclass(frozen=True)
class Verdicts:
    """One kind of evidence on all cases: scores, thresholds and why there is none, each `[case]`."""

    evidence: str
    source: Sequence[str]  # language of the neurons, of each case
    scores: Floats
    thresholds: Floats
    status: Sequence[str]


@dataclass(frozen=True)
class ClaimEvaluation:
    """Cases in order, what each kind of evidence says of them, and the combined model."""

    cases: Sequence[KnownClaim]
    verdicts: Sequence[Verdicts]
    combined: Logistic

    def judged(self, verdicts: Verdicts, condition: str) -> tuple[Judged, int]:
        """Return the test claims of a condition as arrays, and how many of them the evidence cannot judge."""
        chosen = [i for i, case in enumerate(self.cases) if case.split == "test" and case.condition == condition]
        cases = [self.cases[i] for i in chosen]
        scores, thresholds = verdicts.scores[chosen], verdicts.thresholds[chosen]
        said = np.array([bool(s > t) for s, t in zip(scores, thresholds, strict=True)], dtype=bool)
        judged = Judged(
            scores,
            said,
            np.array([case.truth for case in cases], dtype=bool),
            _numbered([(case.fact.relation, case.language) for case in cases]),
            _numbered([case.fact.subject for case in cases]),
        )
        return judged, sum(verdicts.status[i] != "ok" for i in chosen)


def check_split(cases: Sequence[KnownClaim], left_out: Mapping[str, int] = MappingProxyType({})) -> None:
    """Raise UsageError, with what was left out, if a side of the split has claims of one class only."""
    told = ", ".join(f"{counted(count, 'fact')} in a language: {reason}" for reason, count in left_out.items())
    why = f" ({told})" if told else ""
    for split in ("train", "test"):
        if {case.truth for case in cases if case.split == split} != {True, False}:
            raise UsageError(
                f"The {split} part holds no true or no wrong claims of {len(cases)} in all{why}; take more facts, so "
                "that each relation has several subjects and objects, or other conditions."
            )


def _check_read(cases: Sequence[KnownClaim], signals: Sequence[Signals]) -> None:
    """Raise UsageError if the model can read training claims of one class only, or none."""
    train = [(case.truth, found.status) for case, found in zip(cases, signals, strict=True) if case.split == "train"]
    if {truth for truth, status in train if status == "ok"} != {True, False}:
        (why, count), *_ = Counter(status for _, status in train if status != "ok").most_common(1)
        raise UsageError(
            f"The model can read no true or no wrong claims of the train part ({count} of {len(train)}: {why}); choose "
            "other languages."
        )


def evaluate(
    cases: Sequence[KnownClaim], signals: Sequence[Signals], languages: Sequence[str], seed: int
) -> ClaimEvaluation:
    """Tune thresholds and the combined model on training cases and judge all; see `check_split`."""
    check_split(cases)
    _check_read(cases, signals)
    signals = _heard_elsewhere(cases, signals)
    own = [evidence for evidence in OWN if evidence != "argmax"]
    verdicts = [_tuned(cases, signals, evidence, None) for evidence in (*neurons.EVIDENCE, *own)]
    for evidence in ACROSS:
        verdicts += [_tuned(cases, signals, evidence, language) for language in languages]
    model, combined = _combined(cases, signals, seed)
    return ClaimEvaluation(cases, [*verdicts, _argmax(cases, signals), _frequency(cases), combined], model)


def score_of(signals: Signals, evidence: str, language: str) -> float:
    """Return one kind of evidence's score of a claim, NaN if it has none."""
    own = {
        "probability": signals.log_probability,
        "probability-languages": signals.elsewhere,
        "margin": signals.margin,
    }
    return own[evidence] if evidence in own else signals.score.get((evidence, language), float("nan"))


def _heard_elsewhere(cases: Sequence[KnownClaim], signals: Sequence[Signals]) -> list[Signals]:
    """Return the signals with what the model makes of the same claim in the other languages.

    Those alone in which the fact's other claim, the wrong or the true one, is the same too: wrong objects are others in
    some languages, and claims would be told by being heard nowhere else.
    """
    heard: dict[tuple[int, str], dict[str, dict[str, float]]] = {}
    for case, found in zip(cases, signals, strict=True):
        if found.status == "ok":
            spoken = heard.setdefault((case.fact.id, case.condition), {})
            spoken.setdefault(case.language, {})[case.object_key] = found.log_probability
    result = []
    for case, found in zip(cases, signals, strict=True):
        spoken = heard.get((case.fact.id, case.condition), {})
        own = spoken.get(case.language, {})
        alike = [said for code, said in spoken.items() if code != case.language and said.keys() == own.keys()]
        others = [said[case.object_key] for said in alike if found.status == "ok"]
        result.append(replace(found, elsewhere=float(np.mean(others))) if others else found)
    return result


def threshold_of(cases: Sequence[KnownClaim], scores: Floats) -> float:
    """Return the threshold of best accuracy on training cases of one group; NaN without both classes."""
    truth = np.array([case.truth for case in cases], dtype=bool)
    usable = np.isfinite(scores)
    if not (truth[usable].any() and not truth[usable].all()):
        return float("nan")
    return best_threshold(scores, truth)


def _tuned(cases: Sequence[KnownClaim], signals: Sequence[Signals], evidence: str, source: str | None) -> Verdicts:
    """Judge all cases by one evidence, of each case's own language or of `source`, whose threshold comes with it."""
    sources = [source or case.language for case in cases]
    scores = np.array([score_of(s, evidence, code) for s, code in zip(signals, sources, strict=True)])
    own = np.array([score_of(s, evidence, case.language) for s, case in zip(signals, cases, strict=True)])
    thresholds = _thresholds(cases, own, sources)
    status = [_status(s, score, t, evidence) for s, score, t in zip(signals, scores, thresholds, strict=True)]
    return Verdicts(evidence, sources, scores, thresholds, status)


def _frequency(cases: Sequence[KnownClaim]) -> Verdicts:
    """Judge all cases by how many training facts of their relation and language have the claimed object."""
    keys = [(case.fact.relation, case.language, spelt_alike(case.object)) for case in cases]
    counts = Counter(key for key, case in zip(keys, cases, strict=True) if case.split == "train" and case.truth)
    scores = np.array([float(counts[key]) for key in keys])
    languages = [case.language for case in cases]
    thresholds = _thresholds(cases, scores, languages)
    status = ["no threshold" if np.isnan(threshold) else "ok" for threshold in thresholds]
    return Verdicts(FREQUENCY, languages, scores, thresholds, status)


def _thresholds(cases: Sequence[KnownClaim], scores: Floats, languages: Sequence[str]) -> Floats:
    """Return the threshold `[case]` of each case's relation in each of `languages`, tuned on the training cases."""
    training: dict[tuple[str, str], list[int]] = {}
    for i, case in enumerate(cases):
        if case.split == "train":
            training.setdefault((case.fact.relation, case.language), []).append(i)
    tuned = {key: threshold_of([cases[i] for i in rows], scores[rows]) for key, rows in training.items()}
    keys = [(case.fact.relation, code) for case, code in zip(cases, languages, strict=True)]
    return np.array([tuned.get(key, float("nan")) for key in keys])


def _status(signals: Signals, score: float, threshold: float, evidence: str) -> str:
    if signals.status != "ok":
        return signals.status
    if np.isnan(score):
        return f"no {evidence} neurons" if evidence in neurons.EVIDENCE else "no other language"
    return "no threshold" if np.isnan(threshold) else "ok"


def _argmax(cases: Sequence[KnownClaim], signals: Sequence[Signals]) -> Verdicts:
    scores = np.array([s.argmax for s in signals])
    languages = [case.language for case in cases]
    return Verdicts("argmax", languages, scores, np.full(len(cases), ARGMAX_THRESHOLD), [s.status for s in signals])


def _combined(cases: Sequence[KnownClaim], signals: Sequence[Signals], seed: int) -> tuple[Logistic, Verdicts]:
    """Fit the logistic model to usable training cases; its score is the log-odds of truth."""
    table = combined_signals(cases, signals)
    usable = np.array([s.status == "ok" for s in signals], dtype=bool)
    train = usable & np.array([case.split == "train" for case in cases], dtype=bool)
    truth = np.array([case.truth for case in cases], dtype=bool)
    subjects = _numbered([case.fact.subject for case in cases])
    strata = _numbered([(case.fact.relation, case.language, case.condition) for case in cases])
    model = fit_logistic(table[train], truth[train], subjects[train], strata[train], seed)
    scores = np.where(usable, model.log_odds(table), np.nan)
    languages = [case.language for case in cases]
    thresholds = np.full(len(cases), COMBINED_THRESHOLD)
    return model, Verdicts("combined", languages, scores, thresholds, [s.status for s in signals])


def combined_signals(cases: Sequence[KnownClaim], signals: Sequence[Signals]) -> Floats:
    """Return what the logistic model reads, `[case, signal]`.

    Attribution scores span orders of magnitude, so they enter as asinh(score / median of their relation's and
    language's training cases).
    """
    columns = []
    for evidence in COMBINED_FROM:
        scores = np.array([score_of(s, evidence, case.language) for s, case in zip(signals, cases, strict=True)])
        columns.append(scores if evidence in OWN else _squashed(cases, scores))
    return np.stack(columns, axis=1)


def _squashed(cases: Sequence[KnownClaim], scores: Floats) -> Floats:
    groups = _numbered([(case.fact.relation, case.language) for case in cases])
    train = np.array([case.split == "train" for case in cases], dtype=bool) & np.isfinite(scores)
    result = np.full(len(scores), np.nan)
    for group in np.unique(groups):
        known = np.abs(scores[(groups == group) & train])
        unit = float(np.median(known)) if len(known) else 0.0
        if unit > 0:
            result[groups == group] = np.arcsinh(scores[groups == group] / unit)
    return result


def _numbered(names: Sequence[object]) -> NDArray[np.int64]:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
