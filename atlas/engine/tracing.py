"""Run a model once and keep what a replay needs: the trace (METHOD 2).

A *trace* keeps, for a batch of sequences of one length, what every block received, what its attention computed, and the
neurons at their position: the query, or the subject's last token.
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
from atlas.models.hooks import Call, attending, neurons_replaced, now
from atlas.models.model import LanguageModel
from atlas.models.readout import features_of_ids


@dataclass(frozen=True, slots=True)
class Cross:
    """Keys and values of the encoder's output `[batch, head, token, size]`, and what the neurons' place got."""

    key: Tensor
    value: Tensor
    attended: Tensor  # [batch, head, 1, size], at the neurons' position


@dataclass
class Block:
    """What one block received in the traced run, and what its attention computed."""

    hidden: Tensor  # [batch, token, hidden]
    arguments: dict[str, Any]
    key: Tensor  # [batch, head, token, size]
    value: Tensor
    attended: Tensor  # [batch, head, 1, size], at the neurons' position
    cross: Cross | None = None  # a decoder's attention to its encoder
    projected: dict[nn.Module, Tensor] = field(default_factory=dict)  # what each projection gave, [batch, token, size]


@dataclass
class Trace:
    """A batch of sequences of one length as the model ran them.

    `apart`: some neurons are elsewhere than at the query. `window` are the tokens from the neurons' position to the
    query, `[batch, token]`, of the longest way for all. In a causal model a change reaches no others before the answer;
    None where attention goes both ways. Steps of the same tokens ran as one, which of all is in `rows`; what blocks got
    as `arguments` is of what ran.
    """

    model: LanguageModel
    ids: Tensor  # [batch, token]
    query: Tensor  # [batch]
    at: Tensor  # [batch], the neurons' position
    target: Tensor  # [batch]
    rows: Tensor  # [batch], what ran for each
    blocks: list[Block] = field(default_factory=list)
    features: Tensor = field(init=False)  # [batch, hidden], into the output matrix
    neurons: Tensor = field(init=False)  # [batch, layer, neuron], at their position
    final: Tensor | None = None  # [batch, token, hidden], the last block's output, where a copy keeps it
    apart: bool = field(init=False)
    window: Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Find where copies run."""
        self.apart = bool((self.at != self.query).any())
        if not self.model.two_way:
            way = torch.arange(int((self.query - self.at).max()) + 1, device=self.at.device)
            self.window = self.at.clamp_max(self.ids.shape[1] - len(way))[:, None] + way

    def kept(self, layer: int) -> Tensor | None:
        """Return which tokens copies have behind block `layer`, `[batch, token]`, None for all.

        Behind the last block it is the query alone, but where a decoder reads them all.
        """
        last = layer == len(self.blocks) - 1 and not self.model.reads
        return self.query[:, None] if last else self.window

    def put(self, layer: int, owner: Tensor, around: Tensor, new: Tensor) -> Tensor:
        """Return `around` `[copy, token, hidden]`, the tokens kept behind `layer`, with `new` at the neurons' position.

        `new` is `[copy, 1, hidden]`, and without effect on copies that do not keep that position.
        """
        kept, at = self.kept(layer), self.at[owner]
        if kept is None:
            return put_at(around, at, new)
        return torch.where((kept[owner] == at[:, None])[..., None], new, around) if self.apart else new

    def given(self, layer: int) -> Tensor:
        """Return what block `layer` gave for the tokens that copies keep behind it, `[batch, token, hidden]`."""
        kept, later = self.kept(layer), self.blocks[layer + 1 :]
        every = later[0].hidden if later else self.final
        assert every is not None
        return every if kept is None else take(every, kept)


def put_at(around: Tensor, place: Tensor, new: Tensor) -> Tensor:
    """Return `around` `[copy, token, hidden]` with `new` `[copy, 1, hidden]` at `place` [copy]."""
    return around.scatter(1, place.view(-1, 1, 1).expand(-1, 1, new.shape[-1]), new)


def take(rows: Tensor, places: Tensor, axis: int = 1) -> Tensor:
    """Keep positions `places` `[copy, place]` of `axis`."""
    index = places.view(-1, *(places.shape[1] if i == axis else 1 for i in range(1, rows.dim())))
    return rows.gather(axis, index.expand(-1, *(-1 if i == axis else n for i, n in enumerate(rows.shape[1:], 1))))


@torch.no_grad()
def trace(model: LanguageModel, batch: StepBatch) -> Trace:
    """Run a batch of steps once, those of the same tokens as one, and keep what a replay from any layer needs."""
    places, rows = distinct(batch.ids)
    record = Trace(model, batch.ids, batch.query, batch.at, batch.target, rows)
    with _recorded(record), neurons_kept(model, batch.at, rows) as seen:
        record.features = features_of_ids(model, batch.ids[places], batch.query, batch.at[places], rows)
    record.neurons = torch.stack(seen, dim=1)
    return record


@torch.no_grad()
def neurons_at(model: LanguageModel, ids: Tensor, query: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Return the neurons of every layer `at` [batch] of `ids` `[batch, token]`, `[batch, layer, neuron]`.

    And what the output matrix receives at `query` [batch], `[batch, hidden]`.
    """
    with neurons_kept(model, at) as seen:
        features = features_of_ids(model, ids, query, at)
    return torch.stack(seen, dim=1), features


@contextmanager
def neurons_kept(model: LanguageModel, at: Tensor, rows: Tensor | None = None) -> Iterator[list[Tensor]]:
    """Keep the neurons `at` `[batch]` of what runs inside the block, `[batch, neuron]` for each layer in turn.

    Of the sequences `rows` [batch], if not of each in turn.
    """
    seen: list[Tensor] = []
    rows = torch.arange(len(at), device=at.device) if rows is None else rows

    def keep(neurons: Tensor) -> Tensor:
        seen.append(neurons[rows, at])
        return neurons

    with neurons_replaced(model, dict.fromkeys(range(model.info.layers), keep)):
        yield seen


def distinct(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return a place of each different sequence of `ids` `[row, token]`, all if neurons are changed, and each row's."""
    seen: dict[Any, int] = {}
    keys = range(len(ids)) if now().changed else map(tuple, ids.tolist())
    which = [seen.setdefault(key, len(seen)) for key in keys]
    return ids.new_tensor([which.index(place) for place in range(len(seen))]), ids.new_tensor(which)


def _keep_attention(record: Trace, call: Call) -> Tensor:
    """The rule of the traced run: attend as usual and keep keys, values and the result at the neurons' position."""
    out = call.attend()
    if not record.blocks or record.final is not None:  # the other stack's
        return out
    block, rows = record.blocks[-1], record.rows
    attended, key, value = out[rows, :, record.at][:, :, None], call.key[rows], call.value[rows]
    if call.cross:
        block.cross = Cross(key, value, attended)
    else:
        block.key, block.value, block.attended = key, value, attended
    return out


@contextmanager
def _recorded(record: Trace) -> Iterator[None]:
    """Keep what every block receives, its attention computes and its projections give, in a trace under way."""
    empty = torch.empty(0)

    def on_block(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments = dict(zip([*signature(block.forward).parameters][1:], args[1:], strict=False)) | kwargs
        if record.model.family.arguments is not None:
            arguments = record.model.family.arguments(block, arguments, args[0])
        record.blocks.append(Block(args[0][record.rows], arguments, empty, empty, empty))

    def on_projection(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        record.blocks[-1].projected[module] = out[record.rows]

    def on_last(_: nn.Module, __: tuple[Any, ...], out: Any) -> None:
        record.final = (out[0] if isinstance(out, tuple) else out)[record.rows]

    with ExitStack() as stack:
        stack.enter_context(attending(record.model, partial(_keep_attention, record)))
        if record.model.reads or record.apart:
            stack.callback(record.model.blocks[-1].register_forward_hook(on_last).remove)
        for layer, block in enumerate(record.model.blocks):
            stack.callback(block.register_forward_pre_hook(on_block, with_kwargs=True).remove)
            for module in record.model.projections[layer]:
                stack.callback(module.register_forward_hook(on_projection).remove)
        yield
