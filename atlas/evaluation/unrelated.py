"""The unrelated prompts of an evaluation: of facts of another relation and another object (METHOD 4)."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from atlas.drawing import one_of
from atlas.facts import Fact, Prompt
from atlas.store.stored import Prompts

MOST = 2
"""Prompts of an unrelated fact that are asked in a language, at most."""


class Unrelated:
    """For every fact the prompts of an unrelated one of `facts`, drawn by the seed.

    A fact that lacks a prompt that `can_ask` takes in one of `languages` is passed over for the next that has them;
    where none has, it is taken as it is.
    """

    def __init__(
        self,
        facts: Sequence[Fact],
        prompts: Prompts,
        languages: Sequence[str],
        can_ask: Callable[[Prompt], bool],
        seed: int,
    ) -> None:
        self._facts, self._prompts, self._languages, self._seed = facts, prompts, languages, seed
        self._can_ask = can_ask
        self._asked: dict[int, bool] = {}
        self._whole: dict[int, bool] = {}
        self._of: dict[int, dict[str, list[Prompt]]] = {}

    def of(self, fact: Fact) -> dict[str, list[Prompt]]:
        """Return the unrelated prompts of a fact, by language; none in an atlas of one relation."""
        if fact.id not in self._of:
            others = [o for o in self._facts if o.relation != fact.relation and o.object != fact.object]
            self._of[fact.id] = self._few(self._drawn(fact, others)) if others else {}
        return self._of[fact.id]

    def askable(self, fact: Fact) -> dict[str, list[Prompt]]:
        """Return those of its unrelated prompts that can be asked, by language."""
        return {code: list(filter(self._is_askable, group)) for code, group in self.of(fact).items()}

    def lacking(self, facts: Sequence[Fact]) -> list[Fact]:
        """Return the facts without unrelated prompts in a language in which others of them have some.

        None if all are: then it is no matter of the facts.
        """
        asked = {fact.id: {code for code, group in self.askable(fact).items() if group} for fact in facts}
        spoken = set[str]().union(*asked.values()) & set(self._languages)
        found = [fact for fact in facts if not spoken <= asked[fact.id]]
        return found if len(found) < len(facts) else []

    def _drawn(self, fact: Fact, others: Sequence[Fact]) -> Fact:
        """Return the one of `others` that the seed draws for a fact, or the next that is whole."""
        first = others.index(one_of(others, "unrelated", self._seed, fact.id))
        return next(filter(self._is_whole, [*others[first:], *others[:first]]), others[first])

    def _few(self, fact: Fact) -> dict[str, list[Prompt]]:
        """Return the first prompts of a fact, by language."""
        found: dict[str, list[Prompt]] = defaultdict(list)
        for prompt in self._prompts.of(fact):
            if len(found[prompt.language]) < MOST:
                found[prompt.language].append(prompt)
        return found

    def _is_whole(self, fact: Fact) -> bool:
        if fact.id not in self._whole:
            few = self._few(fact)
            self._whole[fact.id] = all(any(map(self._is_askable, few.get(code, ()))) for code in self._languages)
        return self._whole[fact.id]

    def _is_askable(self, prompt: Prompt) -> bool:
        if prompt.id not in self._asked:
            self._asked[prompt.id] = self._can_ask(prompt)
        return self._asked[prompt.id]
