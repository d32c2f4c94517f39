"""The facts of a selection that a model knows, found in one cheap pass before the scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
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
    """What was found so far; `unknown` counts facts, `languages` those of known facts that were left out."""

    known: list[Fact]
    unknown: int = 0
    languages: int = 0


def known_facts(
    model: "LanguageModel",
    facts: FactSet,
    limit: int | None,
    seed: int = 0,
    budget: "Budget | int | None" = None,
    progress: Progress | None = None,
) -> FactSet:
    """Return the first `limit` facts, in turn from every relation, that `model` knows in some language, None for all.

    A fact is known in a language if the first token of its answer is the model's own choice in more than half of its
    usable prompts there (METHOD 3b), held-out templates aside; labels in other languages are left out. What was left
    out until the limit was reached is counted among the skips.
    """
    progress, asked = progress or Progress(), _Asked([])
    queue = iter(in_turn(facts, seed))
    while (limit is None or len(asked.known) < limit) and (some := list(islice(queue, TOGETHER))):
        progress.step(f"asking what the model knows: {len(asked.known):,} facts known, {asked.unknown:,} not")
        _ask(model, with_facts(facts, some), some, budget, asked)
    order = {fact.id: fact for fact in asked.known[:limit]}
    chosen = with_facts(facts, [order[fact.id] for fact in facts.facts if fact.id in order])
    return replace(chosen, skips=[*facts.skips, *_skips(asked, len(asked.known) - len(order))])


def _ask(
    model: "LanguageModel", own: FactSet, some: Sequence[Fact], budget: "Budget | int | None", asked: _Asked
) -> None:
    from atlas.engine.answers import Case, measure, usable

    prompts = usable(model, list(own.prompts()))
    ranks = [found.rank for found in measure(model, [Case(prompt) for prompt in prompts], budget=budget)]
    spoken = {fact: set(languages) for fact, languages in _known(prompts, ranks)}
    for fact in some:
        languages = spoken.get(fact.id, set())
        if languages:
            labels = {code: label for code, label in fact.labels.items() if code in languages}
            asked.known.append(replace(fact, labels=labels))
            asked.languages += len(fact.labels) - len(labels)
        else:
            asked.unknown += 1


def _known(prompts: Sequence[Prompt], ranks: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
    """Yield each fact's id with the languages in which it is known."""
    pairs = sorted(zip(prompts, ranks, strict=True), key=lambda pair: (pair[0].fact.id, pair[0].language))
    for fact, group in groupby(pairs, key=lambda pair: pair[0].fact.id):
        languages = []
        for language, own in groupby(group, key=lambda pair: pair[0].language):
            first = [rank == 1 for _, rank in own]
            if 2 * sum(first) > len(first):
                languages.append(language)
        yield fact, languages


def _skips(asked: _Asked, spare: int) -> Iterator[Skip]:
    """Yield what was left out; `spare` known facts are beyond the limit."""
    if asked.unknown:
        yield Skip("--known", "the model knows the fact in no language", asked.unknown)
    if asked.languages:
        yield Skip("--known", "the model does not know the fact in that language", asked.languages)
    if spare:
        yield Skip("--known", "the limit was reached", spare)
