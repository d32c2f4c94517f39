"""Marks: what a scorer found beside what was planted."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from atlas.ids import Neuron
from atlas.planted.truth import Truth

Target = Literal["KN", "LIKN", "DKN", "decoy", "suppressor"]


@dataclass(frozen=True, slots=True)
class Found:
    """The sets that a scorer's run leads to, facts by id; what has no key is empty."""

    knowledge: Mapping[tuple[int, str], Collection[Neuron]] = field(default_factory=dict)
    independent: Mapping[int, Collection[Neuron]] = field(default_factory=dict)
    degenerate: Mapping[tuple[int, str], Collection[frozenset[Neuron]]] = field(default_factory=dict)
    suppressing: Mapping[tuple[int, str], Collection[Neuron]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """How many were found rightly, found wrongly and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: "Mark") -> "Mark":
        return Mark(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def precision(self) -> float | None:
        """Share of what was found that is right; None if nothing was found."""
        return _share(self.right, self.wrong)

    @property
    def recall(self) -> float | None:
        """Share of what is there that was found; None if nothing is there."""
        return _share(self.right, self.missed)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None if nothing is there and nothing was found."""
        return _share(2 * self.right, self.wrong + self.missed)


def mark(truth: Truth, found: Found) -> Mapping[tuple[Target, str], Mark]:
    """Return a mark for each target and kind of circuit.

    Neurons and sets are counted for every fact and language in which the model knows the fact, LIKN for every fact. The
    marks of target `decoy` count each decoy once: rightly rejected, or wrongly taken for a knowledge neuron somewhere.
    Those of target `suppressor` count the suppressing neurons of facts that a suppressor is planted beside.
    """
    marks: dict[tuple[Target, str], Mark] = {}
    for target, kind, one in _marks(truth, found):
        marks[target, kind] = marks.get((target, kind), Mark()) + one
    return marks


def _marks(truth: Truth, found: Found) -> Iterator[tuple[Target, str, Mark]]:
    for key, neurons in truth.knowledge.items():
        yield "KN", truth.kinds[key[0]], compare(neurons, found.knowledge.get(key, ()))
        yield "DKN", truth.kinds[key[0]], compare(truth.degenerate[key], found.degenerate.get(key, ()))
    for fact, shared in truth.independent.items():
        yield "LIKN", truth.kinds[fact], compare(shared, found.independent.get(fact, ()))
    for key, against in truth.suppressing.items():
        yield "suppressor", truth.kinds[key[0]], compare(against, found.suppressing.get(key, ()))
    taken = Counter(neuron for key in truth.knowledge for neuron in found.knowledge.get(key, ()))
    for kind, decoys in truth.decoys.items():
        fallen = sum(neuron in taken for neuron in decoys)
        yield "decoy", kind, Mark(len(decoys) - fallen, fallen)


def compare(planted: Collection[object], found: Collection[object]) -> Mark:
    """Return the mark of one set."""
    there, seen = set(planted), set(found)
    return Mark(len(there & seen), len(seen - there), len(there - seen))


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None
