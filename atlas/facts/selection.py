"""Narrowing a set of facts: languages, relations, and a limit that is spread evenly."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from atlas.errors import UsageError
from atlas.facts.facts import Fact, FactSet
from atlas.facts.reading.collect import wanted_languages, wanted_relations
from atlas.ids import stable_id


def narrow(
    facts: FactSet, languages: Collection[str] | None = None, relations: Collection[str] | None = None
) -> FactSet:
    """Return the facts of some relations, with labels in some languages only; `UsageError` if one is unknown."""
    spoken, named = wanted_languages(languages, facts.source), wanted_relations(relations, facts.source)
    if spoken is not None:
        spoken.check({code for fact in facts.facts for code in fact.labels})
    if named is not None:
        named.check({fact.relation for fact in facts.facts})
    kept = (
        replace(fact, labels={code: fact.labels[code] for code in fact.labels if spoken is None or spoken.has(code)})
        for fact in facts.facts
        if named is None or named.has(fact.relation)
    )
    return with_facts(facts, (fact for fact in kept if fact.labels))


def limited(facts: FactSet, limit: int | None, seed: int = 0, first: Collection[int] = ()) -> FactSet:
    """Return at most `limit` facts, taken in turn from every relation; all of them if it is 0 or None.

    So the choice is the same everywhere, and that of a smaller limit is part of that of a larger one. Facts keep their
    order. See `in_turn` for which come first; before them those of the ids `first` do in their relation.
    """
    if limit is not None and limit < 0:
        raise UsageError(f"A limit of {limit} facts makes no sense; give a number from 0 (all) on.")
    if not limit or limit >= len(facts.facts):
        return facts
    chosen = {fact.id for fact in in_turn(facts, seed, first)[:limit]}
    return with_facts(facts, (fact for fact in facts.facts if fact.id in chosen))


def in_turn(facts: FactSet, seed: int = 0, first: Collection[int] = ()) -> list[Fact]:
    """Return the facts in the order in which a limit takes them: in turn from every relation.

    Within a relation those that can be asked in the most languages come first, and among those the order is that of
    their ids, which has nothing to do with the order of the files; a `seed` other than 0 gives another order. Facts
    that cannot be asked in any come last of all; a template that is held out asks nothing.
    """
    askable = {(template.relation, template.language) for template in facts.templates if not template.held_out}
    by_relation: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts.facts:
        by_relation[fact.relation].append(fact)

    def place(fact: Fact) -> tuple[bool, int, int]:
        later = fact.id not in first
        return later, -_languages(fact, askable), stable_id("sample", seed, fact.id) if seed else fact.id

    turns = [
        (not _languages(fact, askable), turn, relation, fact.id, fact)
        for relation, members in by_relation.items()
        for turn, fact in enumerate(sorted(members, key=place))
    ]
    return [fact for *_, fact in sorted(turns, key=lambda turn: turn[:4])]


def _languages(fact: Fact, askable: Collection[tuple[str, str]]) -> int:
    """Return in how many languages a fact has both labels and a template that asks for it."""
    return sum((fact.relation, language) in askable for language in fact.labels)


def with_facts(facts: FactSet, kept: Iterable[Fact]) -> FactSet:
    """Return the set with the facts `kept`, and only what belongs to them."""
    chosen = tuple(kept)
    pairs = Counter((fact.relation, language) for fact in chosen for language in fact.labels)
    relations = {relation for relation, _ in pairs}
    return replace(
        facts,
        facts=chosen,
        templates=tuple(t for t in facts.templates if (t.relation, t.language) in pairs),
        relation_names={key: name for key, name in facts.relation_names.items() if key in relations},
    )
