"""What makes a run the same run, and what is written down beside it."""

from collections.abc import Mapping
from importlib.metadata import version
from platform import python_version
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.attribution import Settings

PACKAGES = ("neuron-atlas", "torch", "transformers", "tokenizers", "numpy")
TRAITS = ("tokenizer", "config")
"""Digests of what decides the rows beside the weights, in the settings of runs; see `atlas.attribution.traits`."""
ADDED = ("dtype", "norm", "idle", "words", *TRAITS)
"""What the settings of a stored run name that no setting of a scorer is."""
_OWN_COLUMNS = {"method", "seed"}
_FROM_ZERO = ("kn", "joint")
_FROM_WORDS = ("amig", "amig-mean", "peel")


def identity(
    settings: "Settings", dtype: str, family: str = "", traits: Mapping[str, str] = MappingProxyType({})
) -> dict[str, object]:
    """Return the settings that a run's id hangs on: all but method and seed, which have their own columns.

    The number type and the `traits`, digests of the tokenizer and the configuration, are in; the memory budget and the
    device, which shape the work and not what is measured, are not. Of a `family` with a norm behind the
    down-projection, that scorers from zero hold it is in, of `peel` that an idle first round goes word by word, and of
    word baselines in a decoder beside an encoder that gold tokens are words. The position is named where it is not the
    query.
    """
    from atlas.models.families import FAMILIES

    own = FAMILIES.get(family)
    held = settings.method in _FROM_ZERO and own and own.norm
    written = settings.method in _FROM_WORDS and own and own.kind == "infilling"
    more = ({"norm": "held"} if held else {}) | ({"words": "gold too"} if written else {}) | dict(traits)
    more |= {"idle": "by word"} if settings.method == "peel" else {}
    named = settings.model_dump(mode="json", exclude=_OWN_COLUMNS | ({"at"} if settings.at == "query" else set()))
    return {**named, "dtype": dtype, **more}


def versions(device: str) -> dict[str, str]:
    """Return the versions of what computes the rows, the device and the threads: rows of equal ones are equal."""
    import torch

    found = {package: version(package) for package in PACKAGES}
    return {**found, "python": python_version(), "device": device, "threads": str(torch.get_num_threads())}
