"""Checks by ablation: a circuit that does not do what it is for is an error, never a row."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import torch
from torch import Tensor

from atlas.ids import Neuron
from atlas.models import Position
from atlas.planted.config import PlantingError
from atlas.planted.readings import log_odds
from atlas.planted.writing.fitting import FIRES, Fitter, acts
from atlas.planted.writing.members import Member
from atlas.planted.writing.skeleton import KNOWN, UNKNOWN

T_LOW = 0.2
T_HIGH = 0.25
"""Relative drops of METHOD 3: what cutting part of a degenerate set may cost, and what cutting all of it exceeds."""
KNOWN_FROM = 0.5
FIRING = 1.0
SILENT = 0.1
NOTHING = 1e-3
DECOY_COST = 0.02

Set = frozenset[Neuron]


class Ablation:
    """What cutting each subset of each fact's members costs, all facts at once."""

    def __init__(self, fitter: Fitter) -> None:
        self.fitter = fitter
        self.neurons: dict[Position, Tensor] = {at: fitter.readings.neurons(at=at) for at in ("query", "subject")}
        self.intact = fitter.readings.probabilities()
        self.after: dict[Set, Tensor] = {}
        facts = fitter.facts.tolist()
        own: list[list[Neuron]] = [[] for _ in range(max(facts) + 1)]
        for member in fitter.members:
            for fact in member.facts:
                own[fact].append(member.neuron)
        subsets = [list(_subsets(neurons)) for neurons in own]
        for turn in range(max(map(len, subsets))):
            chosen = [sets[turn] if turn < len(sets) else frozenset() for sets in subsets]
            after = fitter.readings.probabilities([chosen[fact] for fact in facts])
            self.after |= dict.fromkeys([c for c in chosen if c], after)

    def drop(self, cut: Set, prompts: Tensor) -> Tensor:
        """Return the relative drop of the answer's probability on the chosen prompts when `cut` is cut."""
        return ((self.intact - self.after[cut]) / self.intact)[prompts]

    def activation(self, neuron: Neuron, at: Position = "query") -> Tensor:
        """Return the neuron `at` a position, `[prompt]`."""
        return self.neurons[at][:, neuron[0], neuron[1]]


def check_all(fitter: Fitter) -> None:
    """Raise PlantingError for the first circuit whose ablation does not show what the circuit is for."""
    ablation = Ablation(fitter)
    for fact in fitter.paths:
        known = ablation.intact[fitter.facts == fact].min()
        if fitter.paths[fact] == KNOWN and known < KNOWN_FROM:
            raise PlantingError(f"The path of fact {fact} gives its answer only {known:.2f}; plant in a wider model.")
    for members in _circuits(fitter):
        for problem in _problems(ablation, members):
            circuit = members[0].circuit
            raise PlantingError(
                f"Circuit {circuit.group} of fact {circuit.fact} fails its ablation: {problem}; plant with a weaker "
                "background or a wider model."
            )


def _circuits(fitter: Fitter) -> Iterable[list[Member]]:
    """Return the members of each circuit."""
    circuits: dict[object, list[Member]] = {}
    for member in fitter.members:
        circuits.setdefault(member.circuit, []).append(member)
    return circuits.values()


def _problems(ablation: Ablation, members: Sequence[Member]) -> Iterator[str]:
    """Yield what is wrong with one circuit."""
    kind = members[0].circuit.kind
    if members[0].circuit.is_decoy:
        for member in members:
            yield from _DECOYS[kind](ablation, member)
        return
    for member in members:
        yield from _fires(ablation, member)
    if members[0].circuit.suppresses:
        yield from _suppresses(ablation, members[0])
    elif kind in ("degenerate", "backup"):
        yield from _degenerate(ablation, members)
    elif kind == "several":
        yield from _several(ablation, members)
    elif kind == "additive":
        yield from _additive(ablation, members)
    else:
        for member in members:
            yield from _needed(ablation, member)


def _fires(ablation: Ablation, member: Member) -> Iterator[str]:
    """A neuron fires on its own prompts and on no others; a backup on none while the other is there."""
    own, values = ablation.fitter.own(member), ablation.activation(member.neuron, member.at)
    if member.waits_for is None and values[own].min() < FIRING:
        yield f"{member.neuron} reaches only {values[own].min():.2f} on its own prompts"
    silent = values if member.waits_for else values[~own]
    if member.at == "subject":
        silent = torch.cat([silent, ablation.activation(member.neuron)])
    if len(silent) and silent.abs().max() > SILENT:
        yield f"{member.neuron} reaches {silent.abs().max():.2f} where it should be off"


def _needed(ablation: Ablation, member: Member) -> Iterator[str]:
    own = ablation.fitter.own(member)
    if ablation.intact[own].min() < KNOWN_FROM:
        yield f"the model gives the answer only {ablation.intact[own].min():.2f}"
    yield from _costs(ablation, [member], own, more=True)


def _degenerate(ablation: Ablation, members: Sequence[Member]) -> Iterator[str]:
    """Every proper subset costs little, the whole much, and more than its members together (METHOD 3)."""
    equal, beside = members[: len(members[0].circuit.layers)], members[len(members[0].circuit.layers) :]
    own = ablation.fitter.own(equal[0])
    for size in range(1, len(equal)):
        for part in combinations(equal, size):
            yield from _costs(ablation, part, own, more=False)
    yield from _costs(ablation, equal, own, more=True)
    if _interaction(ablation, equal, own).min() <= 0:
        yield "its neurons only add up"
    for member in beside:
        yield from _needed(ablation, member)


def _several(ablation: Ablation, members: Sequence[Member]) -> Iterator[str]:
    """In every language its neuron and that of all languages are a degenerate pair."""
    common, *others = members
    for member in others:
        own, pair = ablation.fitter.own(member), (common, member)
        for one in pair:
            yield from _costs(ablation, [one], own, more=False)
        yield from _costs(ablation, pair, own, more=True)
        if _interaction(ablation, pair, own).min() <= 0:
            yield "its neurons only add up"


def _additive(ablation: Ablation, members: Sequence[Member]) -> Iterator[str]:
    own = ablation.fitter.own(members[0])
    for member in members:
        yield from _costs(ablation, [member], own, more=False)
    yield from _costs(ablation, members, own, more=True)
    if _interaction(ablation, members, own).max() > 0:
        yield "its neurons do more than add up"


def _suppresses(ablation: Ablation, member: Member) -> Iterator[str]:
    own = ablation.fitter.own(member)
    drop = ablation.drop(frozenset({member.neuron}), own)
    if drop.max() > -T_LOW:
        yield f"cutting {member.neuron} raises the answer's probability by only {-drop.max():.1%}"


def _silent(ablation: Ablation, member: Member) -> Iterator[str]:
    yield from _fires(ablation, member)
    yield from _does_nothing(ablation, member)


def _unfired(ablation: Ablation, member: Member) -> Iterator[str]:
    """Off on every prompt, without effect; forced on, it goes half the way of the fact's own circuit at least."""
    if ablation.activation(member.neuron).abs().max() > SILENT:
        yield f"{member.neuron} fires"
    yield from _does_nothing(ablation, member)
    fitter = ablation.fitter
    bias = fitter.weights.blocks[member.neuron[0]].up_bias
    bias[member.neuron[1]] += 2 * FIRES
    forced = log_odds(fitter.readings.probabilities(fitter.cut(acts)))
    bias[member.neuron[1]] -= 2 * FIRES
    gain = forced - log_odds(fitter.readings.probabilities(fitter.cut(acts)))
    if gain[fitter.own(member)].min() < (KNOWN - UNKNOWN) / 2:
        yield f"{member.neuron} writes too little when forced on"


def _constant(ablation: Ablation, member: Member) -> Iterator[str]:
    """On in every prompt, and of use to answers in general."""
    if ablation.activation(member.neuron).min() < FIRING:
        yield f"{member.neuron} does not fire on every prompt"
    after = ablation.fitter.readings.probabilities([{member.neuron}] * len(ablation.intact))
    if float((ablation.intact - after).mean()) < DECOY_COST:
        yield f"{member.neuron} pushes no objects"


_DECOYS = {"silent": _silent, "unfired": _unfired, "constant": _constant}


def _does_nothing(ablation: Ablation, member: Member) -> Iterator[str]:
    change = ablation.drop(frozenset({member.neuron}), ablation.fitter.own(member)).abs().max()
    if change > NOTHING:
        yield f"cutting {member.neuron} changes the probability by {change:.1%}"


def _costs(ablation: Ablation, members: Sequence[Member], own: Tensor, *, more: bool) -> Iterator[str]:
    """Cutting `members` must cost more than T_HIGH, or at most T_LOW, on each of their own prompts."""
    cut = frozenset(m.neuron for m in members)
    drop = ablation.drop(cut, own)
    names = ", ".join(map(str, sorted(cut)))
    if more and drop.min() <= T_HIGH:
        yield f"cutting {names} costs only {drop.min():.1%}"
    if not more and drop.max() > T_LOW:
        yield f"cutting {names} costs {drop.max():.1%}"


def _interaction(ablation: Ablation, members: Sequence[Member], own: Tensor) -> Tensor:
    """Return drop(set) - sum of single drops on the chosen prompts (METHOD 3)."""
    singles = torch.stack([ablation.drop(frozenset({m.neuron}), own) for m in members]).sum(0)
    return ablation.drop(frozenset(m.neuron for m in members), own) - singles


def _subsets(neurons: Sequence[Neuron]) -> Iterator[Set]:
    for size in range(1, len(neurons) + 1):
        yield from map(frozenset, combinations(neurons, size))
