"""The search for degenerate sets of one fact in one language, level by level (METHOD 3, Eq. 9-10)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import pyarrow as pa
from torch import Tensor

from atlas.engine.cuts import NeuronSet
from atlas.engine.replacing import Replacing
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.knockouts.knockout import Knockouts, knock_out
from atlas.knockouts.rows import Trial, to_table
from atlas.knockouts.sets import control_neurons, first_sets, next_sets, set_id, twin_set
from atlas.models import LanguageModel, Position

Key = tuple[int, int, bool]
TOGETHER = 16
"""Prompts that are measured together: enough that the weights are not read for a few sets at a time."""


@dataclass(slots=True)
class Known:
    """Probabilities measured before: `after` by prompt, set and control, `before` by prompt."""

    after: dict[Key, float] = field(default_factory=dict)
    before: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """How far the search goes.

    `top` candidates, sets of up to `max_order` neurons; a set is tried when none of its subsets costs more than
    `t_low`, a share of the probability or, if `absolute`, a probability; of pairs, if `all_pairs`, every one. `control`
    measures random twins, by their own costs.
    """

    top: int = 20
    max_order: int = 2
    t_low: float = 0.2
    absolute: bool = False
    control: bool = True
    seed: int = 0
    budget: int | None = None
    all_pairs: bool = False


@dataclass
class Search:
    """Measures sets of the best candidates of each fact and language; `stored` says what is known of some prompts.

    Neurons are cut `at` the run's position and become `replace`, whose values `replacing` has; None for zero.
    `unusable` counts the prompts that gave no numbers, by status, `left_out` pairs that can be no degenerate ones, as
    one of their neurons alone costs more than `t_low`.
    """

    model: LanguageModel
    run: int
    candidates: Mapping[tuple[int, str], Sequence[Neuron]]
    limits: SearchLimits
    stored: Callable[[Sequence[int]], Known]
    unusable: Counter[str] = field(default_factory=Counter)
    at: Position = "query"
    replace: str = "zero"
    replacing: Replacing | None = None
    left_out: int = 0
    _values: dict[int, Tensor] = field(default_factory=dict)  # [step, layer, neuron], of the prompts at hand

    def measure(self, prompts: Sequence[Prompt]) -> list[pa.Table]:
        """Return the new rows of each prompt, for the table `knockout`; those of one fact and language stand together.

        All facts and languages climb from level to level together, as few sets at a time are dear.
        """
        facts = [_Batch(self, list(group)) for _, group in groupby(prompts, key=lambda prompt: prompt.pair)]
        climbs = [(one, one.levels()) for one in facts]
        while asked := [(one, trials) for one, levels in climbs if (trials := next(levels, None)) is not None]:
            self._try(asked)
        self._values.clear()
        for one in facts:
            self.unusable.update(one.unusable.values())
            self.left_out += one.left_out
        return [table for one in facts for table in one.tables()]

    def _try(self, asked: Sequence[tuple["_Batch", Sequence[Trial]]]) -> None:
        """Knock out what is not known yet, in every prompt."""
        every = [(one, prompt, one.unknown(prompt, trials)) for one, trials in asked for prompt in one.prompts]
        rows = [row for row in every if row[2]]
        prompts = [prompt for _, prompt, _ in rows]
        sets = [[trial.neurons for trial in trials] for *_, trials in rows]
        results = knock_out(self.model, prompts, sets, self.limits.budget, self._become(prompts), self.at)
        for (one, prompt, trials), result in zip(rows, results, strict=True):
            one.learn(prompt, trials, result)

    def _become(self, prompts: Sequence[Prompt]) -> list[Tensor] | None:
        """Return what neurons that are cut become in each prompt, None for zero; read once."""
        if self.replacing is None:
            return None
        new = [prompt for prompt in prompts if prompt.id not in self._values]
        found = self.replacing.values(new)
        self._values |= {prompt.id: values for prompt, values in zip(new, found, strict=True)}
        return [self._values[prompt.id] for prompt in prompts]


class _Batch:
    """The prompts of one fact in one language, and every probability known of them."""

    def __init__(self, search: Search, prompts: Sequence[Prompt]) -> None:
        found, limits = search.candidates[prompts[0].pair], search.limits
        self.search, self.limits, self.prompts = search, search.limits, prompts
        self.top = list(found[: limits.top])
        self.twins: dict[Neuron, Neuron] = {}
        if limits.control:
            self.twins = control_neurons(self.top, found, search.model.info.neurons, limits.seed, *prompts[0].pair)
        self.known = search.stored([prompt.id for prompt in prompts])
        self.left_out = 0
        self.unusable: dict[int, str] = {}
        if search.replacing is not None:
            reasons = {prompt.id: search.replacing.reason(prompt) for prompt in prompts}
            self.unusable = {prompt: reason for prompt, reason in reasons.items() if reason}
        self.new: dict[int, list[tuple[Trial, float]]] = {prompt.id: [] for prompt in prompts}

    def levels(self) -> Iterator[list[Trial]]:
        """Yield what is to be tried next, by what was learnt: singles, pairs, larger sets as long as there are any."""
        yield self._trials(first_sets(self.top, (1,)))
        low: set[NeuronSet] = set()
        for size in range(2, self.limits.max_order + 1):
            sets = first_sets(self.top, (2,)) if size == 2 else next_sets(low)
            yield self._open(self._trials(sets)) if size == 2 else self._trials(sets)
            low = {neurons for neurons in sets if self._low(Trial(neurons)) and self._parts_low(Trial(neurons))}

    def unknown(self, prompt: Prompt, trials: Sequence[Trial]) -> list[Trial]:
        """Return those of `trials` that were not tried in a prompt, none if it cannot be used."""
        if prompt.id in self.unusable:
            return []
        return [trial for trial in trials if self._key(prompt, trial) not in self.known.after]

    def learn(self, prompt: Prompt, trials: Sequence[Trial], result: Knockouts) -> None:
        """Take what `trials` gave in a prompt."""
        if result.before is None or result.after is None:
            self.unusable[prompt.id] = result.status
            return
        self.known.before[prompt.id] = result.before
        new = list(zip(trials, result.after.tolist(), strict=True))
        self.known.after |= {self._key(prompt, trial): after for trial, after in new}
        self.new[prompt.id] += new

    def tables(self) -> list[pa.Table]:
        """Return each prompt's new rows."""
        run, replace, replacing = self.search.run, self.search.replace, self.search.replacing
        return [
            to_table(
                run, prompt.id, self.known.before.get(prompt.id, 0.0), new, replace,
                replacing.other(prompt) if new and replacing else None,
                replacing.pool(prompt) if new and replacing else None,
            )
            for prompt in self.prompts
            for new in (self.new[prompt.id],)
        ]  # fmt: skip

    def _trials(self, sets: Sequence[NeuronSet]) -> list[Trial]:
        """Return `sets` and, if they are wanted, their controls."""
        trials = [Trial(neurons) for neurons in sets]
        if self.limits.control:
            trials += [Trial(twin_set(neurons, self.twins), neurons) for neurons in sets]
        return trials

    def _open(self, pairs: Sequence[Trial]) -> list[Trial]:
        """Return the pairs that can be degenerate, and count the others; all if all are asked for."""
        if self.limits.all_pairs:
            return list(pairs)
        low = [self._parts_low(pair) for pair in pairs]
        left = [pair for pair, tried in zip(pairs, low, strict=True) if not (tried or pair.control)]
        self.left_out += sum(any(self.unknown(prompt, [pair]) for prompt in self.prompts) for pair in left)
        return [pair for pair, tried in zip(pairs, low, strict=True) if tried]

    def _key(self, prompt: Prompt, trial: Trial) -> Key:
        return prompt.id, set_id(trial.neurons), trial.control

    def _parts_low(self, trial: Trial) -> bool:
        """Return whether no neuron of a set, or of a control, alone costs more than t_low."""
        return all(self._low(replace(trial, neurons=(neuron,))) for neuron in trial.neurons)

    def _low(self, trial: Trial) -> bool:
        """Return whether the loss of a set costs at most t_low."""
        return self._cost(trial) <= self.limits.t_low

    def _cost(self, trial: Trial) -> float:
        """Return what the set's loss costs over the usable prompts, as the view `dkn` counts it."""
        keys = {prompt.id: self._key(prompt, trial) for prompt in self.prompts}
        usable = [prompt for prompt, key in keys.items() if key in self.known.after]
        before = sum(self.known.before[prompt] for prompt in usable)
        after = sum(self.known.after[keys[prompt]] for prompt in usable)
        if not before:
            return float("inf")
        return (before - after) / (len(usable) if self.limits.absolute else before)
