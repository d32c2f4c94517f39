"""New facts meet those of an atlas: they take its codes of languages, its labels, and its keys where it has others."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from atlas.facts import Fact, FactSet, Label
from atlas.matching import folded, language_code
from atlas.store.reader import Reader
from atlas.store.result import Params

LEAST_LANGUAGES = 2
"""Languages in which both names of two facts must agree for them to be one."""

Names = Mapping[str, Label]
_ID = re.compile(r"Q[1-9][0-9]*")


def met(atlas: Reader, facts: FactSet) -> FactSet:
    """Return `facts` as the atlas would write them.

    A language that an older atlas has under a longer code keeps that code. A fact that the atlas has in the same
    relation under other keys (BMLAMA's names, mLAMA's Wikidata ids) takes those keys, if subject and object are called
    the same in at least two languages, and in more than half of those in which both are named, and if no other fact
    of either side agrees so; what has two ids of Wikidata is two things. A label that the atlas has stays, and so does
    whether a template is held out, and its kind. The result's `united` counts such facts, `renamed` the labels that are
    others, `marked` such templates.
    """
    facts = _respelled(atlas, facts)
    relations = sorted({fact.relation for fact in facts.facts})
    there = _labelled(atlas, "", "list_contains($1::VARCHAR[], relation)", [relations])
    return _marked(atlas, _renamed(_united(atlas, facts, there), there))


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


def _united(atlas: Reader, facts: FactSet, held: Sequence[Fact]) -> FactSet:
    own = {fact.id for fact in facts.facts}
    there = [fact for fact in held if fact.id not in own]
    known = set(atlas.sql("SELECT fact FROM fact")["fact"].to_pylist()) if there else set()
    pairs = _pairs([fact for fact in facts.facts if fact.id not in known], there)
    if not pairs:
        return facts
    taken = [replace(fact, subject=pairs[fact.id].subject, object=pairs[fact.id].object) if fact.id in pairs else fact
             for fact in facts.facts]  # fmt: skip
    return replace(facts, facts=taken, united=len(pairs))


def _renamed(facts: FactSet, held: Sequence[Fact]) -> FactSet:
    """Give facts the labels of `held`, as a prompt with another would be a second one of its template and fact."""
    if not held:
        return facts
    labels = {fact.id: fact.labels for fact in held}
    pairs = [(fact, labels.get(fact.id, {})) for fact in facts.facts]
    taken = [replace(fact, labels={code: there.get(code, own) for code, own in fact.labels.items()})
             for fact, there in pairs]  # fmt: skip
    others = sum(there.get(code, own) != own for fact, there in pairs for code, own in fact.labels.items())
    return replace(facts, facts=taken, renamed=others) if others else facts


def _marked(atlas: Reader, facts: FactSet) -> FactSet:
    """Give templates the marks that the atlas has, as what was attributed once is no paraphrase."""
    rows = atlas.sql("SELECT template, held_out, kind FROM template").to_pylist()
    marks = {row["template"]: {"held_out": row["held_out"], "kind": row["kind"]} for row in rows}
    taken = [replace(template, **marks.get(template.id, {})) for template in facts.templates]
    others = sum(new != old for new, old in zip(taken, facts.templates, strict=True))
    return replace(facts, templates=taken, marked=others) if others else facts


def same_facts(atlas: Reader, catalog: str, codes: Mapping[str, str]) -> dict[int, Fact]:
    """Return for ids of facts of an attached `catalog` the facts of the atlas that they are, by the rule of `met`.

    `codes` says under which code the atlas has languages of `catalog`. Facts that both have by their keys are left out.
    """
    ours, theirs = (
        _labelled(atlas, own, f"fact NOT IN (SELECT held.fact FROM {other}fact AS held)")
        for own, other in (("", f"{catalog}."), (f"{catalog}.", ""))
    )
    spelled = [replace(f, labels={codes.get(code, code): label for code, label in f.labels.items()}) for f in theirs]
    return _pairs(spelled, ours)


def _labelled(atlas: Reader, own: str, wanted: str, params: Params = ()) -> list[Fact]:
    """Return facts with their labels, of the catalog that `own` names as a prefix, as far as they are `wanted`."""
    labels: dict[tuple[str, str, str], dict[str, Label]] = defaultdict(dict)
    rows = atlas.sql(_LABELS.format(own=own, wanted=wanted), params).columns
    for relation, subject, object_, code, *names in zip(*(column.to_pylist() for column in rows), strict=True):
        labels[relation, subject, object_][code] = Label(*names)
    return [Fact(*keys, found) for keys, found in labels.items()]


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
            if not _told_apart(fact, other):
                agreed[other.id] += 1
                others[other.id] = other
    return [
        other
        for identity, other in others.items()
        if agreed[identity] >= LEAST_LANGUAGES and 2 * agreed[identity] > len(fact.labels.keys() & other.labels.keys())
    ]


def _told_apart(fact: Fact, other: Fact) -> bool:
    """Return whether subject or object have an id of Wikidata each, and not the same."""
    pairs = ((fact.subject, other.subject), (fact.object, other.object))
    return any(own != their and _ID.fullmatch(own) and _ID.fullmatch(their) for own, their in pairs)


def _places(fact: Fact) -> list[tuple[str, str, str, str]]:
    return [(fact.relation, code, folded(label.subject), folded(label.object)) for code, label in fact.labels.items()]


_LABELS = """
SELECT relation, fact.subject, fact.object, language, fact_label.subject AS named, fact_label.object AS called
FROM {own}fact AS fact JOIN {own}fact_label AS fact_label USING (fact) WHERE {wanted} ORDER BY fact, language
"""
