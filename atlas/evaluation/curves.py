"""What cutting the first k neurons of each scorer costs, as curves: scorers judged where no truth is known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import atlas
from atlas import scorers
from atlas.errors import UsageError
from atlas.evaluation import interventions
from atlas.evaluation.interventions import Ranking
from atlas.evaluation.job import EvaluateOptions, Job
from atlas.facts import Prompt
from atlas.running.progress import Progress
from atlas.statistics import REPLICATES, draws
from atlas.store.connection import check_file
from atlas.store.naming import understood
from atlas.store.runs import stored_run

if TYPE_CHECKING:
    from atlas.engine.answers import Case
    from atlas.engine.replacing import Replacing

COUNTS = (1, 2, 5, 10, 20)
"""Neurons that are cut, best first."""
REPLACES = ("zero", "swap")
TIMED = 12
"""Prompts that the cost of scoring is timed on."""
Costs = NDArray[np.float64]
"""What cutting costs, `[fact, scorer, count]`."""


@dataclass(frozen=True)
class Curves:
    """Curves of every scorer and replacement, the areas under them, and how many facts have neurons in every language.

    `unequal` says in how many facts and languages some scorer has fewer neurons than the largest count: there all are
    cut at the fewest. `areas` has the area at equal numbers of neurons, `milliseconds`, processor time that scoring a
    prompt takes, and `in_least_time`, the area at equal cost: as many facts as can be scored in the time of the
    cheapest scorer that is no control, and nothing for the others.
    """

    points: pa.Table
    areas: pa.Table
    facts: int
    unequal: int


def curves(options: EvaluateOptions, progress: Progress | None = None) -> Curves:
    """Cut the first k neurons of each scorer, k = 1, 2, 5, 10, 20, in a fact's own prompts and in an unrelated fact's.

    The cost is that of METHOD 3, `1 - mean(after) / mean(before)` over the prompts of a language, then the mean over
    languages; intervals are over facts. Neurons become zero, and their value for another fact of the relation (METHOD
    4). Scores that a run lacks are computed first. Raises UsageError where no fact can be evaluated.
    """
    check_file(options.db)
    with atlas.open(options.db, "a") as writer:
        options = understood(writer, options)
        job = Job(options, progress or Progress(), writer, stored_run(writer, model=options.model))
        runs = {method: job.scored(method) for method in options.methods}
        rankings = {method: interventions.ranking(writer, run, COUNTS[-1]) for method, run in runs.items()}
        facts = interventions.shared_facts(rankings.values(), [fact.id for fact in job.facts], job.languages)
        return _measured(job, rankings, facts, options.seed)


def _milliseconds(job: Job, methods: Iterable[str]) -> dict[str, float]:
    """Return the processor time that each scorer takes for a prompt, over TIMED of them."""
    from atlas.attribution import Settings, attribute

    every, taken = [prompt for own in job.own.values() for prompt in own], {}
    prompts = every[:: -(-len(every) // TIMED)]
    for method in methods:
        started = process_time()
        attribute(job.model, prompts, Settings(method=method, seed=job.options.seed, at=job.options.at), job.budget)
        taken[method] = 1000 * (process_time() - started) / len(prompts)
    return taken


def _measured(job: Job, rankings: Mapping[str, Ranking], facts: Sequence[int], seed: int) -> Curves:
    points: list[dict[str, object]] = []
    areas: list[dict[str, object]] = []
    taken = _milliseconds(job, rankings)
    for replace in REPLACES:
        own, others = _costs(job, replace, rankings, facts, seed)
        points += _points(replace, list(rankings), own, others, seed)
        areas += _areas(replace, taken, own, seed)
    unequal = _unequal(rankings, facts, job.languages)
    return Curves(pa.Table.from_pylist(points), pa.Table.from_pylist(areas), len(facts), unequal)


def _costs(
    job: Job, replace: str, rankings: Mapping[str, Ranking], facts: Sequence[int], seed: int
) -> tuple[Costs, Costs]:
    """Return what cutting costs the facts' own and others' answers; facts without either are left out."""
    from atlas.engine.answers import usable
    from atlas.engine.replacing import replacing

    at, away = job.options.at, job.unrelated()
    every = [p for f in job.held.facts for p in usable(job.model, job.prompts.of(f), at)]
    source = replacing(job.model, replace, every, seed, job.budget, at)
    job.progress.step(f"cutting neurons, replaced by {replace}")
    costs = []
    with job.progress.counting(len(facts), "facts"):
        for fact in facts:
            sides = (job.own[fact], usable(job.model, [p for group in away[fact].values() for p in group], at))
            pair = [_cost(job, source, rankings, fact, prompts) for prompts in sides]
            costs += [pair] if np.isfinite(pair).all() else []
            job.progress.advance(1)
    if not costs:
        raise UsageError("No fact has another of its relation and an unrelated one to compare; take more facts.")
    own, others = np.array(costs).swapaxes(0, 1)
    return own, others


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
        lists = [table[fact, prompt.language] for table in rankings.values()]
        fewest = min(map(len, lists))
        for neurons in lists:
            for count in COUNTS:
                cut = tuple(sorted(neurons[: min(count, fewest)]))
                layers, index = zip(*cut, strict=True)
                yield Case(prompt, cut, 0.0, None if own is None else own[:, list(layers), list(index)])


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
    """Yield the area under each curve, the mean cost over the counts, by how much it exceeds the best other one, and
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
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    return {name: float(drawn[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
