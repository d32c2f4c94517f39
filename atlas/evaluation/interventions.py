"""Which neurons an evaluation tries on which facts, asked of the atlas. Never imports torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, zip_longest
from typing import TYPE_CHECKING

from atlas.drawing import one_of, random_neurons
from atlas.facts import Fact
from atlas.ids import Neuron
from atlas.schema import usable
from atlas.store.stored import neuron_sets

if TYPE_CHECKING:
    from atlas.store.atlas import Atlas

Ranking = Mapping[tuple[int, str], Sequence[Neuron]]
"""Fact and language to neurons, highest mean score first."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """Neurons chosen for a fact, where they come from, and the languages that they are measured in."""

    run: int
    fact: int
    languages: tuple[str, ...]
    source: str
    neurons: tuple[Neuron, ...]
    measured: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The interventions of one table, all on the same facts, and the facts that are left out, by the reason.

    `receivers` are by fact the other fact of its relation whose prompts its neurons' values are put into.
    """

    interventions: list[Intervention] = field(default_factory=list)
    left_out: dict[str, list[Fact]] = field(default_factory=dict)
    receivers: dict[int, Fact] = field(default_factory=dict)

    @property
    def facts(self) -> int:
        """How many facts the interventions are about."""
        return len({intervention.fact for intervention in self.interventions})

    def receive(self, fact: Fact, facts: Sequence[Fact], third: Fact, seed: int) -> None:
        """Draw the receiver of a fact among `facts`; not `third`, whose neurons are the control."""
        receiver = partner_of(fact, [o for o in facts if o.id != third.id], seed)
        if receiver is None:
            self.left_out.setdefault(NO_RECEIVER, []).append(fact)
        else:
            self.receivers[fact.id] = receiver


NO_PARTNER = "no other fact of the relation with another subject and object to compare with"
NO_LIKN = "no LIKN"
NO_RECEIVER = "no third fact of the relation to put values into, so no inject rows"


def ranking(atlas: "Atlas", run: int, count: int) -> Ranking:
    """Return the `count` neurons of highest mean score over the usable prompts of each fact and language; a score not
    stored counts as 0.
    """
    return neuron_sets(atlas, _RANKING, {"run": run, "count": count})


def likn_sets(atlas: "Atlas", run: int, definition: str) -> dict[int, list[Neuron]]:
    """Return the LIKN of every fact that has any, by descending score."""
    sets = neuron_sets(atlas, _LIKN, {"run": run, "definition": definition})
    return {fact: neurons for (fact,), neurons in sets.items()}


def shared_facts(rankings: Iterable[Ranking], facts: Iterable[int], languages: Sequence[str]) -> list[int]:
    """Return the facts that have neurons in every language under every ranking."""
    tables = list(rankings)
    return [fact for fact in facts if all(table.get((fact, code)) for table in tables for code in languages)]


def localisation(
    rankings: Mapping[int, Ranking], other: int, facts: Sequence[Fact], languages: Sequence[str], seed: int
) -> Chosen:
    """Return the interventions of the localisation table: the first neurons of each run's ranking, equal counts.

    As `other`, the neurons that run `other` gives another fact of the relation in the language; seeded. The count of a
    fact and language is that of the shortest of all these lists.
    """
    chosen = Chosen()
    for fact in facts:
        partner = partner_of(fact, facts, seed)
        if partner is None:
            chosen.left_out.setdefault(NO_PARTNER, []).append(fact)
            continue
        for code in languages:
            lists = {(run, "top"): table[fact.id, code] for run, table in rankings.items()}
            lists[other, "other"] = rankings[other][partner.id, code]
            count = min(map(len, lists.values()))
            for (run, source), neurons in lists.items():
                chosen.interventions.append(_intervention(run, fact, (code,), source, neurons[:count], (code,)))
        chosen.receive(fact, facts, partner, seed)
    return chosen


def cross_lingual(
    run: int,
    likn: Mapping[int, Sequence[Neuron]],
    ranked: Ranking,
    facts: Sequence[Fact],
    languages: Sequence[str],
    shape: tuple[int, int],
    seed: int,
) -> Chosen:
    """Return the interventions of the cross-lingual table, on the facts that have LIKN and a partner.

    `top` of one language in each, `both` of two languages together in those two, `likn`, `other` (the LIKN of another
    fact of the relation, filled up with its next best neurons) and `random` neurons of a model of `shape` (layers,
    neurons) in all. The count of a fact is that of the shortest list, its LIKN at most; `both` are the two together.
    """
    chosen = Chosen()
    for fact in facts:
        partner = partner_of(fact, [o for o in facts if likn.get(o.id)], seed)
        if partner is None or not likn.get(fact.id):
            reason = NO_PARTNER if likn.get(fact.id) else NO_LIKN
            chosen.left_out.setdefault(reason, []).append(fact)
            continue
        filled = [*likn[partner.id], *_next_best(ranked, partner.id, languages)]
        everywhere = {"likn": likn[fact.id], "other": list(dict.fromkeys(filled))}
        own = {code: ranked[fact.id, code] for code in languages}
        count = min(map(len, (*everywhere.values(), *own.values())))
        everywhere["random"] = random_neurons(count, *shape, "evaluation-random", seed, fact.id)
        own = {code: neurons[:count] for code, neurons in own.items()}
        add = chosen.interventions.append
        for code in languages:
            add(_intervention(run, fact, (code,), "top", own[code], tuple(languages)))
        for a, b in combinations(languages, 2):
            add(_intervention(run, fact, (a, b), "both", [*own[a], *own[b]], (a, b)))
        for source, neurons in everywhere.items():
            add(_intervention(run, fact, tuple(languages), source, neurons[:count], tuple(languages)))
        chosen.receive(fact, facts, partner, seed)
    return chosen


def injected(chosen: Chosen, shape: tuple[int, int], seed: int) -> Iterator[Intervention]:
    """Yield the neurons whose values are put into the receivers' prompts, for each language that values come from.

    Those of `chosen`, of facts with a receiver and one source at a time, and where there are none at random among them,
    as many in a model of `shape` (layers, neurons) for each fact and language.
    """
    own = [i for i in chosen.interventions if i.fact in chosen.receivers and i.source != "both"]
    yield from (replace(i, languages=(code,)) for i in own for code in i.languages)
    if not any(i.source == "random" for i in own):
        for i in {(i.fact, i.languages): i for i in own if i.source == "other"}.values():
            drawn = random_neurons(len(i.neurons), *shape, "evaluation-inject", seed, i.fact, *i.languages)
            yield replace(i, source="random", neurons=tuple(sorted(drawn)))


def _next_best(ranked: Ranking, fact: int, languages: Sequence[str]) -> Iterator[Neuron]:
    """Yield a fact's neurons by their place in its languages, best first; one may come again."""
    for places in zip_longest(*(ranked.get((fact, code), ()) for code in languages)):
        yield from (neuron for neuron in places if neuron is not None)


def _intervention(
    run: int, fact: Fact, languages: tuple[str, ...], source: str, neurons: Sequence[Neuron], measured: tuple[str, ...]
) -> Intervention:
    return Intervention(run, fact.id, languages, source, tuple(sorted(set(neurons))), measured)


def partner_of(fact: Fact, facts: Sequence[Fact], seed: int) -> Fact | None:
    """Return another fact of the relation with another subject and object; None if there is none."""
    others = [o for o in facts if o.relation == fact.relation and o.subject != fact.subject and o.object != fact.object]
    return one_of(others, "twin", seed, fact.id) if others else None


_RANKING = f"""
SELECT prompt.fact, prompt.language, a.layer, a.neuron
FROM attribution AS a JOIN probe ON probe.place = a.place JOIN prompt ON prompt.prompt = probe.prompt
WHERE a.run = $run AND a.score > 0 AND {usable("probe.status")}
GROUP BY prompt.fact, prompt.language, a.layer, a.neuron
QUALIFY row_number() OVER (
    PARTITION BY prompt.fact, prompt.language ORDER BY sum(a.score) DESC, a.layer, a.neuron
) <= $count
ORDER BY prompt.fact, prompt.language, sum(a.score) DESC, a.layer, a.neuron
"""

_LIKN = """
SELECT fact, layer, neuron FROM likn_all WHERE run = $run AND definition = $definition
ORDER BY fact, score DESC, layer, neuron
"""
