"""New facts meet those of an atlas: languages take its spelling, facts that it has under other keys take its keys."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from atlas.facts import Fact, FactSet, Label
from atlas.matching import folded, language_code
from atlas.store.reader import Reader

LEAST_LANGUAGES = 2
"""Languages in which both names of two facts must agree for them to be one."""

Names = Mapping[str, Label]


def met(atlas: Reader, facts: FactSet) -> FactSet:
    """Return `facts` as the atlas would write them.

    A language that an older atlas has under a longer code keeps that code. A fact that the atlas has in the same
    relation under other keys (BMLAMA's names, mLAMA's Wikidata ids) takes those keys, if subject and object are called
    the same in at least two languages, and in more than half of those in which both are named, and if no other fact
    of either side agrees so. The result's `united` counts such facts.
    """
    return _united(atlas, _respelled(atlas, facts))


def _respelled(atlas: Reader, facts: FactSet) -> FactSet:
    there = atlas.sql("SELECT language FROM language ORDER BY language")["language"].to_pylist()
    codes = {language_code(own): own for own in there if language_code(own) not in there}
    if not codes:
        return facts

    def spelled(fact: Fact) -> Fact:
        return replace(fact, labels={codes.get(code, code): label for code, label in fact.labels.items()})

    return replace(
        facts,
        facts=[spelled(fact) for fact in facts.facts],
        templates=[replace(t, language=codes.get(t.language, t.language)) for t in facts.templates],
        spellings={code: found for code, found in facts.spellings.items() if code not in codes},
    )


def _united(atlas: Reader, facts: FactSet) -> FactSet:
    there = _others(atlas, facts)
    known = set(atlas.sql("SELECT fact FROM fact")["fact"].to_pylist()) if there else set()
    pairs = _pairs([fact for fact in facts.facts if fact.id not in known], there)
    if not pairs:
        return facts
    taken = [replace(fact, subject=pairs[fact.id].subject, object=pairs[fact.id].object) if fact.id in pairs else fact
             for fact in facts.facts]  # fmt: skip
    return replace(facts, facts=taken, united=len(pairs))


def _others(atlas: Reader, facts: FactSet) -> list[Fact]:
    """Return the atlas's facts of the same relations that are not among `facts` by their keys."""
    own = {fact.id for fact in facts.facts}
    labels: dict[tuple[int, str, str, str], dict[str, Label]] = defaultdict(dict)
    relations = sorted({fact.relation for fact in facts.facts})
    for identity, relation, subject, object_, code, *names in zip(
        *(column.to_pylist() for column in atlas.sql(_LABELS, [relations]).columns), strict=True
    ):
        if identity not in own:
            labels[identity, relation, subject, object_][code] = Label(*names)
    return [Fact(relation, subject, object_, found) for (_, relation, subject, object_), found in labels.items()]


def _pairs(new: Sequence[Fact], there: Sequence[Fact]) -> dict[int, Fact]:
    """Return for the ids of new facts the one that each is, where that is beyond doubt on both sides."""
    index: dict[tuple[str, str, str, str], list[Fact]] = defaultdict(list)
    for fact in there:
        for place in _places(fact):
            index[place].append(fact)
    found = {fact.id: _agreeing(fact, index) for fact in new}
    claims = Counter(other.id for others in found.values() for other in others)
    return {own: others[0] for own, others in found.items() if len(others) == 1 and claims[others[0].id] == 1}


def _agreeing(fact: Fact, index: Mapping[tuple[str, str, str, str], Sequence[Fact]]) -> list[Fact]:
    agreed: Counter[int] = Counter()
    others: dict[int, Fact] = {}
    for place in _places(fact):
        for other in index.get(place, ()):
            agreed[other.id] += 1
            others[other.id] = other
    return [
        other
        for identity, other in others.items()
        if agreed[identity] >= LEAST_LANGUAGES and 2 * agreed[identity] > len(fact.labels.keys() & other.labels.keys())
    ]


def _places(fact: Fact) -> list[tuple[str, str, str, str]]:
    return [(fact.relation, code, folded(label.subject), folded(label.object)) for code, label in fact.labels.items()]


_LABELS = """
SELECT fact, relation, fact.subject, fact.object, language, fact_label.subject AS named, fact_label.object AS called
FROM fact JOIN fact_label USING (fact) WHERE list_contains($1::VARCHAR[], relation) ORDER BY fact, language
"""
