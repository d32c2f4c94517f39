"""Knock-outs of many sets at once: every set of every row of a trace in one pass through the blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.engine.cuts import Branch, NeuronSet, branches
from atlas.engine.replay import finish_block, run_copies
from atlas.engine.tracing import Trace
from atlas.models.hooks import Call, Rule, attending, neurons_replaced
from atlas.models.readout import features_of_hidden, token_probability


@torch.no_grad()
def replay_cut(record: Trace, cuts: Sequence[tuple[int, NeuronSet]], values: Tensor | None = None) -> Tensor:
    """Return F of every cut `(row of the trace, neurons)`: `[cut]`, in the order given.

    The neurons of a set are zero at the row's position of them, or what `values` `[row, layer, neuron]` holds of them,
    each layer computed from the cut ones below it. A set holds at least one neuron. Layers below a set's highest are
    run once for all sets that share what is cut there.
    """
    tree, place = branches(cuts, len(record.ids))
    with attending(record.model):
        hidden, owner = _through_cuts(record, tree, values)
        features = features_of_hidden(record.model, hidden, record.ids[owner])
    index = torch.tensor(place, device=owner.device)
    return token_probability(record.model, features, record.target[owner])[index]


@dataclass(frozen=True, slots=True)
class _Site:
    """What a block computed where each source's neurons are: input `[source, 1, hidden]`, attention's result, neurons.

    Of a block that runs for the query alone it is what was computed there: changes elsewhere come too late.
    """

    hidden: Tensor
    attended: Tensor  # [source, head, 1, size]
    neurons: Tensor  # [source, neuron]


def _through_cuts(record: Trace, tree: Mapping[int, Branch], values: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run all copies of the tree through the last block: hidden `[copy, token, hidden]` and owner [copy]."""
    rows = torch.arange(len(record.ids), device=record.ids.device)
    owner = rows[:0]
    hidden = record.blocks[0].hidden[:0, : None if record.window is None else record.window.shape[1]]
    for layer in range(min(tree), len(record.blocks)):
        sites, kept = [_root(record, layer, rows)], record.kept(layer)
        if len(owner):
            hidden, site = _run_seen(record, layer, hidden, owner)
            sites.append(site)
        elif kept is not None:
            hidden = hidden[:, : kept.shape[1]]
        if layer in tree:
            new, entering, parent = _leave(record, layer, tree[layer], sites, values)
            if record.apart or kept is None:
                new = record.put(layer, entering, torch.cat([record.given(layer), hidden])[parent], new)
            hidden, owner = torch.cat([hidden, new]), torch.cat([owner, entering])
    return hidden, owner


def _root(record: Trace, layer: int, rows: Tensor) -> _Site:
    block = record.blocks[layer]
    return _Site(block.hidden[rows, record.at, None], block.attended, record.neurons[:, layer])


def _leave(
    record: Trace, layer: int, branch: Branch, sites: Sequence[_Site], values: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a branch's neurons in block `layer`: its copies' outputs `[copy, 1, hidden]`, their owners and parents."""
    owner, parent, copy, neuron = (
        torch.tensor(getattr(branch, name), device=record.ids.device)
        for name in ("owner", "parent", "cut_copy", "cut_neuron")
    )
    hidden, attended, neurons = (
        torch.cat([getattr(site, name) for site in sites])[parent] for name in ("hidden", "attended", "neurons")
    )
    neurons[copy, neuron] = 0 if values is None else values[owner[copy], layer, neuron]
    written = record.model.written(layer, neurons[:, None])
    return finish_block(record, layer, hidden, attended, written, owner), owner, parent


def _run_seen(record: Trace, layer: int, hidden: Tensor, owner: Tensor) -> tuple[Tensor, _Site]:
    """Run block `layer` on copies and keep what it computed where their neurons are."""
    rows = torch.arange(len(owner), device=owner.device)
    place = record.at[owner] if record.window is None else (record.at - record.window[:, 0])[owner]
    seen: dict[str, Tensor] = {}

    def at_place(values: Tensor) -> Tensor:
        """Pick `[copy, 1 or token, ...]` where the neurons are; the last block may run for one token only."""
        return values[:, 0] if values.shape[1] == 1 else values[rows, place]

    def watched(rule: Rule) -> Rule:
        def keep(call: Call) -> Tensor:
            out = rule(call)
            if call.cross:
                return out
            seen["attended"] = at_place(out.transpose(1, 2))[:, :, None]
            return out

        return keep

    def on_neurons(neurons: Tensor) -> Tensor:
        seen["neurons"] = at_place(neurons)
        return neurons

    with neurons_replaced(record.model, {layer: on_neurons}):
        out = run_copies(record, layer, hidden, owner, watched)
    return out, _Site(hidden[rows, place][:, None], seen["attended"], seen["neurons"])
