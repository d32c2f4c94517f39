"""Writing the planted neurons into the weights.

What a neuron reads and writes is given by construction. Only two sizes are fitted against the random background, both
by running the model: slope and threshold, so that the neuron fires on its own prompts and on no others, and the length
of what it writes, so that the answer's log-odds are as stated.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from atlas.ids import Neuron
from atlas.models import Position
from atlas.planted.config import Circuit, PlantingError
from atlas.planted.readings import Cuts, Readings, log_odds
from atlas.planted.writing.members import Member
from atlas.planted.writing.skeleton import CONTENT, KNOWN, OBJECT_SCALE, UNKNOWN, write_path
from atlas.planted.writing.space import Space
from atlas.planted.writing.weights import Weights

FIRES = 4.0
"""Input of the non-linearity where a neuron fires; its negative where it does not."""
PATHS = {"additive": -2.0, "attention": KNOWN}
"""Log-odds of the answer by a path through attention alone, by circuit: an additive pair adds to them."""
ROUNDS = 4


class Fitter:
    """Writes all members of a planted model and fits them together, in some rounds."""

    def __init__(
        self, weights: Weights, space: Space, members: Sequence[Member], readings: Readings, circuits: Sequence[Circuit]
    ) -> None:
        self.weights, self.space, self.members, self.readings = weights, space, members, readings
        self.paths = {circuit.fact: PATHS[circuit.kind] for circuit in circuits if circuit.kind in PATHS}
        order = list(dict.fromkeys(prompt.fact.id for prompt in readings.prompts))
        self.facts = torch.tensor([order.index(prompt.fact.id) for prompt in readings.prompts])

    def fit(self) -> None:
        """Write and fit; raises PlantingError where a neuron cannot tell its own prompts from others."""
        for member in self.members:
            _start(self.weights, member)
        for _ in range(ROUNDS):
            self._fit_reading()
            self._fit_writing()

    def own(self, member: Member) -> Tensor:
        """Return which prompts `[prompt]` the member is to fire on."""
        spoken = torch.tensor([prompt.language in member.languages for prompt in self.readings.prompts])
        return spoken & torch.isin(self.facts, torch.tensor(member.facts))

    def cut(self, drop: Callable[[Member], bool]) -> Cuts:
        """Return the cuts of each prompt: the members of its fact that `drop` names."""
        cut: dict[int, set[Neuron]] = {fact: set() for fact in self.facts.tolist()}
        for member in filter(drop, self.members):
            for fact in member.facts:
                cut[fact].add(member.neuron)
        return [cut[fact] for fact in self.facts.tolist()]

    def _fit_reading(self) -> None:
        """Fit the neurons that fire by themselves, those at the subject first, then those that wait for one of them."""
        self._fit_thresholds("subject")
        self._fit_thresholds("query")
        awaited = {member.waits_for for member in self.members}
        seen = self._inputs(self.cut(lambda _: False))
        alone = self._inputs(self.cut(lambda m: m.neuron in awaited))
        for member in self.members:
            if member.reads is not None and member.waits_for:
                read = alone[:, member.neuron[0]] @ member.reads
                self._set_threshold(member, off=seen[:, member.neuron[0]] @ member.reads, on=read[self.own(member)])

    def _fit_thresholds(self, at: Position) -> None:
        """Fit neurons that work `at` a position: those at the subject are to be off at the query in every prompt."""
        members = [m for m in self.members if m.at == at and not m.waits_for]
        if not members:
            return
        nowhere = self.cut(lambda _: False)
        seen = self._inputs(nowhere, at)
        elsewhere = self._inputs(nowhere) if at == "subject" else seen[:0]
        for member in members:
            if member.reads is None:
                continue
            read, own = seen[:, member.neuron[0]] @ member.reads, self.own(member)
            off = torch.cat([read[~own], elsewhere[:, member.neuron[0]] @ member.reads])
            self._set_threshold(member, off=off, on=read[own])

    def _inputs(self, cuts: Cuts, at: Position = "query") -> Tensor:
        return self.readings.inputs([block.up_module for block in self.weights.blocks], cuts, at)

    def _set_threshold(self, member: Member, off: Tensor, on: Tensor) -> None:
        """Put -FIRES at the highest reading where the neuron is to be off, 0 at least, and FIRES at the lowest on."""
        low, high = max([0.0, *off.tolist()]), float(on.min())
        if high <= low:
            raise PlantingError(
                f"Neuron {member.neuron} ({member.circuit.group}) of fact {member.fact} cannot tell its own prompts "
                "from others; plant with a weaker background or a wider model."
            )
        block, index = self.weights.blocks[member.neuron[0]], member.neuron[1]
        slope = 2 * FIRES / (high - low)
        block.up[index] = slope * member.reads
        block.up_bias[index] = -FIRES - slope * low

    def _fit_writing(self) -> None:
        """Move each strength so that its neuron alone has the effect stated; suppressors are off meanwhile."""
        self._fit_paths(self._odds(_moves))
        without = self._odds(_moves)
        for turn in _turns(self.members):
            kept = {member.neuron for member in turn}
            alone = self._odds(lambda m, kept=kept: _moves(m) and m.neuron not in kept)  # type: ignore[misc]
            for member in turn:
                own = self.own(member)
                self._strengthen(member, without[own], alone[own])

    def _odds(self, drop: Callable[[Member], bool]) -> Tensor:
        return log_odds(self.readings.probabilities(self.cut(drop)))

    def _strengthen(self, member: Member, without: Tensor, alone: Tensor) -> None:
        """Make up what is missing: in the worst prompt for what must be enough alone, in the middle one for a part."""
        if member.absolute:
            missing = member.step - float((alone - without).mean())
        elif member.step == 1:
            missing = KNOWN - float(alone.min())
        else:
            without_it = _middle(without)
            missing = without_it + member.step * (KNOWN - without_it) - _middle(alone)
        member.strength += missing / (OBJECT_SCALE * FIRES)
        _write(self.weights, member)

    def _fit_paths(self, odds: Tensor) -> None:
        for fact, wanted in self.paths.items():
            missing = wanted - float(odds[self.facts == fact].mean())
            write_path(self.weights.blocks[0], self.space, fact, missing / (OBJECT_SCALE * CONTENT))


def _turns(members: Sequence[Member]) -> list[list[Member]]:
    """Return the acting members in turns that hold one of each fact, so that one run serves all of a turn."""
    turns: list[list[Member]] = []
    counts: Counter[int] = Counter()
    for member in filter(_fitted, members):
        turn = max(counts[fact] for fact in member.facts)
        if turn == len(turns):
            turns.append([])
        turns[turn].append(member)
        for fact in member.facts:
            counts[fact] = turn + 1
    return turns


def _middle(odds: Tensor) -> float:
    return float(odds.min() + odds.max()) / 2


def acts(member: Member) -> bool:
    """Return whether the neuron is part of what makes the model answer: no decoy and no suppressor."""
    return member.circuit.answers


def _fitted(member: Member) -> bool:
    """Return whether the neuron acts and its strength is fitted: one that relays has a strength that is given."""
    return acts(member) and not member.relays


def _moves(member: Member) -> bool:
    """Return whether the neuron is off while strengths are fitted: those that are fitted, and suppressors."""
    return _fitted(member) or member.circuit.suppresses


def _start(weights: Weights, member: Member) -> None:
    """Write a member with its nominal strength; what reads nothing is always on or always off."""
    block, index = weights.blocks[member.neuron[0]], member.neuron[1]
    block.up[index] = 0
    block.up_bias[index] = FIRES if member.circuit.kind == "constant" else -FIRES
    logits = member.step if member.absolute else member.step * (KNOWN - UNKNOWN)
    member.strength = CONTENT / FIRES if member.relays else logits / (OBJECT_SCALE * FIRES)
    _write(weights, member)


def _write(weights: Weights, member: Member) -> None:
    weights.blocks[member.neuron[0]].down[:, member.neuron[1]] = member.strength * member.writes
