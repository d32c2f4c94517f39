"""Sets of neurons to be cut, as a tree: sets that begin alike are run together until they part."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from atlas.ids import Neuron

NeuronSet = tuple[Neuron, ...]
"""Neurons `(layer, neuron)`, ascending, each once."""

_Node = tuple[int, NeuronSet]


@dataclass(frozen=True, slots=True)
class Branch:
    """The copies that leave their parents at one layer, by cutting neurons there.

    `parent` [copy] is a row of the trace (from 0) or, from the number of those rows on, a copy in the order of
    entering. `cut_copy` and `cut_neuron` [member] say what is cut.
    """

    owner: list[int]
    parent: list[int]
    cut_copy: list[int]
    cut_neuron: list[int]


def neuron_set(neurons: Sequence[Neuron]) -> NeuronSet:
    """Return `neurons` in the one order that a set has."""
    return tuple(sorted(set(neurons)))


def branches(cuts: Sequence[tuple[int, NeuronSet]], rows: int) -> tuple[dict[int, Branch], list[int]]:
    """Return the branches by layer of sets `(row of the trace, neurons)`, and the copy that is each set's.

    A copy that cuts (l1, l2, l3) leaves the one that cuts (l1, l2) at layer l3, so pairs of different layers run the
    layers between them only once for all pairs with the same lower neuron. `rows` is the number of rows of the trace.
    """
    nodes = dict.fromkeys(node for owner, neurons in cuts for node in _path(owner, neurons))
    ordered = sorted(nodes, key=lambda node: node[1][-1][0])
    place = {node: copy for copy, node in enumerate(ordered)}
    found = {
        layer: _branch(list(group), place, rows) for layer, group in groupby(ordered, key=lambda node: node[1][-1][0])
    }
    return found, [place[cut] for cut in cuts]


def _path(owner: int, neurons: NeuronSet) -> list[_Node]:
    """Return the nodes from the first layer's cut to the whole set."""
    ends = [i for i in range(1, len(neurons) + 1) if i == len(neurons) or neurons[i][0] != neurons[i - 1][0]]
    return [(owner, neurons[:end]) for end in ends]


def _branch(nodes: Sequence[_Node], place: dict[_Node, int], rows: int) -> Branch:
    branch = Branch([], [], [], [])
    for copy, (owner, neurons) in enumerate(nodes):
        layer = neurons[-1][0]
        before = tuple(neuron for neuron in neurons if neuron[0] < layer)
        branch.owner.append(owner)
        branch.parent.append(rows + place[owner, before] if before else owner)
        for _, index in neurons[len(before) :]:
            branch.cut_copy.append(copy)
            branch.cut_neuron.append(index)
    return branch
