"""Which model families the atlas knows, and where each keeps its neurons (METHOD 1).

A neuron `(layer, neuron)` is one coordinate of the input of a block's feed-forward down-projection: after the
non-linearity, and after gating where there is a gate. A family is one row of `FAMILIES`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from atlas.errors import ModelError

Kind = Literal["masked", "causal"]


@dataclass(frozen=True, slots=True)
class Family:
    """Where one family keeps its blocks and, within a block, its down-projection (module paths)."""

    name: str
    kind: Kind
    blocks: str
    down_projection: str


FAMILIES = {
    row.name: row
    for row in (
        Family("bert", "masked", "bert.encoder.layer", "output.dense"),
        Family("gpt2", "causal", "transformer.h", "mlp.c_proj"),
    )
}


def family_of(config: Any) -> Family:
    """Return the row of a transformers `config`; ModelError with the supported list if there is none."""
    row = FAMILIES.get(config.model_type)
    if row is None:
        known = ", ".join(sorted(FAMILIES))
        raise ModelError(f"Model type {config.model_type!r} is not supported; the supported families are {known}.")
    return row
