"""Suppress and enhance: neurons multiplied while the model runs, undone on exit (METHOD 4)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from atlas.errors import ModelError, UsageError
from atlas.ids import Neuron
from atlas.models.hooks import Edit, neurons_edited, query_mask
from atlas.models.model import LanguageModel, Scope


@contextmanager
def suppress(model: LanguageModel, neurons: Iterable[Neuron], scope: Scope = "query") -> Iterator[LanguageModel]:
    """Set `neurons` (layer, neuron) to zero inside the block, at the query position or at `all`; UsageError if unknown.

    Blocks may be nested; each is undone on exit, exception or not.
    """
    with scaled(model, neurons, 0.0, scope):
        yield model


@contextmanager
def enhance(model: LanguageModel, neurons: Iterable[Neuron], scope: Scope = "query") -> Iterator[LanguageModel]:
    """Double `neurons` (layer, neuron) inside the block, at the query position or at `all`; UsageError if unknown."""
    with scaled(model, neurons, 2.0, scope):
        yield model


@contextmanager
def scaled(model: LanguageModel, neurons: Iterable[Neuron], factor: float, scope: Scope = "query") -> Iterator[None]:
    """Multiply `neurons` (layer, neuron) by `factor` inside the block; a factor of 0 removes even infinite ones."""
    if scope not in ("query", "all"):
        raise UsageError(f"Scope {scope!r} is not known; choose query or all.")
    layers = neurons_by_layer(model, neurons)
    edits = {layer: _scale(index.to(model.device), factor, scope) for layer, index in layers.items()}
    with neurons_edited(model, edits):
        yield


def neurons_by_layer(model: LanguageModel, neurons: Iterable[Neuron]) -> Mapping[int, Tensor]:
    """Return the sorted neuron indices `[neuron]` of each layer, each once; UsageError for one the model lacks."""
    found: dict[int, set[int]] = defaultdict(set)
    for layer, neuron in neurons:
        if not (0 <= layer < model.info.layers and 0 <= neuron < model.info.neurons):
            raise UsageError(
                f"Neuron ({layer}, {neuron}) is not in model {model.info.name!r}, which has layers 0 to "
                f"{model.info.layers - 1} of neurons 0 to {model.info.neurons - 1}; choose neurons of this model."
            )
        found[int(layer)].add(int(neuron))
    return {layer: torch.tensor(sorted(index)) for layer, index in sorted(found.items())}


def _scale(index: Tensor, factor: float, scope: Scope) -> Edit:
    def edit(neurons: Tensor) -> Tensor:
        before = neurons[..., index]
        after = before * factor if factor else torch.zeros_like(before)
        if scope == "query":
            after = torch.where(_place()[..., None], after, before)
        return neurons.index_copy(-1, index, after)

    return edit


def _place() -> Tensor:
    """Return the query positions `[batch, token]` of what runs."""
    mask = query_mask()
    if mask is None:
        raise ModelError(
            "The model was called past the atlas, so its query position is unknown; call model.run, or use scope 'all'."
        )
    return mask
