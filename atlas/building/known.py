"""The facts of a selection that a model knows, found in one cheap pass before the scores."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from atlas.facts import Fact, FactSet, Prompt, Skip
from atlas.facts.selection import in_turn, with_facts
from atlas.running.progress import Progress

if TYPE_CHECKING:
    from atlas.attribution import Budget
    from atlas.models import LanguageModel

TOGETHER = 64
"""Facts that are asked for in one go: so many more than the limit may be asked for in vain."""


@dataclass
class _Asked:
    """What was found so far: facts known in `least` languages, and how many are known in fewer."""

    known: list[Fact]
    least: int
    unknown: int = 0


def known_facts(
    model: "LanguageModel",
    facts: FactSet,
    limit: int | None,
    seed: int = 0,
    budget: "Budget | int | None" = None,
    progress: Progress | None = None,
    least: int = 1,
    first: Collection[int] = (),
) -> FactSet:
    """Return the first `limit` facts, in turn from every relation, that `model` knows in `least` languages; None: all.

    A fact is known in a language if its answer's tokens are the model's own choice in more than half of its usable
    prompts there (METHOD 3b), held-out templates aside; labels in other languages are left out. What was left
    out until the limit was reached is counted among the skips. See `in_turn` for `first`.
    """
    progress, asked = progress or Progress(), _Asked([], least)
    queue = iter(in_turn(facts, seed, first))
    while (limit is None or len(asked.known) < limit) and (some := list(islice(queue, TOGETHER))):
        progress.step(f"asking what the model knows: {len(asked.known):,} facts known, {asked.unknown:,} not")
        _ask(model, with_facts(facts, some), some, budget, asked)
    order = {fact.id: fact for fact in asked.known[:limit]}
    chosen = with_facts(facts, [order[fact.id] for fact in facts.facts if fact.id in order])
    languages = sum(len(fact.labels) - len(order[fact.id].labels) for fact in facts.facts if fact.id in order)
    return replace(chosen, skips=[*facts.skips, *_skips(asked, languages, len(asked.known) - len(order))])


def _ask(
    model: "LanguageModel", own: FactSet, some: Sequence[Fact], budget: "Budget | int | None", asked: _Asked
) -> None:
    spoken = _spoken(model, own, some, budget, asked.least)
    for fact in some:
        labels = {code: label for code, label in fact.labels.items() if (fact.id, code) in spoken}
        if len(labels) >= asked.least:
            asked.known.append(replace(fact, labels=labels))
        else:
            asked.unknown += 1


def _spoken(
    model: "LanguageModel", own: FactSet, some: Sequence[Fact], budget: "Budget | int | None", least: int
) -> set[tuple[int, str]]:
    """Return the facts, by id, and languages that the model knows; one that cannot reach `least` is asked no more."""
    prompts, codes = list(own.prompts()), sorted({code for fact in some for code in fact.labels})
    spoken: set[tuple[int, str]] = set()
    for nth, code in enumerate(codes):
        held = {fact.id: sum((fact.id, c) in spoken if c in codes[:nth] else 1 for c in fact.labels) for fact in some}
        spoken |= _languages(model, [p for p in prompts if p.language == code and held[p.fact.id] >= least], budget)
    return spoken


def _languages(
    model: "LanguageModel", prompts: Sequence[Prompt], budget: "Budget | int | None"
) -> set[tuple[int, str]]:
    """Return the facts, by id, and languages that the model knows of those that `prompts` ask."""
    from atlas.engine.answers import Case, measure, usable

    chosen: Counter[tuple[int, str]] = Counter()
    asked = usable(model, prompts)
    for prompt, found in zip(asked, measure(model, [Case(p) for p in asked], budget=budget), strict=True):
        chosen[prompt.pair] += 1 if found.argmax else -1
    return {pair for pair, more in chosen.items() if more > 0}


def _skips(asked: _Asked, languages: int, spare: int) -> Iterator[Skip]:
    """Yield what was left out; `languages` of the facts that are taken, `spare` known facts are beyond the limit."""
    if asked.unknown:
        few = "no language" if asked.least == 1 else f"fewer than {asked.least} languages"
        yield Skip("--known", f"the model knows the fact in {few}", asked.unknown)
    if languages:
        yield Skip("--known", "the model does not know the fact in that language", languages)
    if spare:
        yield Skip("--known", "the limit was reached", spare)
