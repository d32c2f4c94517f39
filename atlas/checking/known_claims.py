"""The claims of an evaluation: true ones and wrong ones of the same facts, split by subject (METHOD 6)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from atlas.checking.conditions import choose, code_switched, corrupted
from atlas.checking.permutation import Truths, spelt_alike, wrong_objects
from atlas.facts import Fact, Label, Prompt, Template
from atlas.ids import stable_id


@dataclass(frozen=True, slots=True)
class KnownClaim:
    """A claim with what is known of it: the fact it is made from, its truth, its side of the split."""

    fact: Fact
    object_key: str  # of what is claimed
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
        names = (self.language, self.fact.relation, self.subject, self.object)
        return claim_id(*names, texts, self.condition, self.fact.id)


def claim_id(
    language: str,
    relation: str,
    subject: str,
    object_: str,
    texts: Sequence[str],
    condition: str,
    fact: int | None = None,
) -> int:
    """Return the id of a claim: a hash of all that names it, of its fact too where it is made from one."""
    return stable_id("claim", language, relation, subject, object_, list(texts), condition, fact)


@dataclass(frozen=True)
class World:
    """Facts with all their labels, the templates, and on which side of the split each fact is (`fact_split`)."""

    facts: Sequence[Fact]
    templates: Sequence[Template]
    split: Mapping[int, str]

    @cached_property
    def homonyms(self) -> set[int]:
        """The test facts whose subject has, in any language, the name of a training subject."""
        names = {name for fact in self.facts if self.split[fact.id] == "train" for name in _subject_names(fact)}
        return {fact.id for fact in self.facts if self.split[fact.id] == "test" and names & _subject_names(fact)}

    def templates_of(self, relation: str, language: str, *, held_out: bool, causal: bool) -> list[Template]:
        """Return the templates that a claim can be put in; a causal model needs those that end in the object."""
        return [
            template
            for template in self.templates
            if (template.relation, template.language, template.held_out) == (relation, language, held_out)
            and (template.ends_in_object or not causal)
        ]


@dataclass(frozen=True)
class Claims:
    """The claims of an evaluation, and how many facts in a language gave none, by the reason."""

    cases: Sequence[KnownClaim]
    left_out: Mapping[str, int]


def make_cases(
    world: World,
    facts: Sequence[Fact],
    languages: Sequence[str],
    conditions: Sequence[str],
    *,
    causal: bool,
    count: int,
    seed: int,
) -> Claims:
    """Make a true and a wrong claim of each of `facts`, language and condition; training facts in `plain` alone.

    Each claim is put in `count` templates at most. Wrong claims have the objects of true ones of the same relation,
    language and side of the split, in another order, and none that any fact of `world` holds as true. Test facts whose
    subject is called as one of the training part are left out.
    """
    left_out: Counter[str] = Counter()
    cases: list[KnownClaim] = []
    for (relation, language, split), group in _groups(world, facts, languages).items():
        distinct = [fact for fact in group if fact.id not in world.homonyms]
        truths = Truths.of((fact for fact in world.facts if fact.relation == relation), language)
        donors = wrong_objects(distinct, truths, seed)
        put = {
            condition: _templates(world, relation, language, condition, causal=causal, count=count, seed=seed)
            for condition in (conditions if split == "test" else ["plain"])
        }
        for fact in (fact for fact in distinct if fact.id in donors):
            for condition, templates in put.items():
                cases += _both(fact, donors[fact.id], language, split, condition, templates, seed)
        left_out["a training subject has the same name"] += len(group) - len(distinct)
        left_out["no wrong object"] += len(distinct) - len(donors)
        for reason in {_lacking(condition) for condition, templates in put.items() if not templates}:
            left_out[reason] += len(donors)
    return Claims(cases, +left_out)


def _groups(world: World, facts: Sequence[Fact], languages: Sequence[str]) -> dict[tuple[str, str, str], list[Fact]]:
    """Return the facts by relation, language and side of the split."""
    groups: dict[tuple[str, str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        for language in (code for code in languages if code in fact.labels):
            groups[fact.relation, language, world.split[fact.id]].append(fact)
    return groups


def _subject_names(fact: Fact) -> set[tuple[str, str]]:
    return {(language, spelt_alike(label.subject)) for language, label in fact.labels.items()}


def _both(
    fact: Fact, donor: Fact, language: str, split: str, condition: str, templates: Sequence[Template], seed: int
) -> Iterator[KnownClaim]:
    """Yield the true and the wrong claim of a fact in one language and condition, none without templates."""
    for truth, giver in ((True, fact), (False, donor)):
        claimed = _with_object(fact, giver, language)
        put = code_switched(claimed, fact, language, seed) if condition == "code-switched" else claimed
        prompts = tuple(Prompt(put, template) for template in templates)
        if prompts:
            yield KnownClaim(
                fact, giver.object, language, put.labels[language].object, truth, split, condition, prompts
            )


def _with_object(fact: Fact, giver: Fact, language: str) -> Fact:
    """Return `fact` with the object of `giver`, in one language."""
    label = Label(fact.labels[language].subject, giver.labels[language].object)
    return replace(fact, object=giver.object, labels={**fact.labels, language: label})


def _lacking(condition: str) -> str:
    """Return what there is none of where a claim cannot be put under a condition."""
    return "no held-out template" if condition == "held-out" else "no template"


def _templates(
    world: World, relation: str, language: str, condition: str, *, causal: bool, count: int, seed: int
) -> list[Template]:
    found = world.templates_of(relation, language, held_out=condition == "held-out", causal=causal)
    chosen = choose(count, found, seed)
    return [corrupted(template, seed) for template in chosen] if condition == "corrupted" else chosen
