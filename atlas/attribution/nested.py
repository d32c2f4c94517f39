"""Gradients at the nodes of nested rules: a finer rule asks for the nodes between those that were asked, no others."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from atlas.attribution.quadrature import Rule
from atlas.engine.tracing import Trace
from atlas.models.hooks import neurons_replaced, running
from atlas.models.norms import norms_held
from atlas.models.readout import features_of_ids, token_probability

Ask = Callable[[Tensor, tuple[float, ...]], Iterable[tuple[Tensor, Tensor]]]
"""Given units `[unit, (row, layer)]` and nodes, yields places in their list and gradients, `[unit, node, size]`."""


@dataclass
class Asked:
    """Units `[unit, (row, layer)]` that are still integrated, and their gradients at every node asked but that at 1.

    `[unit, node, size]`, from node 0 on.
    """

    units: Tensor
    gradients: Tensor

    def at(self, rule: Rule, units: Tensor, ask: Ask) -> Tensor:
        """Return the gradients of `units` at every node of `rule` but that at 1, `[unit, node, size]`.

        A unit that was let go, as it had converged, and is back is asked at all of them.
        """
        count, keys, before = len(rule.nodes) - 1, _keys(units), _keys(self.units)
        kept, known = torch.isin(keys, before), self.gradients[torch.isin(before, keys)]
        found = known.new_empty(len(units), count, known.shape[2])
        old = torch.arange(count, device=units.device) % (count // known.shape[1]) == 0
        found[kept.nonzero(), old.nonzero()[:, 0]] = known
        for places, nodes in ((kept, ~old), (~kept, torch.ones_like(old))):
            _ask_at(found, units, places.nonzero(), nodes.nonzero()[:, 0], rule, ask)
        self.units, self.gradients = units, found
        return found


def _ask_at(found: Tensor, units: Tensor, places: Tensor, nodes: Tensor, rule: Rule, ask: Ask) -> None:
    """Ask for the gradients of the units at `places` [place, 1] at the rule's `nodes` [node], and put them there."""
    if len(places) and len(nodes):
        for asked, gradients in ask(units[places[:, 0]], tuple(rule.nodes[i] for i in nodes.tolist())):
            found[places[asked], nodes] = gradients


def _keys(units: Tensor) -> Tensor:
    """Return a number for each unit, in their order."""
    return (units[:, 0] << 32) + units[:, 1]


def gradients_at_values(record: Trace, rows: int, *, held: bool) -> Tensor:
    """Return dF/dw of every layer at the values that its neurons have, `[step, layer, neuron]`, in float32 or more.

    One backward pass of the plain run gives it for all layers, and for all paths, which end there. `held`: a norm
    behind a layer's down-projection takes no notice of what is added to its own neurons.
    """
    model, found = record.model, list[Tensor]()
    for place in torch.arange(len(record.ids), device=record.ids.device).split(rows):
        ids, query, at, target = (part[place] for part in (record.ids, record.query, record.at, record.target))
        added = torch.zeros_like(record.neurons[place]).requires_grad_()
        plus = {layer: partial(_plus, at, added[:, layer]) for layer in range(model.info.layers)}
        hold = norms_held(model) if held else nullcontext()
        with torch.enable_grad(), hold, neurons_replaced(model, plus), running(rows=place):
            f = token_probability(model, features_of_ids(model, ids, query, at), target)
            found += torch.autograd.grad(f.sum(), added)
    return torch.cat(found).to(torch.promote_types(model.dtype, torch.float32))


def _plus(at: Tensor, added: Tensor, neurons: Tensor) -> Tensor:
    """Return `neurons` `[row, token, neuron]` with `added` `[row, neuron]` at the position `at` [row]."""
    return neurons.index_put((torch.arange(len(at), device=at.device), at), added, accumulate=True)
