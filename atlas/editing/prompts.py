"""The prompts that stand around an edit: those it is fit on, those it must keep, and those it is judged by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from atlas.drawing import generator
from atlas.editing.outcomes import Question
from atlas.editing.requests import Target
from atlas.engine.answers import reason, usable
from atlas.errors import ModelError
from atlas.facts import Fact, Prompt
from atlas.ids import stable_id
from atlas.models import LanguageModel
from atlas.store.stored import Prompts

UNRELATED = 40
"""Unrelated facts, one prompt each, that an edit is judged by; and half as many of the same relation."""


@dataclass(frozen=True, slots=True)
class EditPrompts:
    """The fact's prompts in the edited languages, the same with the new answer, those to be kept, those to judge by."""

    old: list[Prompt]
    new: list[Prompt]
    keep: list[Prompt]
    questions: list[Question]

    @property
    def id(self) -> int:
        """A hash of the prompts; the new answer is the edit's."""
        questions = [[question.measure, question.prompt.id] for question in self.questions]
        return stable_id("around", *([prompt.id for prompt in side] for side in (self.old, self.keep)), questions)


def prompts_around(model: LanguageModel, target: Target, prompts: Prompts, keep_facts: int, seed: int) -> EditPrompts:
    """Return the prompts around an edit, seeded.

    Kept and judged facts are different ones, and at least half of all are left to judge by. Half of the kept facts
    share the relation, and each gives one prompt in every edited language. Unrelated facts have another relation, and
    neither the old nor the new object (METHOD 4). Raises ModelError for a fact of which the model can use no prompt,
    and TokenError for an object it cannot spell.
    """
    old = usable(model, prompts.of(target.fact, target.languages))
    if not old:
        raise ModelError(
            f"Model {model.info.name!r} can use no prompt of {target.fact} in "
            f"{', '.join(target.languages)}; choose other languages."
        )
    new = [target.asked(prompt) for prompt in old]
    if (error := next((e for prompt in new if (e := reason(model, prompt))), None)) is not None:
        raise error
    draws = generator("edit-company", seed, target.fact.id)
    same, other = _around(target, prompts, draws)
    near, far = min(keep_facts // 2, len(same) // 2), min(keep_facts // 2, len(other) // 2)
    keep = [
        prompt
        for fact in (*same[:near], *other[:far])
        for code in target.languages
        for prompt in _one(model, prompts, fact, [code], draws)
    ]
    judged = {"locality": other[far:][:UNRELATED], "neighbour": same[near:][: UNRELATED // 2]}
    names = frozenset(name.casefold() for name in target.labels.values())
    questions = [*_own(model, target, prompts, old), *_judges(model, prompts, judged, draws)]
    return EditPrompts(old, new, keep, [replace(question, new=names) for question in questions])


def _around(target: Target, prompts: Prompts, generator: np.random.Generator) -> tuple[list[Fact], list[Fact]]:
    """Return other facts of the relation, and unrelated facts, both in random order."""
    same, other = [], []
    for fact in prompts.facts.values():
        if fact.relation == target.fact.relation and fact.subject != target.fact.subject:
            same.append(fact)
        elif fact.relation != target.fact.relation and not _has_its_object(fact, target):
            other.append(fact)
    return _shuffled(same, generator), _shuffled(other, generator)


def _has_its_object(fact: Fact, target: Target) -> bool:
    """Return whether a fact's object is the old or the new one, which may be a text that no key stands for."""
    names = {target.object.casefold(), *((code, name.casefold()) for code, name in target.labels.items())}
    own = {fact.object.casefold(), *((code, label.object.casefold()) for code, label in fact.labels.items())}
    return fact.object == target.fact.object or not names.isdisjoint(own)


def _shuffled(facts: Sequence[Fact], generator: np.random.Generator) -> list[Fact]:
    return [facts[i] for i in generator.permutation(len(facts))]


def _one(
    model: LanguageModel, prompts: Prompts, fact: Fact, languages: Sequence[str] | None, generator: np.random.Generator
) -> list[Prompt]:
    """Return one usable prompt of a fact, none if there is none."""
    found = prompts.of(fact, languages)
    for place in generator.permutation(len(found)):
        if reason(model, found[place]) is None:
            return [found[place]]
    return []


def _own(model: LanguageModel, target: Target, prompts: Prompts, old: Sequence[Prompt]) -> Iterator[Question]:
    """Yield the fact's prompts: those edited, paraphrases, and the languages left out."""
    left_out = [code for code in target.fact.labels if code not in target.languages and code in target.labels]
    groups = {
        "efficacy": old,
        "paraphrase": prompts.of(target.fact, target.languages, held_out=True),
        "transfer": [p for held in (False, True) for p in prompts.of(target.fact, left_out, held_out=held)],
    }
    for measure, group in groups.items():
        for prompt in usable(model, group):
            asked = target.asked(prompt)
            if reason(model, asked) is None:
                yield Question(measure, prompt, asked)


def _judges(
    model: LanguageModel, prompts: Prompts, judged: dict[str, list[Fact]], generator: np.random.Generator
) -> Iterator[Question]:
    for measure, facts in judged.items():
        for fact in facts:
            for prompt in _one(model, prompts, fact, None, generator):
                yield Question(measure, prompt, prompt)
