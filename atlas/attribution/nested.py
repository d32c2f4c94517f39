"""Gradients at the nodes of nested rules: a finer rule asks for the nodes between those that were asked, no others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.attribution.quadrature import Rule

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
