"""Which neurons an evaluation tries on which facts, asked of the atlas. Never imports torch."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from atlas.facts import Fact, Prompt
from atlas.ids import Neuron, stable_id
from atlas.store.stored import Prompts

if TYPE_CHECKING:
    from atlas.store.atlas import Atlas

Ranking = Mapping[tuple[int, str], Sequence[Neuron]]
"""Fact and language to neurons, highest mean score first."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Neurons chosen for a fact, where they come from, and the languages that they are measured in."""

    run: int
    fact: int
    languages: tuple[str, ...]
    source: str
    neurons: tuple[Neuron, ...]
    measured: tuple[str, ...]


def ranking(atlas: "Atlas", run: int, count: int) -> dict[tuple[int, str], list[Neuron]]:
    """Return the `count` neurons of highest mean score of each fact and language; a score not stored counts as 0."""
    found: dict[tuple[int, str], list[Neuron]] = defaultdict(list)
    for row in atlas.sql(_RANKING, {"run": run, "count": count}).to_pylist():
        found[row["fact"], row["language"]].append((row["layer"], row["neuron"]))
    return found


def likn_sets(atlas: "Atlas", run: int, definition: str) -> dict[int, list[Neuron]]:
    """Return the LIKN of every fact that has any, by descending score."""
    found: dict[int, list[Neuron]] = defaultdict(list)
    for row in atlas.sql(_LIKN, {"run": run, "definition": definition}).to_pylist():
        found[row["fact"]].append((row["layer"], row["neuron"]))
    return found


def shared_facts(rankings: Iterable[Ranking], facts: Iterable[int], languages: Sequence[str]) -> list[int]:
    """Return the facts that have neurons in every language under every ranking."""
    tables = list(rankings)
    return [fact for fact in facts if all(table.get((fact, code)) for table in tables for code in languages)]


def localisation(
    rankings: Mapping[int, Ranking], other: int, facts: Sequence[Fact], languages: Sequence[str], seed: int
) -> list[Condition]:
    """Return the conditions of the localisation table: the first neurons of each run's ranking, equal counts.

    The count of a fact and language is that of the ranking with fewest. As `other`, the neurons that run `other` gives
    another fact of the relation in the language; seeded.
    """
    found = []
    for fact in facts:
        twin = _twin(fact, facts, seed)
        for code in languages:
            count = min(len(table[fact.id, code]) for table in rankings.values())
            for run, table in rankings.items():
                found.append(_condition(run, fact, (code,), "top", table[fact.id, code][:count], (code,)))
            if twin is not None:
                neurons = rankings[other][twin.id, code][:count]
                found.append(_condition(other, fact, (code,), "other", neurons, (code,)))
    return found


def cross_lingual(
    run: int,
    likn: Mapping[int, Sequence[Neuron]],
    ranked: Ranking,
    facts: Sequence[Fact],
    languages: Sequence[str],
    shape: tuple[int, int],
    seed: int,
) -> list[Condition]:
    """Return the conditions of the cross-lingual table; every set is as large as the fact's LIKN set, or smaller.

    `top` of one language in each, `both` of two languages together in those two, `likn`, `other` (another fact's LIKN,
    same relation) and `random` neurons of a model of `shape` (layers, neurons) in all.
    """
    found = []
    for fact in facts:
        count = len(likn[fact.id])
        own = {code: ranked[fact.id, code][:count] for code in languages}
        found += [_condition(run, fact, (code,), "top", own[code], tuple(languages)) for code in languages]
        for a, b in combinations(languages, 2):
            found.append(_condition(run, fact, (a, b), "both", [*own[a], *own[b]], (a, b)))
        everywhere = {"likn": likn[fact.id], "random": _random(fact.id, count, shape, seed)}
        if (twin := _twin(fact, facts, seed)) is not None:
            everywhere["other"] = likn[twin.id][:count]
        for source, neurons in everywhere.items():
            found.append(_condition(run, fact, tuple(languages), source, neurons, tuple(languages)))
    return found


def unrelated(fact: Fact, facts: Sequence[Fact], prompts: Prompts, count: int, seed: int) -> dict[str, list[Prompt]]:
    """Return, by language, `count` prompts of one fact of another relation and another object; seeded."""
    others = [o for o in facts if o.relation != fact.relation and o.object != fact.object]
    if not others:
        return {}
    generator = np.random.default_rng(stable_id("unrelated", seed, fact.id))
    other = others[int(generator.integers(len(others)))]
    found: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts.of(other):
        if len(found[prompt.language]) < count:
            found[prompt.language].append(prompt)
    return found


def _condition(
    run: int, fact: Fact, languages: tuple[str, ...], source: str, neurons: Sequence[Neuron], measured: tuple[str, ...]
) -> Condition:
    return Condition(run, fact.id, languages, source, tuple(sorted(set(neurons))), measured)


def _twin(fact: Fact, facts: Sequence[Fact], seed: int) -> Fact | None:
    """Return another fact of the relation with another object; None if there is none."""
    others = [o for o in facts if o.relation == fact.relation and o.object != fact.object]
    generator = np.random.default_rng(stable_id("twin", seed, fact.id))
    return others[int(generator.integers(len(others)))] if others else None


def _random(fact: int, count: int, shape: tuple[int, int], seed: int) -> list[Neuron]:
    layers, width = shape
    generator = np.random.default_rng(stable_id("evaluation-random", seed, fact))
    places = generator.choice(layers * width, size=count, replace=False).tolist()
    return [(place // width, place % width) for place in places]


_RANKING = """
SELECT prompt.fact, prompt.language, a.layer, a.neuron
FROM attribution AS a JOIN prompt ON prompt.prompt = a.prompt
WHERE a.run = $run
GROUP BY prompt.fact, prompt.language, a.layer, a.neuron
QUALIFY row_number() OVER (
    PARTITION BY prompt.fact, prompt.language ORDER BY sum(a.score) DESC, a.layer, a.neuron
) <= $count
ORDER BY prompt.fact, prompt.language, sum(a.score) DESC, a.layer, a.neuron
"""

_LIKN = """
SELECT fact, layer, neuron FROM likn WHERE run = $run AND definition = $definition
ORDER BY fact, score DESC, layer, neuron
"""
