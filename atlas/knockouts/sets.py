"""Which sets of neurons to knock out: singles, pairs, larger ones level by level, and their controls (METHOD 3)."""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import combinations

from atlas.drawing import generator
from atlas.engine.cuts import NeuronSet, neuron_set
from atlas.errors import UsageError
from atlas.ids import Neuron, stable_id


@lru_cache(maxsize=1 << 16)
def set_id(neurons: NeuronSet) -> int:
    """Return the id of a set, the same in every atlas."""
    return stable_id("set", neurons)


def first_sets(candidates: Sequence[Neuron], sizes: Sequence[int] = (1, 2)) -> list[NeuronSet]:
    """Return every set of such `sizes`, in the order of the candidates."""
    return [neuron_set(group) for size in sizes for group in combinations(candidates, size)]


def next_sets(low: Collection[NeuronSet]) -> list[NeuronSet]:
    """Return the sets of one more neuron all of whose subsets are in `low`, sets of equal size, in order.

    `low` are the sets whose loss costs at most t_low; a set with a costlier subset can be no minimal one.
    """
    known = set(low)
    return sorted(wider for wider in _joined(known) if known.issuperset(combinations(wider, len(wider) - 1)))


def _joined(low: Collection[NeuronSet]) -> Iterator[NeuronSet]:
    """Yield unions of two sets that differ in their last neuron alone."""
    stems: dict[NeuronSet, list[Neuron]] = {}
    for neurons in sorted(low):
        stems.setdefault(neurons[:-1], []).append(neurons[-1])
    for stem, ends in stems.items():
        yield from ((*stem, *pair) for pair in combinations(ends, 2))


def control_neurons(
    candidates: Sequence[Neuron], taken: Collection[Neuron], width: int, *seed: int | str
) -> dict[Neuron, Neuron]:
    """Return for each candidate a random neuron of its layer, none of them twice and none in `taken`.

    `width` is the number of neurons in a layer. More candidates after the same ones leave the earlier choices as they
    are. Raises UsageError for a layer that has too few other neurons.
    """
    twins: dict[Neuron, Neuron] = {}
    orders: dict[int, Iterator[int]] = {}
    for layer, neuron in candidates:
        if layer not in orders:
            order = generator("control", *seed, layer).permutation(width).tolist()
            free = set(range(width)) - {other for place, other in (*taken, *candidates) if place == layer}
            orders[layer] = iter([index for index in order if index in free])
        twin = next(orders[layer], None)
        if twin is None:
            raise UsageError(f"Layer {layer} has too few neurons besides the {len(candidates)} chosen; lower --top.")
        twins[layer, neuron] = (layer, twin)
    return twins


def twin_set(neurons: NeuronSet, twins: dict[Neuron, Neuron]) -> NeuronSet:
    """Return the control of a set: the same size, the same layers."""
    return neuron_set([twins[neuron] for neuron in neurons])
