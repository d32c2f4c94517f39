"""What rows and neurons are named by: stable ids, a hash of what a row names, so that atlases built apart merge."""

import hashlib
import json
import re
from enum import StrEnum

Neuron = tuple[int, int]
"""A neuron `(layer, neuron)` (METHOD 1)."""


class Package(StrEnum):
    """Other packages, which have names of their own for where neurons are."""

    transformer_lens = "transformer-lens"
    pyvene = "pyvene"


def stable_id(kind: str, *parts: object) -> int:
    """Return a positive 63-bit id of `kind` and its `parts` (JSON values), equal on every machine."""
    text = json.dumps([kind, *parts], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def neuron_name(layer: int, neuron: int) -> str:
    """Return how a neuron is written: `L3.486` is neuron 486 of layer 3, both from 0."""
    return f"L{layer}.{neuron}"


def named_neuron(text: str) -> Neuron | None:
    """Return the neuron that a text such as `L3.486` names, None for a text of another kind."""
    found = re.fullmatch(r"\s*[Ll]([0-9]{1,5})\.([0-9]{1,9})\s*", text, re.ASCII)
    return (int(found[1]), int(found[2])) if found else None
