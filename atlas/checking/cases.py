"""The claims of an evaluation: true ones and wrong ones of the same facts, split by subject (METHOD 6)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from atlas.checking.conditions import choose, code_switched, corrupted
from atlas.facts import Fact, Label, Prompt, Template
from atlas.ids import stable_id


@dataclass(frozen=True, slots=True)
class Case:
    """A claim with what is known of it: the fact it is made from, its truth, its side of the split."""

    fact: Fact
    language: str
    object: str  # as claimed, in the language
    truth: bool
    split: str
    condition: str
    prompts: tuple[Prompt, ...]

    @property
    def subject(self) -> str:
        """The subject's name as the claim gives it."""
        return self.prompts[0].fact.labels[self.language].subject

    @property
    def id(self) -> int:
        """Content hash of the claim and how it is put."""
        texts = [prompt.text for prompt in self.prompts]
        return claim_id(self.language, self.fact.relation, self.subject, self.object, texts, self.condition)


def claim_id(language: str, relation: str, subject: str, object_: str, texts: Sequence[str], condition: str) -> int:
    """Return the id of a claim: a hash of all that names it."""
    return stable_id("claim", language, relation, subject, object_, list(texts), condition)


@dataclass(frozen=True)
class World:
    """Facts with all their labels, the templates, and on which side of the split each fact is (`fact_split`)."""

    facts: Sequence[Fact]
    templates: Sequence[Template]
    split: Mapping[int, str]

    def templates_of(self, relation: str, language: str, *, held_out: bool, causal: bool) -> list[Template]:
        """Return the templates that a claim can be put in; a causal model needs those that end in the object."""
        return [
            template
            for template in self.templates
            if (template.relation, template.language, template.held_out) == (relation, language, held_out)
            and (template.ends_in_object or not causal)
        ]


def make_cases(
    world: World, languages: Sequence[str], conditions: Sequence[str], *, causal: bool, count: int, seed: int
) -> Iterator[Case]:
    """Yield a true and a wrong claim of every fact, language and condition; training facts in `plain` alone.

    Each claim is put in `count` templates at most. A fact without a possible wrong object gives no claims.
    """
    wrong = {fact.id: other for fact in world.facts if (other := wrong_fact(fact, world.facts, seed)) is not None}
    for fact in world.facts:
        if fact.id not in wrong:
            continue
        split = world.split[fact.id]
        for language in [code for code in languages if code in fact.labels and code in wrong[fact.id].labels]:
            for condition in conditions if split == "test" else ["plain"]:
                templates = _templates(world, fact.relation, language, condition, causal=causal, count=count, seed=seed)
                for truth, claimed in ((True, fact), (False, wrong[fact.id])):
                    put = code_switched(claimed, fact, language, seed) if condition == "code-switched" else claimed
                    prompts = tuple(Prompt(put, template) for template in templates)
                    if prompts:
                        yield Case(fact, language, put.labels[language].object, truth, split, condition, prompts)


def wrong_fact(fact: Fact, facts: Sequence[Fact], seed: int) -> Fact | None:
    """Return `fact` with another object of the same relation, seeded: never one that is true of the subject.

    Only languages in which that object has another name than the true one keep their labels; objects that have one in
    all of the fact's languages come first.
    """
    same = [other for other in facts if other.relation == fact.relation]
    true = {other.object for other in same if other.subject == fact.subject}
    others = {other.object: other for other in same if other.object not in true}
    choices = [_with_object(fact, other) for _, other in sorted(others.items())]
    choices = [choice for choice in choices if choice.labels]
    if not choices:
        return None
    most = max(len(choice.labels) for choice in choices)
    choices = [choice for choice in choices if len(choice.labels) == most]
    return choices[int(np.random.default_rng(stable_id("wrong", seed, fact.id)).integers(len(choices)))]


def _with_object(fact: Fact, other: Fact) -> Fact:
    labels = {
        code: Label(label.subject, other.labels[code].object)
        for code, label in fact.labels.items()
        if code in other.labels and other.labels[code].object != label.object
    }
    return replace(fact, object=other.object, labels=labels)


def _templates(
    world: World, relation: str, language: str, condition: str, *, causal: bool, count: int, seed: int
) -> list[Template]:
    found = world.templates_of(relation, language, held_out=condition == "held-out", causal=causal)
    chosen = choose(count, found, seed)
    return [corrupted(template, seed) for template in chosen] if condition == "corrupted" else chosen
