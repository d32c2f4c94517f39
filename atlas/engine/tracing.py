"""Run a model once and keep what a replay needs: the trace (METHOD 2).

A *trace* keeps, for a batch of sequences of one length, what every block received, what its attention computed, and the
neurons at the query position.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from atlas.engine.batches import StepBatch
from atlas.models.hooks import Call, attending, itself, neurons_replaced
from atlas.models.model import LanguageModel
from atlas.models.readout import features_of_ids


@dataclass(frozen=True, slots=True)
class Cross:
    """Keys and values of the encoder's output `[batch, head, token, size]`, and what the query got from them."""

    key: Tensor
    value: Tensor
    attended: Tensor  # [batch, head, 1, size]


@dataclass
class Block:
    """What one block received in the traced run, and what its attention computed."""

    hidden: Tensor  # [batch, token, hidden]
    arguments: dict[str, Any]
    key: Tensor  # [batch, head, token, size]
    value: Tensor
    attended: Tensor  # [batch, head, 1, size], at the query
    cross: Cross | None = None  # a decoder's attention to its encoder
    projected: dict[nn.Module, Tensor] = field(default_factory=dict)  # what each projection gave, [batch, token, size]


@dataclass
class Trace:
    """A batch of sequences of one length as the model ran them."""

    model: LanguageModel
    ids: Tensor  # [batch, token]
    query: Tensor  # [batch]
    target: Tensor  # [batch]
    blocks: list[Block] = field(default_factory=list)
    features: Tensor = field(init=False)  # [batch, hidden], into the output matrix
    neurons: Tensor = field(init=False)  # [batch, layer, neuron], at the query
    final: Tensor | None = None  # [batch, token, hidden], the last block's output where a decoder reads it

    def keeps_sequences(self, layer: int) -> bool:
        """Return whether copies are whole sequences behind block `layer`, not the query alone."""
        return self.model.two_way and (layer < len(self.blocks) - 1 or self.model.reads)

    def received(self, layer: int) -> Tensor:
        """Return what block `layer` received, `[batch, token, hidden]`; past the last one, what that one gave."""
        if layer < len(self.blocks):
            return self.blocks[layer].hidden
        assert self.final is not None
        return self.final


@torch.no_grad()
def trace(model: LanguageModel, batch: StepBatch) -> Trace:
    """Run a batch of steps once and keep what a replay from any layer needs."""
    record = Trace(model, batch.ids, batch.query, batch.target)
    with attending(model, partial(_keep_attention, record)), _recorded(record):
        record.neurons, record.features = neurons_at_query(model, batch.ids, batch.query)
    return record


@torch.no_grad()
def neurons_at_query(model: LanguageModel, ids: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
    """Return the neurons of every layer at `query` [batch] of `ids` `[batch, token]`, `[batch, layer, neuron]`.

    And what the output matrix receives there, `[batch, hidden]`.
    """
    seen: list[Tensor] = []
    rows = torch.arange(len(ids), device=ids.device)

    def keep(neurons: Tensor) -> Tensor:
        seen.append(neurons[rows, query])
        return neurons

    with neurons_replaced(model, dict.fromkeys(range(model.info.layers), keep)):
        features = features_of_ids(model, ids, query)
    return torch.stack(seen, dim=1), features


def _keep_attention(record: Trace, call: Call) -> Tensor:
    """The rule of the traced run: attend as usual and keep keys, values and the query's result."""
    out = itself(call)
    if not record.blocks or record.final is not None:  # the other stack's
        return out
    block = record.blocks[-1]
    attended = out[torch.arange(len(out), device=out.device), :, record.query][:, :, None]
    if call.cross:
        block.cross = Cross(call.key, call.value, attended)
    else:
        block.key, block.value, block.attended = call.key, call.value, attended
    return out


@contextmanager
def _recorded(record: Trace) -> Iterator[None]:
    """Keep what every block receives and its projections give, in a trace under way."""
    empty = torch.empty(0)

    def on_block(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = list(signature(block.forward).parameters)[1 : len(args)]
        arguments = dict(zip(names, args[1:], strict=True)) | kwargs
        if record.model.family.arguments is not None:
            arguments = record.model.family.arguments(block, arguments, args[0])
        record.blocks.append(Block(args[0], arguments, empty, empty, empty))

    def on_projection(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        record.blocks[-1].projected[module] = out

    def on_last(_: nn.Module, __: tuple[Any, ...], out: Any) -> None:
        record.final = out[0] if isinstance(out, tuple) else out

    with ExitStack() as stack:
        if record.model.reads:
            stack.callback(record.model.blocks[-1].register_forward_hook(on_last).remove)
        for layer, block in enumerate(record.model.blocks):
            stack.callback(block.register_forward_pre_hook(on_block, with_kwargs=True).remove)
            for module in record.model.projections[layer]:
                stack.callback(module.register_forward_hook(on_projection).remove)
        yield
