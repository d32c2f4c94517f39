"""The search for degenerate sets of one fact in one language, level by level (METHOD 3, Eq. 9-10)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from torch import Tensor

from atlas.engine.cuts import NeuronSet
from atlas.engine.replacing import Replacing
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.knockouts.knockout import knock_out
from atlas.knockouts.rows import Trial, to_table
from atlas.knockouts.sets import control_neurons, first_sets, next_sets, set_id, twin_set
from atlas.models import LanguageModel, Position

Key = tuple[int, int, bool]


@dataclass(slots=True)
class Known:
    """Probabilities measured before: `after` by prompt, set and control, `before` by prompt."""

    after: dict[Key, float] = field(default_factory=dict)
    before: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """How far the search goes.

    `top` candidates, sets of up to `max_order` neurons; a set of three or more is tried when none of its subsets costs
    more than `t_low`, a share of the probability or, if `absolute`, a probability. `control` measures random twins.
    """

    top: int = 20
    max_order: int = 2
    t_low: float = 0.2
    absolute: bool = False
    control: bool = True
    seed: int = 0
    budget: int | None = None


@dataclass
class Search:
    """Measures sets of the best candidates of each fact and language; `stored` says what is known of some prompts.

    Neurons are cut `at` the run's position and become `replace`, whose values `replacing` has; None for zero.
    `unusable` counts the prompts that gave no numbers, by status.
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

    def measure(self, prompts: Sequence[Prompt]) -> list[pa.Table]:
        """Return the new rows of each prompt, for the table `knockout`; all prompts are of one fact and language."""
        batch = _Batch(self, prompts)
        batch.search_all()
        self.unusable.update(batch.unusable.values())
        return batch.tables()


class _Batch:
    """The prompts of one fact in one language, and every probability known of them."""

    def __init__(self, search: Search, prompts: Sequence[Prompt]) -> None:
        fact, language = prompts[0].fact.id, prompts[0].language
        found, limits = search.candidates[fact, language], search.limits
        self.search, self.model, self.limits, self.prompts = search, search.model, limits, prompts
        self.top = list(found[: limits.top])
        self.twins: dict[Neuron, Neuron] = {}
        if limits.control:
            self.twins = control_neurons(self.top, found, self.model.info.neurons, limits.seed, fact, language)
        self.known = search.stored([prompt.id for prompt in prompts])
        self.unusable: dict[int, str] = {}
        self.values: dict[int, Tensor] = {}  # [step, layer, neuron], what cut neurons become
        if search.replacing is not None:
            reasons = {prompt.id: search.replacing.reason(prompt) for prompt in prompts}
            self.unusable = {prompt: reason for prompt, reason in reasons.items() if reason}
        self.new: list[list[tuple[Trial, float]]] = [[] for _ in prompts]

    def search_all(self) -> None:
        """Measure singles and pairs, then larger sets as long as there are any to try."""
        sets = [neurons for neurons in first_sets(self.top) if len(neurons) <= self.limits.max_order]
        self._measure(sets)
        low = set(self._low(sets))
        low = {pair for pair in low if len(pair) == 2 and all((neuron,) in low for neuron in pair)}
        for _ in range(2, self.limits.max_order):
            sets = next_sets(low)
            self._measure(sets)
            low = set(self._low(sets))

    def tables(self) -> list[pa.Table]:
        """Return each prompt's new rows."""
        run, replace, replacing = self.search.run, self.search.replace, self.search.replacing
        return [
            to_table(
                run, prompt.id, self.known.before.get(prompt.id, 0.0), new, replace,
                replacing.other(prompt) if new and replacing else None,
            )
            for prompt, new in zip(self.prompts, self.new, strict=True)
        ]  # fmt: skip

    def _measure(self, sets: Sequence[NeuronSet]) -> None:
        """Knock out `sets` and their controls in every prompt, those that are not known yet."""
        trials = [Trial(neurons) for neurons in sets]
        if self.limits.control:
            trials += [Trial(twin_set(neurons, self.twins), neurons) for neurons in sets]
        missing = [
            [trial for trial in trials if self._key(prompt, trial) not in self.known.after] for prompt in self.prompts
        ]
        asked = [i for i, group in enumerate(missing) if group and self.prompts[i].id not in self.unusable]
        results = knock_out(
            self.model,
            [self.prompts[i] for i in asked],
            [[trial.neurons for trial in missing[i]] for i in asked],
            self.limits.budget,
            self._become([self.prompts[i] for i in asked]),
            self.search.at,
        )
        for i, result in zip(asked, results, strict=True):
            if result.before is None or result.after is None:
                self.unusable[result.prompt] = result.status
                continue
            self.known.before[result.prompt] = result.before
            new = list(zip(missing[i], result.after.tolist(), strict=True))
            self.known.after |= {self._key(self.prompts[i], trial): after for trial, after in new}
            self.new[i] += new

    def _become(self, prompts: Sequence[Prompt]) -> list[Tensor] | None:
        """Return what neurons that are cut become in each prompt, None for zero; read once."""
        if self.search.replacing is None:
            return None
        new = [prompt for prompt in prompts if prompt.id not in self.values]
        found = self.search.replacing.values(new)
        self.values |= {prompt.id: values for prompt, values in zip(new, found, strict=True)}
        return [self.values[prompt.id] for prompt in prompts]

    def _key(self, prompt: Prompt, trial: Trial) -> Key:
        return prompt.id, set_id(trial.neurons), trial.control

    def _low(self, sets: Sequence[NeuronSet]) -> list[NeuronSet]:
        """Return the sets whose loss costs at most t_low."""
        return [neurons for neurons in sets if self._cost(neurons) <= self.limits.t_low]

    def _cost(self, neurons: NeuronSet) -> float:
        """Return what the set's loss costs over the usable prompts, as the view `dkn` counts it."""
        keys = {prompt.id: self._key(prompt, Trial(neurons)) for prompt in self.prompts}
        usable = [prompt for prompt, key in keys.items() if key in self.known.after]
        before = sum(self.known.before[prompt] for prompt in usable)
        after = sum(self.known.after[keys[prompt]] for prompt in usable)
        if not before:
            return float("inf")
        return (before - after) / (len(usable) if self.limits.absolute else before)
