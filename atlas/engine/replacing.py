"""What a cut neuron becomes (METHOD 4): its mean over prompts of other relations, or its value for another fact.

`Means` and `Swap` give values for prompts, `replacing` the one that a word asks for; zero needs none.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Protocol

import torch
from torch import Tensor

from atlas.engine.batches import Budget, StepBatch, by_shape, fitting, steps_of
from atlas.engine.tracing import neurons_at
from atlas.facts import Prompt
from atlas.ids import Neuron, stable_id
from atlas.models import LanguageModel, Position, Step

MEAN_PROMPTS = 64
"""Prompts of one relation and language that a mean is taken over, at most."""
Keep = Callable[[int, Tensor], Tensor]
"""What is kept of the neurons `[layer, neuron]` of the prompt at a place of a list."""


class Replacing(Protocol):
    """Where the values come from that cut neurons take in a prompt."""

    def reason(self, prompt: Prompt) -> str | None:
        """Return why there are no values for `prompt`, as a status, None if there are."""

    def other(self, prompt: Prompt) -> int | None:
        """Return the fact whose values the neurons take in `prompt`; None where they are of many."""
        return None

    def pool(self, prompt: Prompt) -> int | None:
        """Return the hash of the prompts that the values are a mean over; None where they are of one fact."""
        return None

    def values(self, prompts: Sequence[Prompt], keep: Keep = lambda _, neurons: neurons) -> list[Tensor]:
        """Return what `keep` keeps of the values for each prompt, `[step, ...]`; a prompt with a reason is an error."""


def replacing(
    model: LanguageModel,
    replace: str,
    prompts: Sequence[Prompt],
    seed: int,
    budget: Budget | int | None = None,
    at: Position = "query",
    partners: Mapping[int, int] | None = None,
) -> Replacing | None:
    """Return what `replace` asks for, made of `prompts`, usable ones, neurons `at` a position; None for zero."""
    if replace == "mean":
        return Means(model, prompts, seed, budget, at)
    return None if replace == "zero" else Swap(model, prompts, seed, budget, at, partners)


def gathered(
    values: Callable[[Sequence[Prompt], Keep], list[Tensor]], asked: Sequence[tuple[Prompt, Sequence[Neuron]]]
) -> list[Tensor]:
    """Return what `values` gives for some neurons in some prompts, `[step, neuron]` each; a prompt is run once."""
    prompts = {prompt.id: prompt for prompt, _ in asked}
    wanted: dict[int, dict[Neuron, int]] = {prompt: {} for prompt in prompts}
    for prompt, neurons in asked:
        for neuron in neurons:
            wanted[prompt.id].setdefault(neuron, len(wanted[prompt.id]))
    index = [torch.tensor(list(columns)).reshape(-1, 2).T for columns in wanted.values()]
    read = values(list(prompts.values()), lambda place, neurons: neurons[index[place][0], index[place][1]])
    found = dict(zip(prompts, read, strict=True))
    return [found[prompt.id][:, [wanted[prompt.id][n] for n in neurons]] for prompt, neurons in asked]


class Means(Replacing):
    """The mean of every neuron over the prompts of other relations in the language.

    A prompt counts once, by the mean over its steps; of a relation and language MEAN_PROMPTS are drawn, where there are
    more.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompts: Sequence[Prompt],
        seed: int,
        budget: Budget | int | None = None,
        at: Position = "query",
    ) -> None:
        self._model, self._budget, self._at = model, Budget.of(model, budget), at
        self._prompts: dict[str, list[Prompt]] = defaultdict(list)
        for prompt in sample(prompts, seed):
            self._prompts[prompt.language].append(prompt)
        self._sums: dict[str, dict[str, Tensor]] = {}
        self._pools: dict[tuple[str, str], int] = {}

    def reason(self, prompt: Prompt) -> str | None:
        """Return `no_other_relation` for a prompt in whose language there is none."""
        relations = {other.fact.relation for other in self._prompts[prompt.language]}
        return None if relations - {prompt.fact.relation} else "no_other_relation"

    def pool(self, prompt: Prompt) -> int:
        """Return the hash of the prompts of other relations, one for all prompts of a relation and language."""
        language, relation = prompt.language, prompt.fact.relation
        if (language, relation) not in self._pools:
            others = [other.id for other in self._prompts[language] if other.fact.relation != relation]
            self._pools[language, relation] = stable_id("pool", sorted(others))
        return self._pools[language, relation]

    def values(self, prompts: Sequence[Prompt], keep: Keep = lambda _, neurons: neurons) -> list[Tensor]:
        """Return the means for each prompt, one step for all: `[1, ...]`."""
        return [keep(i, self.of(prompt.language, prompt.fact.relation))[None] for i, prompt in enumerate(prompts)]

    def of(self, language: str, relation: str) -> Tensor:
        """Return the mean over the prompts in `language` of all relations but `relation`, `[layer, neuron]`."""
        if language not in self._sums:
            self._sums[language] = self._summed(self._prompts[language])
        others = [total for name, total in self._sums[language].items() if name != relation]
        count = sum(prompt.fact.relation != relation for prompt in self._prompts[language])
        return torch.stack(others).sum(0) / count

    def _summed(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """Return the sum of the prompts' neurons by relation, `[layer, neuron]`, in float64."""
        sums: dict[str, Tensor] = {}
        steps, _ = steps_of(self._model, prompts, self._at)
        for place, neurons in _read(self._model, steps, self._budget):
            own = neurons.double() / len(steps[place])
            relation = prompts[place].fact.relation
            sums[relation] = sums[relation] + own if relation in sums else own
        return sums


class Swap(Replacing):
    """A neuron's value in the same template filled with another fact of the relation that has another object.

    Its subject has another name: the same prompt would take nothing away.

    A fact's partner is the first one in an order that is drawn for it, among those that the template is usable with;
    `partners` says by prompt which fact was taken before, and stays.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompts: Sequence[Prompt],
        seed: int,
        budget: Budget | int | None = None,
        at: Position = "query",
        partners: Mapping[int, int] | None = None,
    ) -> None:
        self._model, self._budget, self._seed, self._at = model, Budget.of(model, budget), seed, at
        self._before = partners or {}
        self._prompts: dict[int, list[Prompt]] = defaultdict(list)
        for prompt in prompts:
            self._prompts[prompt.template.id].append(prompt)

    def reason(self, prompt: Prompt) -> str | None:
        """Return `no_partner` for a prompt in whose template no other fact with another object can stand."""
        return None if self.partner(prompt) else "no_partner"

    def partner(self, prompt: Prompt) -> Prompt | None:
        """Return the prompt whose values `prompt`'s neurons take, None if there is none."""
        others = [
            other
            for other in self._prompts[prompt.template.id]
            if other.fact.object != prompt.fact.object
            and other.answer != prompt.answer
            and other.label.subject != prompt.label.subject
        ]
        before, own = self._before.get(prompt.id), ("swap", self._seed, prompt.fact.id)
        return min(others, key=lambda other: (other.fact.id != before, stable_id(*own, other.fact.id)), default=None)

    def other(self, prompt: Prompt) -> int | None:
        """Return the partner's fact."""
        partner = self.partner(prompt)
        return None if partner is None else partner.fact.id

    def values(self, prompts: Sequence[Prompt], keep: Keep = lambda _, neurons: neurons) -> list[Tensor]:
        """Return the partners' values, step by step of the partner's answer: `[step, ...]`."""
        partners = [partner for partner in map(self.partner, prompts) if partner is not None]
        assert len(partners) == len(prompts)
        return values_of(self._model, partners, keep, self._budget, self._at)


def sample(prompts: Sequence[Prompt], seed: int) -> list[Prompt]:
    """Return at most MEAN_PROMPTS prompts of each relation and language, the first in a seeded order."""
    groups: dict[tuple[str, str], list[Prompt]] = defaultdict(list)
    for prompt in sorted(prompts, key=lambda prompt: stable_id("mean", seed, prompt.id)):
        groups[prompt.language, prompt.fact.relation].append(prompt)
    return [prompt for group in groups.values() for prompt in group[:MEAN_PROMPTS]]


def values_of(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    keep: Keep = lambda _, neurons: neurons,
    budget: Budget | int | None = None,
    at: Position = "query",
) -> list[Tensor]:
    """Return what `keep` keeps of the neurons `at` a position of each prompt, `[step, ...]`."""
    found: list[list[Tensor]] = [[] for _ in prompts]
    for place, neurons in neurons_of(model, prompts, budget, at):
        found[place].append(keep(place, neurons))
    return [torch.stack(steps) for steps in found]


def neurons_of(
    model: LanguageModel, prompts: Sequence[Prompt], budget: Budget | int | None = None, at: Position = "query"
) -> Iterator[tuple[int, Tensor]]:
    """Yield the place of a prompt and its neurons `at` a position `[layer, neuron]`: each prompt's steps in order."""
    yield from _read(model, steps_of(model, prompts, at)[0], Budget.of(model, budget))


def _read(model: LanguageModel, steps: Sequence[Sequence[Step]], budget: Budget) -> Iterator[tuple[int, Tensor]]:
    flat = [(place, step) for place, group in enumerate(steps) for step in group]
    for group in by_shape(flat, itemgetter(1)):
        for (place, _), neurons in budget.through(group, partial(_first, model)):
            yield place, neurons


def _first(model: LanguageModel, rest: Sequence[tuple[int, Step]], budget: int) -> Sequence[Tensor]:
    """Return the neurons of the first of `rest`, steps of one shape: as many as can run together."""
    steps = [step for _, step in rest]
    batch = StepBatch.of(model, steps[: fitting(model, steps, budget)])
    return neurons_at(model, batch.ids, batch.query, batch.at)[0].unbind()
