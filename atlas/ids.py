"""What rows and neurons are named by: stable ids, a hash of what a row names, so that atlases built apart merge."""

import hashlib
import json

Neuron = tuple[int, int]
"""A neuron `(layer, neuron)` (METHOD 1)."""


def stable_id(kind: str, *parts: object) -> int:
    """Return a positive 63-bit id of `kind` and its `parts` (JSON values), equal on every machine."""
    text = json.dumps([kind, *parts], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
