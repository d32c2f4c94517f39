"""What cutting and injecting the first k neurons of each scorer does, as curves, where no truth is known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import atlas
from atlas import scorers
from atlas.errors import UsageError
from atlas.evaluation import interventions
from atlas.evaluation.interventions import Intervention, Ranking
from atlas.evaluation.job import EvaluateOptions, Job
from atlas.facts import Fact, Prompt
from atlas.running.progress import Progress
from atlas.statistics import REPLICATES, draws
from atlas.store.connection import check_file
from atlas.store.naming import understood
from atlas.store.runs import stored_run

if TYPE_CHECKING:
    from atlas.engine.answers import Case, Measured
    from atlas.engine.replacing import Replacing
    from atlas.evaluation.injecting import Injection

COUNTS = (1, 2, 5, 10, 20)
"""Neurons that are cut, best first."""
INJECT = "inject"
"""What the columns `replace` say where neurons are not cut but their values put into another fact's prompts."""
TIMED = 12
"""Prompts that the cost of scoring is timed on."""
LEAST_ODDS = 1e-16
"""What 1 - p is taken for where it is less, as the views do."""
LACKING = {
    "zero": "no unrelated fact that can be asked",
    "swap": "no other facts to take values of, for its own prompts or an unrelated fact's",
    "inject": "no other fact of the relation to put values into",
}
"""Why a fact that has neurons has no curve."""
OF_TABLES = {
    "neurons": "--neurons", "method": "--likn-method", "definition": "--definition", "scope": "--scope",
    "replace": "--replace",
}  # fmt: skip
"""What is asked of the tables alone."""
Costs = NDArray[np.float64]
"""What cutting costs, or by how much injecting raises the log-odds, `[fact, scorer, count]`."""


@dataclass(frozen=True)
class Curves:
    """Curves of every scorer and replacement, the areas under them, and how many facts have neurons in every language.

    Those of `inject` are rises in log-odds, the others shares of the probability lost. `unequal` says in how many facts
    and languages some scorer has fewer neurons than the largest count: there all are cut at the fewest. `left_out` are
    facts that a curve does without, by its replacement and the reason. `areas` has the area at equal numbers of
    neurons, `milliseconds`, processor time that scoring a prompt takes, and `in_least_time`, the area at equal cost: as
    many facts as can be scored in the time of the cheapest scorer that is no control, and nothing for the others.
    """

    points: pa.Table
    areas: pa.Table
    facts: int
    unequal: int
    left_out: Mapping[tuple[str, str], Sequence[Fact]]


def curves(options: EvaluateOptions, progress: Progress | None = None) -> Curves:
    """Cut the first k neurons of each scorer, k = 1, 2, 5, 10, 20, in a fact's own prompts and in an unrelated fact's.

    The cost is that of METHOD 3, `1 - mean(after) / mean(before)` over the prompts of a language, then the mean over
    languages; intervals are over facts. Neurons become zero, and their value for another fact of the relation (METHOD
    4). Their own values are put into the prompts of another fact of the relation, the receiver (METHOD 4, *inject*):
    what counts is the rise in log-odds of the fact's object there, and beside it of the receiver's. Scores that a run
    lacks are computed first. Raises UsageError where no fact can be evaluated, and for options of the tables alone.
    """
    for field, name in OF_TABLES.items():
        if getattr(options, field) != getattr(EvaluateOptions, field):
            raise UsageError(f"{name} is for the tables, which --curve does not make; leave one of both out.")
    check_file(options.db)
    with atlas.open(options.db, "a") as writer:
        options = understood(writer, replace(options, method=options.methods[0]))
        job = Job(options, progress or Progress(), writer, stored_run(writer, model=options.model))
        runs = {method: job.scored(method) for method in options.methods}
        rankings = {method: interventions.ranking(writer, run, COUNTS[-1]) for method, run in runs.items()}
        lacking = job.leave_out({runs[method]: table for method, table in rankings.items()})
        return _measured(job, rankings, lacking, options.seed)


def _milliseconds(job: Job, methods: Iterable[str]) -> dict[str, float]:
    """Return the processor time that each scorer takes for a prompt, over TIMED of them, once it has run."""
    from atlas.attribution import Settings, attribute

    every, taken = [prompt for own in job.own.values() for prompt in own], {}
    prompts = every[:: -(-len(every) // TIMED)]
    for method in methods:
        settings = Settings(method=method, seed=job.options.seed, at=job.options.at)
        attribute(job.model, prompts[:1], settings, job.budget)
        started = process_time()
        attribute(job.model, prompts, settings, job.budget)
        taken[method] = 1000 * (process_time() - started) / len(prompts)
    return taken


def _measured(job: Job, rankings: Mapping[str, Ranking], lacking: Mapping[str, Sequence[Fact]], seed: int) -> Curves:
    points: list[dict[str, object]] = []
    areas: list[dict[str, object]] = []
    taken, facts = _milliseconds(job, rankings), [fact.id for fact in job.facts]
    left = {(action, why): there for action in LACKING for why, there in lacking.items()}
    for action, why in LACKING.items():
        found = _rises(job, rankings, facts, seed) if action == INJECT else _costs(job, action, rankings, facts, seed)
        if found:
            own, others = np.array([*found.values()]).swapaxes(0, 1)
            points += _points(action, list(rankings), own, others, seed)
            areas += _areas(action, taken, own, seed)
        if len(found) < len(facts):
            left[action, why] = [fact for fact in job.facts if fact.id not in found]
    unequal = _unequal(rankings, facts, job.languages)
    return Curves(pa.Table.from_pylist(points), pa.Table.from_pylist(areas), len(facts), unequal, left)


def _costs(
    job: Job, replace: str, rankings: Mapping[str, Ranking], facts: Sequence[int], seed: int
) -> dict[int, list[Costs]]:
    """Return by fact what cutting costs its own and another's answers, `[side][scorer, count]`; facts without either
    are left out. Raises UsageError where that leaves none.
    """
    from atlas.engine.answers import usable
    from atlas.engine.replacing import replacing

    at, away = job.options.at, job.unrelated()
    every = [p for f in job.held.facts for p in usable(job.model, job.prompts.of(f), at)]
    source = replacing(job.model, replace, every, seed, job.budget, at)
    job.progress.step(f"cutting neurons, replaced by {replace}")
    costs: dict[int, list[Costs]] = {}
    with job.progress.counting(len(facts), "facts"):
        for fact in facts:
            sides = (job.own[fact], usable(job.model, [p for group in away[fact].values() for p in group], at))
            pair = [_cost(job, source, rankings, fact, prompts) for prompts in sides]
            costs |= {fact: pair} if np.isfinite(pair).all() else {}
            job.progress.advance(1)
    if not costs:
        raise UsageError("No fact has another of its relation and an unrelated one to compare; take more facts.")
    return costs


def _rises(job: Job, rankings: Mapping[str, Ranking], facts: Sequence[int], seed: int) -> dict[int, Costs]:
    """Return by fact by how much values put in raise its and the receiver's object, `[side, scorer, count]`.

    The receiver is another fact of the relation with another subject and object, of all that the atlas holds; facts
    without one are left out.
    """
    job.progress.step("putting values into other facts' prompts")
    rises: dict[int, Costs] = {}
    with job.progress.counting(len(facts), "facts"):
        for fact in facts:
            receiver = interventions.partner_of(job.prompts.facts[fact], job.held.facts, seed)
            if receiver is not None:
                rises |= _rise(job, rankings, fact, receiver)
            job.progress.advance(1)
    return rises


def _rise(job: Job, rankings: Mapping[str, Ranking], fact: int, receiver: Fact) -> dict[int, Costs]:
    """Return the rises of a fact, `[side, scorer, count]`, by its id; of none if no prompts share a template."""
    from atlas.engine.answers import usable
    from atlas.evaluation.injecting import injections

    at, found = job.options.at, []
    own = {fact: job.own[fact], receiver.id: usable(job.model, job.prompts.of(receiver, job.languages), at)}
    for code in job.languages:
        put = list(injections(job.model, _first(rankings, fact, code), {fact: receiver}, own, at))
        if put:
            sides = (put, [replace(one, prompt=one.receiver) for one in put])
            rises = [_raised(job, side).reshape(len(rankings), len(COUNTS), -1).mean(2) for side in sides]
            found.append(np.array(rises))
    return {fact: np.mean(found, axis=0)} if found else {}


def _first(rankings: Mapping[str, Ranking], fact: int, code: str) -> Iterator[Intervention]:
    """Yield the first neurons of each scorer, count by count, as many of each scorer."""
    lists = {method: table[fact, code] for method, table in rankings.items()}
    fewest = min(map(len, lists.values()))
    for method, neurons in lists.items():
        for count in COUNTS:
            yield Intervention(0, fact, (code,), method, tuple(sorted(neurons[: min(count, fewest)])), (code,))


def _raised(job: Job, wanted: Sequence["Injection"]) -> Costs:
    """Return by how much the log-odds of what each injection asks for rise, `[injection]`."""
    from atlas.evaluation.injecting import put_in

    found = put_in(job.model, wanted, job.budget, job.options.at)
    return np.array([_log_odds(after) - _log_odds(before) for before, after in found])


def _log_odds(said: "Measured") -> float:
    return said.log_probability - float(np.log(max(-np.expm1(said.log_probability), LEAST_ODDS)))


def _cost(
    job: Job, source: "Replacing | None", rankings: Mapping[str, Ranking], fact: int, prompts: Sequence[Prompt]
) -> Costs:
    """Return what cutting a fact's neurons costs in `prompts`, `[scorer, count]`; NaN where none can be measured."""
    from atlas.engine.answers import Case, measure

    prompts = [p for p in prompts if p.language in job.languages and (source is None or source.reason(p) is None)]
    if not prompts:
        return np.full((len(rankings), len(COUNTS)), np.nan)
    cases = [*map(Case, prompts), *_cases(source, rankings, fact, prompts)]
    probability = np.array([one.probability for one in measure(job.model, cases, budget=job.budget, at=job.options.at)])
    before, after = probability[: len(prompts)], probability[len(prompts) :].reshape(len(prompts), len(rankings), -1)
    spoken = np.array([prompt.language for prompt in prompts])
    costs = [1 - after[spoken == code].sum(0) / before[spoken == code].sum() for code in np.unique(spoken)]
    mean: Costs = np.mean(costs, axis=0)
    return mean


def _cases(
    source: "Replacing | None", rankings: Mapping[str, Ranking], fact: int, prompts: Sequence[Prompt]
) -> "Iterator[Case]":
    """Yield each prompt with the first neurons of each scorer cut, count by count, as many of each scorer."""
    from atlas.engine.answers import Case

    values = source.values(prompts) if source else [None] * len(prompts)
    for prompt, own in zip(prompts, values, strict=True):
        for one in _first(rankings, fact, prompt.language):
            layers, index = zip(*one.neurons, strict=True)
            yield Case(prompt, one.neurons, 0.0, None if own is None else own[:, list(layers), list(index)])


def _unequal(rankings: Mapping[str, Ranking], facts: Iterable[int], languages: Iterable[str]) -> int:
    places = [(fact, code) for fact in facts for code in languages]
    return sum(min(len(table[place]) for table in rankings.values()) < COUNTS[-1] for place in places)


def _points(replace: str, methods: Sequence[str], own: Costs, others: Costs, seed: int) -> Iterator[dict[str, object]]:
    sides = {"own": _drawn(own, seed), "others": _drawn(others, seed)}
    for scorer, method in enumerate(methods):
        for place, count in enumerate(COUNTS):
            row: dict[str, object] = {"replace": replace, "method": method, "neurons": count, "facts": len(own)}
            for name, drawn in sides.items():
                row |= _interval(name, drawn[:, scorer, place])
            yield row


def _areas(replace: str, taken: Mapping[str, float], own: Costs, seed: int) -> Iterator[dict[str, object]]:
    """Yield the area under each curve, its mean over the counts, by how much it exceeds the best other one, and
    what of it is had in the time of the cheapest; `taken` are milliseconds by scorer.
    """
    drawn, methods = _drawn(own, seed).mean(2), list(taken)
    least = min([taken[name] for name in methods if not scorers.SCORERS[name].control] or taken.values())
    for scorer, method in enumerate(methods):
        row: dict[str, object] = {"replace": replace, "method": method, "facts": len(own)}
        row |= _interval("area", drawn[:, scorer])
        others = [place for place in range(len(methods)) if place != scorer]
        if others:
            best = max(others, key=lambda place: drawn[0, place])
            row |= {"best_other": methods[best]} | _interval("ahead", drawn[:, scorer] - drawn[:, best])
        row |= {"milliseconds": taken[method]}
        row |= _interval("in_least_time", drawn[:, scorer] * min(1.0, least / max(taken[method], 1e-9)))
        yield row


def _drawn(costs: Costs, seed: int) -> Costs:
    """Return means over facts of `[fact, ...]`: all of them first, then bootstrap draws; `[1 + draw, ...]`."""
    weights = draws(np.arange(len(costs)), seed, REPLICATES)
    return np.tensordot(weights / weights.sum(1, keepdims=True), costs, axes=1)


def _interval(name: str, drawn: Costs) -> dict[str, object]:
    """Return a mean and its interval; that of one fact has none."""
    low, high = np.quantile(drawn[1:], [0.025, 0.975]).tolist() if len(drawn) > 1 else (None, None)
    return {name: float(drawn[0]), f"{name}_low": low, f"{name}_high": high}
