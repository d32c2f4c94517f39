"""Templates put otherwise than their source does: after examples, or stated first and then asked for.

A causal model reads up to the object, and small ones answer where they are shown how: docs/real-models.md measures it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from atlas.facts.facts import ASKED, OBJECT, SHOWN, SUBJECT, Fact, FactSet, Label, Skip, Template
from atlas.facts.reading import texts

PLACE = "___"
"""What stands in the object's place where the sentence is stated."""
EXAMPLES = 2
"""Other facts before a template that asks, where no number is given."""
Shown = Mapping[tuple[str, str], Sequence[Label]]


def reworded(facts: FactSet, ask: bool = False, examples: int | None = None) -> FactSet:
    """Return the set with templates that ask for the object at their end, and templates after examples.

    With `ask` a template that does not end in the object, `[Y] is the capital of [X].`, becomes `___ is the capital of
    [X]. ___ = [Y]` (kind `asked`). Before each template stand `examples` other facts of the relation that fill it, a
    line each (kind `shown`); None is two before templates that ask, none before others. Examples have the relation's
    rarest objects in the language; facts whose object stands in an example are left out there, and counted.
    """
    own = _asking_once(facts.templates) if ask else list(facts.templates)
    after = {template for template in own if (template.kind == ASKED if examples is None else examples)}
    if not after:
        return replace(facts, templates=own)
    wanted = {(template.relation, template.language) for template in after}
    shown = _examples(facts.facts, wanted, EXAMPLES if examples is None else examples)
    put = [_after(template, shown) if template in after else template for template in own]
    return _without_shown(replace(facts, templates=put), shown)


def question(sentence: str) -> str:
    """Return the template that states `sentence`, a template's text, with the object's place open and asks for it."""
    stated = sentence.replace(OBJECT, PLACE).strip()
    return f"{stated} {PLACE} ={'' if texts.is_unspaced(stated) else ' '}{OBJECT}"


def after_examples(text: str, examples: Sequence[Label]) -> str:
    """Return the template `text` after lines of it that are filled with `examples`."""
    filled = (text.replace(SUBJECT, label.subject).replace(OBJECT, label.object) for label in examples)
    return "".join(f"{line}\n" for line in filled) + text


def _asking_once(templates: Sequence[Template]) -> list[Template]:
    """Return the templates that ask; one whose question stands among them as its source has it asks no more."""
    there = {template.id for template in templates}
    return [own for before in templates if (own := _asking(before)) is before or own.id not in there]


def _asking(template: Template) -> Template:
    return template if template.ends_in_object else replace(template, text=question(template.text), kind=ASKED)


def _after(template: Template, shown: Shown) -> Template:
    examples = shown.get((template.relation, template.language), ())
    kind = SHOWN if examples and template.kind != ASKED else template.kind
    return replace(template, text=after_examples(template.text, examples), kind=kind)


def _examples(facts: Sequence[Fact], wanted: Collection[tuple[str, str]], count: int) -> Shown:
    """Return the examples of each wanted relation and language, `count` where there are so many."""
    labels: dict[tuple[str, str], list[Label]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: fact.id):
        for language in fact.labels:
            if (fact.relation, language) in wanted:
                labels[fact.relation, language].append(fact.labels[language])
    return {pair: _rarest(own)[:count] for pair, own in labels.items()}


def _rarest(labels: Sequence[Label]) -> Sequence[Label]:
    """Return labels of different objects, those of the rarest first; the last object is left to be asked for."""
    count = Counter(label.object for label in labels)
    first = {label.object: (place, label) for place, label in reversed(list(enumerate(labels)))}
    order = sorted(first.values(), key=lambda found: (count[found[1].object], found[0]))
    return [label for _, label in order[:-1]]


def _without_shown(facts: FactSet, shown: Shown) -> FactSet:
    """Return the set without the facts, in a language, whose object an example shows."""
    kept = [_hidden(fact, shown) for fact in facts.facts]
    left = sum(len(fact.labels) for fact in facts.facts) - sum(len(fact.labels) for fact in kept)
    skip = Skip("--examples", "a fact in a language stands in an example, or its object does", left)
    kept = [fact for fact in kept if fact.labels]
    return replace(facts, facts=kept, skips=[*facts.skips, *([skip] if left else [])])


def _hidden(fact: Fact, shown: Shown) -> Fact:
    kept = {
        code: own for code, own in fact.labels.items() if not _shows(shown.get((fact.relation, code), ()), own.object)
    }
    return replace(fact, labels=kept)


def _shows(examples: Sequence[Label], answer: str) -> bool:
    """Return whether an answer stands in an example, be it within another name: Guinea in Equatorial Guinea."""
    return any(answer in name for label in examples for name in (label.subject, label.object))
