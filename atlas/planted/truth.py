"""What was planted: the sets that a correct locator finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from atlas.facts import FactSet
from atlas.ids import Neuron
from atlas.models import Position
from atlas.planted.config import Circuit
from atlas.planted.writing.members import Member

Neurons = frozenset[Neuron]


@dataclass(frozen=True, slots=True)
class Truth:
    """The neuron sets of METHOD 3, by construction; facts are their ids.

    `knowledge` and `degenerate` have a key for every fact and language in which the model knows the fact, `independent`
    one for every fact. `kinds` names each fact's circuit (`Circuit.group`). `decoys` are by kind. `suppressing` has a
    key for every fact and language that a suppressor is planted beside.
    """

    knowledge: Mapping[tuple[int, str], Neurons]
    independent: Mapping[int, Neurons]
    degenerate: Mapping[tuple[int, str], frozenset[Neurons]]
    kinds: Mapping[int, str]
    decoys: Mapping[str, Neurons]
    suppressing: Mapping[tuple[int, str], Neurons] = field(default_factory=dict)


def truth_of(
    members: Sequence[Member],
    facts: FactSet,
    languages: Sequence[str],
    at: Position = "query",
    circuits: Sequence[Circuit] = (),
) -> Truth:
    """Return the truth of planted `members` `at` a position; a set is empty where a known fact has none there.

    So are those of the facts whose circuit, of `circuits`, acts through attention alone.
    """
    acting = [member for member in members if member.circuit.answers]
    knowledge: dict[tuple[int, str], Neurons] = {}
    degenerate: dict[tuple[int, str], frozenset[Neurons]] = {}
    independent, kinds = {}, {}
    for number in sorted({number for member in acting for number in member.facts}):
        fact, every = facts.facts[number].id, [member for member in acting if number in member.facts]
        own = [member for member in every if member.at == at]
        spoken = {code: frozenset(m.neuron for m in own if code in m.languages) for code in languages}
        known = {code: spoken[code] for code in languages if any(code in m.languages for m in every)}
        knowledge |= {(fact, code): neurons for code, neurons in known.items()}
        degenerate |= {(fact, code): _degenerate([m for m in own if code in m.languages]) for code in known}
        independent[fact] = frozenset.intersection(*spoken.values())
        kinds[fact] = every[0].circuit.group
    for fact in (facts.facts[circuit.fact].id for circuit in circuits if circuit.kind == "attention"):
        knowledge |= {(fact, code): frozenset() for code in languages}
        degenerate |= {(fact, code): frozenset() for code in languages}
        independent[fact], kinds[fact] = frozenset(), "attention"
    return Truth(knowledge, independent, degenerate, kinds, _decoys(members), _suppressing(members, facts, knowledge))


def _suppressing(
    members: Sequence[Member], facts: FactSet, known: Mapping[tuple[int, str], Neurons]
) -> dict[tuple[int, str], Neurons]:
    """Return the suppressors of every fact in every language in which the model knows it."""
    found: dict[tuple[int, str], Neurons] = {}
    for member in members:
        for code in member.languages if member.circuit.suppresses else ():
            key = facts.facts[member.fact].id, code
            if key in known:
                found[key] = found.get(key, frozenset()) | {member.neuron}
    return found


def _degenerate(members: Sequence[Member]) -> frozenset[Neurons]:
    """Return the degenerate sets of one fact in one language; a needed neuron beside is in none."""
    if not members or members[0].circuit.kind not in ("degenerate", "backup", "several"):
        return frozenset()
    circuit = members[0].circuit
    return frozenset({frozenset(m.neuron for m in members[: len(circuit.layers)])})


def _decoys(members: Sequence[Member]) -> dict[str, Neurons]:
    kinds = {m.circuit.kind for m in members if m.circuit.is_decoy}
    return {kind: frozenset(m.neuron for m in members if m.circuit.kind == kind) for kind in sorted(kinds)}
