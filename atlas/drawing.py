"""Draws seeded by what they are for: equal on every machine, whatever was drawn before."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from atlas.ids import Neuron, stable_id

Thing = TypeVar("Thing")


def generator(what: str, *parts: object) -> np.random.Generator:
    """Return the random numbers of `what` and its `parts`: the seed, and what is drawn for."""
    return np.random.default_rng(stable_id(what, *parts))


def one_of(things: Sequence[Thing], what: str, *parts: object) -> Thing:
    """Return one of `things`."""
    return things[int(generator(what, *parts).integers(len(things)))]


def random_neurons(count: int, layers: int, width: int, what: str, *parts: object) -> list[Neuron]:
    """Return `count` different neurons anywhere in the `layers` of `width` neurons."""
    places = generator(what, *parts).choice(layers * width, size=count, replace=False).tolist()
    return [divmod(place, width) for place in places]
