"""The plan of a build: which prompts are put to the model together, in a fixed order.

A batch holds whole groups, each all prompts of one fact in one language, in the order of the selection. Batches are
cut over the whole selection, not over what is still missing, so a build that was cut off and taken up again computes
every row in the same company, and so to the same bit, as one left alone.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from atlas.errors import UsageError
from atlas.facts import FactSet, Prompt
from atlas.facts.leftover import left_out, name
from atlas.running.work import Batch, packed

if TYPE_CHECKING:
    from atlas.models import ModelInfo

WORK, CUDA_WORK = 10**8, 10**9
"""Prompts of a batch times layers, width and neurons of the model, about; of a sixteenth of one on a GPU."""
LEAST_PROMPTS, MOST_PROMPTS = 8, 256
_MARKED = " (marks of {:,} are the atlas's, which stay)"


@dataclass(frozen=True)
class Shard:
    """One of `of` neighbouring stretches of a plan's batches, `number` counted from 1."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Return the shard that `k/n` names; raises UsageError unless 1 <= k <= n."""
        found = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text)
        if not found or int(found[1]) > int(found[2]):
            raise UsageError(f"--shard cannot be {text!r}; write 3/16 for the third of sixteen, from 1/16 to 16/16.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        """Return k/n."""
        return f"{self.number}/{self.of}"

    def take(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Return the shard's batches; neighbours stay together, so that a fact's rows do."""
        first, last = (len(batches) * number // self.of for number in (self.number - 1, self.number))
        return batches[first:last]


EVERYTHING = Shard()
"""All of a plan."""


@dataclass(frozen=True)
class Plan:
    """The prompts of a selection, but those of held-out templates, which are left for paraphrase tests.

    With `prompts`, ids, these alone.
    """

    facts: FactSet
    prompts: Collection[int] | None = None

    def batches(self, size: int = 1) -> Iterator[Batch]:
        """Yield every batch of the whole selection: as few whole groups as make `size` prompts or more."""
        return packed(self._groups(), size)

    @property
    def held_out(self) -> int:
        """How many prompts are left out, of the facts and languages that are asked."""
        others = self.facts.prompts(held_out=True)
        if self.prompts is None:
            return sum(1 for _ in others)
        asked = {p.pair for p in self.facts.prompts() if p.id in self.prompts}
        return sum(p.pair in asked for p in others)

    def _groups(self) -> Iterator[list[Prompt]]:
        """Yield the prompts of each fact in each language."""
        for _, prompts in groupby(self.facts.prompts(), key=lambda prompt: prompt.fact.id):
            yield from _by_language([p for p in prompts if self.prompts is None or p.id in self.prompts])


def missing(batches: Iterable[Batch], done: Collection[int]) -> Iterator[Batch]:
    """Yield `batches` without the prompts whose ids are in `done`; whole batches drop out."""
    for batch in batches:
        rest = [prompt for prompt in batch if prompt.id not in done]
        if rest:
            yield rest


def prompts_of(batches: Iterable[Batch]) -> int:
    """Return how many prompts `batches` hold."""
    return sum(map(len, batches))


def make_plan(facts: FactSet) -> Plan:
    """Return the plan for all prompts of `facts`; raises UsageError if there are none."""
    if not any(True for _ in facts.prompts()):
        raise UsageError(
            f"No prompt can be made of the {len(facts.facts):,} facts and {len(facts.templates):,} templates of "
            f"{name(facts)}: no template fits a fact's relation and languages and is not held out"
            f"{_MARKED.format(facts.marked) if facts.marked else ''}{left_out(facts)}; "
            f"{'mend what was left out, or ' if facts.skips else ''}select others."
        )
    return Plan(facts)


def batch_size(info: "ModelInfo", device: str) -> int:
    """Return how many prompts a model takes at a time: some seconds of work, fewer the larger the model.

    It hangs on the model's shape and the kind of `device` alone, so that the same build cuts the same batches.
    """
    work, times = (CUDA_WORK, 16) if device == "cuda" else (WORK, 1)
    size = work // (info.layers * info.hidden * info.neurons)
    return min(max(size, LEAST_PROMPTS), MOST_PROMPTS) * times


def _by_language(prompts: list[Prompt]) -> Iterator[list[Prompt]]:
    languages: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        languages.setdefault(prompt.language, []).append(prompt)
    yield from languages.values()
