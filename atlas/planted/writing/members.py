"""From circuits to single neurons: where each sits, what it reads, what it writes and how much."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from atlas.errors import UsageError
from atlas.ids import Neuron
from atlas.models import Position
from atlas.planted.config import DECOY_KINDS, FACT_KINDS, RECALL_KINDS, SUPPRESSOR_KINDS, Circuit, PlantConfig
from atlas.planted.writing.skeleton import CONSTANT_LOGITS, OBJECT_SCALE
from atlas.planted.writing.space import Space

ADDED = 0.22
"""Log-odds that each neuron of an additive pair adds."""

SUPPRESSED = 1.7
"""Log-odds that a suppressor takes from the answer."""


@dataclass
class Member:
    """One planted neuron.

    `reads` and `writes` are directions `[hidden]`; a neuron that reads None is always on (`constant`) or always off
    (`unfired`). `step` is how far it alone moves the answer's log-odds, as a share of the way from unknown to known,
    or, where `absolute`, in log-odds. `strength` is the length of what it writes per unit of activation. `at` is where
    it works; one that `relays` writes what others read, in a length that is given. `shares` are the facts that it is of
    where these are not the circuit's first.
    """

    neuron: Neuron
    circuit: Circuit
    languages: tuple[str, ...]
    reads: Tensor | None
    writes: Tensor
    step: float = 1.0
    absolute: bool = False
    waits_for: Neuron | None = None
    strength: float = 0.0
    at: Position = "query"
    relays: bool = False
    shares: tuple[int, ...] = ()

    @property
    def fact(self) -> int:
        """Number of the fact, the first of those that it shares in."""
        return self.facts[0]

    @property
    def facts(self) -> tuple[int, ...]:
        """Numbers of the facts that it is of."""
        return self.shares or (self.circuit.fact,)


def place_all(circuits: Sequence[Circuit], config: PlantConfig, generator: Generator) -> list[Circuit]:
    """Return the circuits with a layer for every neuron, the missing ones drawn; raises UsageError for bad ones."""
    placed = [_placed(circuit, config, generator) for circuit in circuits]
    for circuit in placed:
        _check(circuit, config)
    if not placed:
        raise UsageError("There is no circuit to plant; give at least one.")
    facts = sorted(fact for circuit in placed if circuit.answers for fact in circuit.facts)
    if facts != list(range(len(facts))) or any(circuit.fact not in facts for circuit in placed):
        raise UsageError(
            "Every fact from 0 up needs exactly one circuit that makes the model answer; renumber the facts."
        )
    return placed


def expand(circuits: Sequence[Circuit], config: PlantConfig, space: Space, generator: Generator) -> list[Member]:
    """Return the neurons of the placed `circuits`, each at a free index drawn from `generator`."""
    orders = [iter(torch.randperm(config.neurons, generator=generator).tolist()) for _ in range(config.layers)]
    members: list[Member] = []
    for circuit in circuits:
        layers = [*circuit.layers, *([] if circuit.indispensable is None else [circuit.indispensable])]
        try:
            neurons = [(layer, next(orders[layer])) for layer in layers]
        except StopIteration:
            raise UsageError(f"More circuits in a layer than its {config.neurons} neurons; raise `neurons`.") from None
        members += _members(circuit, neurons, config, space)
    return members


def _placed(circuit: Circuit, config: PlantConfig, generator: Generator) -> Circuit:
    if circuit.layers:
        return circuit
    count = circuit.members(config.languages)
    if circuit.kind in RECALL_KINDS:
        late = config.layers - config.carrying
        reading = [config.carrying + _draw(late, generator) for _ in range(count - 1)]
        return replace(circuit, layers=(_draw(max(1, config.carrying), generator), *reading))
    if circuit.kind in ("degenerate", "additive"):
        return replace(circuit, layers=(_draw(config.layers, generator),) * count)
    if circuit.kind == "backup":
        layers = torch.randperm(config.layers, generator=generator)[:2].sort().values
        return replace(circuit, layers=tuple(layers.tolist()))
    return replace(circuit, layers=tuple(_draw(config.layers, generator) for _ in range(count)))


def _draw(stop: int, generator: Generator) -> int:
    return int(torch.randint(stop, (), generator=generator))


def _check(circuit: Circuit, config: PlantConfig) -> None:
    """Raise UsageError for a circuit that makes no sense in this model."""
    name = f"Circuit {circuit.kind} of fact {circuit.fact}"
    kinds = FACT_KINDS + DECOY_KINDS + SUPPRESSOR_KINDS
    if circuit.kind not in kinds:
        raise UsageError(f"{name} is of no known kind; choose one of {', '.join(kinds)}.")
    extra = () if circuit.indispensable is None else (circuit.indispensable,)
    if any(not 0 <= layer < config.layers for layer in circuit.layers + extra):
        raise UsageError(f"{name} has layers {circuit.layers + extra}, the model has 0 to {config.layers - 1}.")
    count = circuit.members(config.languages)
    if len(circuit.layers) != count:
        raise UsageError(f"{name} needs {count} layers, one a neuron, not {circuit.layers}.")
    if set(circuit.languages) - set(config.languages):
        raise UsageError(f"{name} names languages that the model lacks: {circuit.languages}; use {config.languages}.")
    if circuit.kind == "bound" and len(circuit.languages) != 1:
        raise UsageError(f"{name} is bound to one language, not to {circuit.languages}; name one.")
    if circuit.kind in RECALL_KINDS:
        early, *late = circuit.layers
        if early >= config.carrying or min(late, default=config.carrying) < config.carrying:
            raise UsageError(
                f"{name} has layers {circuit.layers}; what recalls must lie before block {config.carrying}, which "
                f"carries it to the query, and what reads it there from that block on."
            )
    if circuit.kind == "degenerate" and circuit.size not in (2, 3):
        raise UsageError(f"{name} has size {circuit.size}; sets of 2 and 3 can be planted.")
    if circuit.kind == "backup" and circuit.layers[0] >= circuit.layers[1]:
        raise UsageError(f"{name} needs its backup in a later layer, not in {circuit.layers}; give two rising layers.")


def _members(circuit: Circuit, neurons: Sequence[Neuron], config: PlantConfig, space: Space) -> Iterator[Member]:
    """Yield the neurons of one circuit."""
    subject, own = space.subjects[circuit.fact], space.objects[circuit.fact]
    languages = circuit.languages or config.languages
    common = Member((0, 0), circuit, languages, subject, own)
    if circuit.kind == "attention":
        return
    if circuit.kind in ("knowledge", "bound"):
        yield from _spoken(common, neurons, subject, config, space)
    elif circuit.kind in RECALL_KINDS:
        yield from _recalling(common, neurons, config, space)
    elif circuit.kind == "several":
        yield replace(common, neuron=neurons[0])
        yield from _spoken(common, neurons[1:], subject, config, space)
    elif circuit.kind == "polysemous":
        yield from _polysemous(common, neurons, space)
    elif circuit.kind == "degenerate":
        yield from _degenerate(common, neurons, circuit)
    elif circuit.kind == "backup":
        yield replace(common, neuron=neurons[0])
        yield replace(common, neuron=neurons[1], reads=subject - 2 * own, waits_for=neurons[0])
    elif circuit.kind == "additive":
        yield from (replace(common, neuron=neuron, step=ADDED, absolute=True) for neuron in neurons)
    elif circuit.kind == "suppressor":
        yield replace(common, neuron=neurons[0], step=-SUPPRESSED, absolute=True)
    elif circuit.kind == "silent":
        yield replace(common, neuron=neurons[0], writes=torch.zeros_like(own))
    elif circuit.kind == "unfired":
        yield replace(common, neuron=neurons[0], reads=None)
    elif circuit.kind == "constant":
        every = space.objects.sum(0) * CONSTANT_LOGITS / OBJECT_SCALE
        yield replace(common, neuron=neurons[0], reads=None, writes=every)
    else:
        yield replace(common, neuron=neurons[0])


def _recalling(common: Member, neurons: Sequence[Neuron], config: PlantConfig, space: Space) -> Iterator[Member]:
    """Yield what fires on the subject at its own token and writes what it recalls there, and what reads that later."""
    recalled, subject = space.recalled[common.fact], space.subjects[common.fact] + space.is_subject
    readers = neurons[1:]
    yield replace(common, neuron=neurons[0], reads=subject, writes=recalled, at="subject", relays=bool(readers))
    yield from _spoken(common, readers, recalled, config, space)


def _spoken(
    common: Member, neurons: Sequence[Neuron], reads: Tensor, config: PlantConfig, space: Space
) -> Iterator[Member]:
    """Yield a neuron for each language, if there are any, that reads a direction and the language."""
    for neuron, code in zip(neurons, common.languages, strict=False):
        spoken = space.spoken[config.languages.index(code)]
        yield replace(common, neuron=neuron, languages=(code,), reads=reads + spoken)


def _polysemous(common: Member, neurons: Sequence[Neuron], space: Space) -> Iterator[Member]:
    """Yield the neuron of both facts, then one of each; each goes half the way."""
    both = list(common.circuit.facts)
    subjects, objects = space.subjects[both].sum(0), space.objects[both].sum(0)
    half = replace(common, step=0.5)
    yield replace(half, neuron=neurons[0], reads=subjects, writes=objects, shares=common.circuit.facts)
    for fact, neuron in zip(both, neurons[1:], strict=True):
        reads, writes = space.subjects[fact], space.objects[fact]
        yield replace(half, neuron=neuron, reads=reads, writes=writes, shares=(fact,))


def _degenerate(common: Member, neurons: Sequence[Neuron], circuit: Circuit) -> Iterator[Member]:
    """Yield the equal members and, beside them, the needed one.

    Of n members beside a needed neuron, which alone goes n / (n + 1) of the way, each goes 1 / (n + 1): neither the
    needed one alone nor all the others alone get there.
    """
    if circuit.indispensable is None:
        yield from (replace(common, neuron=neuron) for neuron in neurons)
        return
    *equal, needed = neurons
    yield from (replace(common, neuron=neuron, step=1 / (len(equal) + 1)) for neuron in equal)
    yield replace(common, neuron=needed, step=len(equal) / (len(equal) + 1))
