"""A mixture of all circuits for a number of facts: the standard exam."""

from collections.abc import Iterator
from itertools import cycle, islice
from random import Random
from typing import cast

from atlas.planted.config import DECOY_KINDS, Circuit, Kind, PlantConfig

_MIXTURE = (
    "independent", "pair", "knowledge", "pair-beside-across", "backup",
    "additive", "bound", "pair-across", "independent", "triple",
    "pair", "knowledge", "pair-beside", "bound", "independent",
    "pair-beside-across", "backup", "triple-across", "pair", "additive",
)  # fmt: skip


def standard_circuits(
    config: PlantConfig,
    facts: int = 20,
    decoys: int = 2,
    seed: int = 0,
    attention: int = 0,
    suppressors: int = 0,
    several: int = 0,
    pairs: int = 0,
) -> list[Circuit]:
    """Return one circuit for each of `facts` facts, all kinds in turn, and `decoys` decoys of each kind.

    The last `attention` facts are answered through attention alone, or the last `several` by two circuits each, or the
    last `pairs` of facts have a neuron in common. Beside the first independent facts stand `suppressors`, one each.

    Layers are drawn from `seed`; circuits across layers need as many layers as they have neurons, so a model with fewer
    gets its triples within one layer.
    """
    random = Random(seed)
    circuits = [_circuit(name, fact, config, random) for fact, name in enumerate(islice(cycle(_MIXTURE), facts))]
    for kind, count, step in (("attention", attention, 1), ("several", several, 1), ("polysemous", pairs, 2)):
        first = facts - count * step
        circuits[first:] = [Circuit(cast(Kind, kind), fact) for fact in range(first, facts, step)]
    independent = [circuit.fact for circuit in circuits if circuit.kind == "independent"]
    against = [Circuit("suppressor", fact) for fact in independent[:suppressors]]
    return [*circuits, *_decoys(config, facts, decoys, random), *against]


def recall_circuits(config: PlantConfig, facts: int = 12, decoys: int = 1, seed: int = 0) -> list[Circuit]:
    """Return one circuit for each of `facts` facts, at the subject's token and at the query in turn, and decoys.

    No `constant` decoy: scorers with a zero baseline take it by design, wherever they are asked.
    """
    kinds = islice(cycle(("recalled", "shared recall", "independent", "knowledge")), facts)
    circuits = [Circuit(cast(Kind, kind), fact) for fact, kind in enumerate(kinds)]
    return circuits + [d for d in _decoys(config, facts, decoys, Random(seed)) if d.kind != "constant"]


def _circuit(name: str, fact: int, config: PlantConfig, random: Random) -> Circuit:
    layer = random.randrange(config.layers)
    if name == "bound":
        return Circuit("bound", fact, languages=(random.choice(config.languages),))
    if name.startswith(("pair", "triple")):
        size = 2 if name.startswith("pair") else 3
        across = name.endswith("across") and size <= config.layers
        layers = tuple(sorted(random.sample(range(config.layers), size))) if across else (layer,) * size
        beside = random.randrange(config.layers) if "beside" in name else None
        return Circuit("degenerate", fact, layers, size=size, indispensable=beside)
    return Circuit(cast(Kind, name), fact)


def _decoys(config: PlantConfig, facts: int, count: int, random: Random) -> Iterator[Circuit]:
    for kind in DECOY_KINDS:
        for _ in range(1 if kind == "constant" else count):
            yield Circuit(cast(Kind, kind), random.randrange(facts))
