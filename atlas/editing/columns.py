"""Value vectors of chosen neurons: reading, changing and putting them back (METHOD 5).

A neuron's value vector is its column of the down-projection. Columns are given per layer as `[neuron, hidden]`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from atlas.errors import ModelError
from atlas.ids import Neuron
from atlas.models import LanguageModel
from atlas.models.scaling import neurons_by_layer

Columns = dict[int, Tensor]
"""Layer to `[neuron, hidden]`."""
Index = Mapping[int, Tensor]
"""Layer to the neurons' indices `[neuron]`, ascending."""


def index_of(model: LanguageModel, neurons: Iterable[Neuron]) -> dict[int, Tensor]:
    """Return the indices of `neurons` (layer, neuron) per layer, on the model's device; UsageError if unknown."""
    return {layer: index.to(model.device) for layer, index in neurons_by_layer(model, neurons).items()}


@torch.no_grad()
def read_columns(model: LanguageModel, index: Index) -> Columns:
    """Return a copy of the value vectors; ModelError for weights that are offloaded."""
    for layer in index:
        if model.value_vectors(layer).is_meta:
            raise ModelError(
                f"Layer {layer} of {model.info.name!r} is offloaded and cannot be edited; use --device cpu."
            )
    return {layer: model.value_vectors(layer)[own].clone() for layer, own in index.items()}


@torch.no_grad()
def write_columns(model: LanguageModel, index: Index, columns: Mapping[int, Tensor]) -> None:
    """Put `columns` in the place of the value vectors."""
    for layer, own in index.items():
        model.value_vectors(layer)[own] = columns[layer].to(model.device)


def shifted(columns: Mapping[int, Tensor], delta: Mapping[int, Tensor]) -> Columns:
    """Return `columns + delta`, added in the wider of the two types and rounded to that of the columns."""
    return {layer: (own + delta[layer].to(own.device)).to(own.dtype) for layer, own in columns.items()}


@contextmanager
def shifting(model: LanguageModel, index: Index, delta: Mapping[int, Tensor]) -> Iterator[None]:
    """Let the model run as if `delta` had been added to the value vectors; differentiable in `delta`."""
    with ExitStack() as stack:
        for layer, own in index.items():
            hook = _adding(own, delta[layer])
            stack.callback(model.down_projection(layer).register_forward_hook(hook).remove)
        yield


def _adding(index: Tensor, delta: Tensor) -> Any:
    def hook(_: nn.Module, args: tuple[Any, ...], out: Tensor) -> Tensor:
        neurons: Tensor = args[0][..., index]
        return out + neurons @ delta.to(neurons.dtype)

    return hook
