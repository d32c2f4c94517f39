"""Neurons changed while the model runs, undone on exit: the one way to do it, and suppress and enhance (METHOD 4)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

import torch
from torch import Tensor

from atlas.errors import ModelError, UsageError
from atlas.ids import Neuron, neuron_name
from atlas.models.hooks import Network, neurons_replaced, now, running

Scope = Literal["query", "all"]
"""Where an intervention acts: at the query position, or everywhere."""
SCOPES: tuple[Scope, ...] = ("query", "all")
N = TypeVar("N", bound=Network)


@dataclass(frozen=True, slots=True)
class Change:
    """What the neurons of one layer become: `factor` times what they are, or `value` where the factor is 0.

    Both are `[row, neuron]`, with one row for all or one for each sequence of the run; without `value` the product
    stands, which is differentiable in the factor.
    """

    factor: Tensor
    value: Tensor | None = None

    def of(self, neurons: Tensor, rows: Tensor) -> Tensor:
        """Return what `neurons` `[place, neuron]`, found in the sequences `rows` [place], become."""
        rows = rows if len(self.factor) > 1 else torch.zeros_like(rows)
        factor = self.factor[rows].to(neurons.dtype)
        if self.value is None:
            return neurons * factor
        return torch.where(factor == 0, self.value[rows].to(neurons.dtype), neurons * factor)


@contextmanager
def changed(
    model: Network, changes: Mapping[int, Change], scope: Scope = "query", *, copies: bool = False
) -> Iterator[None]:
    """Let the neurons of each layer in `changes` become what it says inside the block, at the queries or at `all`.

    Of `copies` each follows its own row of a change, whichever row of a trace it is a copy of.
    """
    placed = {layer: partial(_placed, change, scope, copies) for layer, change in changes.items()}
    with neurons_replaced(model, placed), running(changed=bool(changes)):
        yield


def multiplied(model: Network, factors: Tensor) -> Mapping[int, Change]:
    """Return the changes by which every neuron of `model` is multiplied by its factor of `[row, layer, neuron]`."""
    return {layer: Change(factors[:, layer]) for layer in range(model.info.layers)}


@contextmanager
def suppress(
    model: N, neurons: Iterable[Neuron], scope: Scope = "query", replace: Tensor | Literal["zero"] = "zero"
) -> Iterator[N]:
    """Set `neurons` (layer, neuron) to zero inside the block, at the query position or at `all`; UsageError if unknown.

    With a tensor as `replace`, `[layer, neuron]`, they become what it holds of them (METHOD 4): their means, or their
    values for another fact, as `atlas.engine.replacing` gives them. UsageError for one of another shape. Blocks may be
    nested; each is undone on exit, exception or not.
    """
    if isinstance(replace, str) and replace != "zero":
        raise UsageError(f"Neurons are not cut to {replace!r} by its name; give 'zero' or their values, a tensor.")
    with scaled(model, neurons, 0.0, scope, None if isinstance(replace, str) else replace):
        yield model


@contextmanager
def enhance(model: N, neurons: Iterable[Neuron], scope: Scope = "query") -> Iterator[N]:
    """Double `neurons` (layer, neuron) inside the block, at the query position or at `all`; UsageError if unknown."""
    with scaled(model, neurons, 2.0, scope):
        yield model


@contextmanager
def scaled(
    model: Network, neurons: Iterable[Neuron], factor: float, scope: Scope = "query", values: Tensor | None = None
) -> Iterator[None]:
    """Multiply `neurons` (layer, neuron) by `factor` inside the block; a factor of 0 removes even infinite ones.

    Where it is 0, they become their `values` `[layer, neuron]`, zero if there are none.
    """
    if scope not in SCOPES:
        raise UsageError(f"Scope {scope!r} is not known; choose query or all.")
    shape = (model.info.layers, model.info.neurons)
    if values is not None and values.shape != shape:
        raise UsageError(f"Values of shape {list(values.shape)} do not fit the model; give {list(shape)} of them.")
    changes = {}
    for layer, index in neurons_by_layer(model, neurons).items():
        one = torch.ones(1, model.info.neurons, device=model.device)
        one[0, index.to(model.device)] = factor
        changes[layer] = Change(one, torch.zeros_like(one) if values is None else values[layer, None].to(model.device))
    with changed(model, changes, scope):
        yield


def neurons_by_layer(model: Network, neurons: Iterable[Neuron]) -> Mapping[int, Tensor]:
    """Return the sorted neuron indices `[neuron]` of each layer, each once; UsageError for one the model lacks."""
    found: dict[int, set[int]] = defaultdict(set)
    for layer, neuron in neurons:
        if not (0 <= layer < model.info.layers and 0 <= neuron < model.info.neurons):
            raise UsageError(
                f"Neuron {neuron_name(layer, neuron)} is not in model {model.info.name!r}, which has layers 0 to "
                f"{model.info.layers - 1} of neurons 0 to {model.info.neurons - 1}; choose neurons of this model."
            )
        found[int(layer)].add(int(neuron))
    return {layer: torch.tensor(sorted(index)) for layer, index in sorted(found.items())}


def _placed(change: Change, scope: Scope, copies: bool, neurons: Tensor) -> Tensor:
    """Return `neurons` `[row, token, neuron]` changed at the query positions of what runs, or at all."""
    places = neurons.new_ones(neurons.shape[:2]).bool() if scope == "all" else now().query
    if places is None:
        raise ModelError(
            "The model was called past the atlas, so its query position is unknown; call model.run, or use scope 'all'."
        )
    row, token = places.nonzero(as_tuple=True)
    result = neurons.clone()
    rows = None if copies else now().rows
    result[row, token] = change.of(neurons[row, token], row if rows is None else rows[row])
    return result
