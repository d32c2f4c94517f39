"""Run a model once and keep what a replay needs: the trace (METHOD 2); and call its blocks again with that.

A *trace* keeps, for a batch of sequences of one length, what every block received, what its attention computed, and the
neurons at their position: the query, or the subject's last token.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from atlas.engine.batches import StepBatch
from atlas.models.hooks import Call, Rule, attending, neurons_kept, now, running
from atlas.models.model import LanguageModel
from atlas.models.readout import embedded, features_of_hidden, features_of_ids

ALIKE = 8
"""Tokens that sequences of a causal model begin with in common at least to run once so far, and the steps in which."""


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
    None where attention goes both ways. `rows`: which of what ran whole each is, or begins like; `arguments` are its.
    """

    model: LanguageModel
    ids: Tensor  # [batch, token]
    query: Tensor  # [batch]
    at: Tensor  # [batch], the neurons' position
    target: Tensor  # [batch]
    rows: Tensor  # [batch], of what ran whole
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


def _places(chosen: Tensor) -> Tensor:
    """Return where `chosen` [place] is true."""
    return chosen.nonzero()[:, 0]


def take(rows: Tensor, places: Tensor, axis: int = 1) -> Tensor:
    """Keep positions `places` `[copy, place]` of `axis`."""
    index = places.view(-1, *(places.shape[1] if i == axis else 1 for i in range(1, rows.dim())))
    return rows.gather(axis, index.expand(-1, *(-1 if i == axis else n for i, n in enumerate(rows.shape[1:], 1))))


@torch.no_grad()
def trace(model: LanguageModel, batch: StepBatch) -> Trace:
    """Run a batch of steps once and keep what a replay from any layer needs.

    Steps of the same tokens run as one; in a causal model one that begins like another runs from where they part.
    """
    places, rows, common = beginnings(batch.ids, ALIKE if model.kind == "causal" else batch.ids.shape[1])
    record = Trace(model, batch.ids, batch.query, batch.at, batch.target, rows)
    with _recorded(record), neurons_kept(model, batch.at, rows) as seen:
        record.features = features_of_ids(model, batch.ids[places], batch.query, batch.at[places], rows)
    record.neurons = torch.stack(seen, dim=1)
    firsts = torch.where(common <= batch.query, common - common % ALIKE, -1)
    for first in firsts[firsts >= 0].unique().tolist():
        _go_on(record, first, _places(firsts == first))
    return record


@torch.no_grad()
def neurons_at(model: LanguageModel, ids: Tensor, query: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Return the neurons of every layer `at` [batch] of `ids` `[batch, token]`, `[batch, layer, neuron]`.

    And what the output matrix receives at `query` [batch], `[batch, hidden]`.
    """
    with neurons_kept(model, at) as seen:
        features = features_of_ids(model, ids, query, at)
    return torch.stack(seen, dim=1), features


def beginnings(ids: Tensor, least: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the places of sequences of `ids` `[row, token]` that run whole, which of these each row begins like, by
    `least` tokens at least, and by how many, all where it is the same.

    Where neurons are changed sequences of the same tokens may differ, so that each runs whole.
    """
    rows, length = ids.tolist(), ids.shape[1]
    whole, common = list(range(len(rows))), [length] * len(rows)
    for before, row in pairwise([] if now().changed else sorted(whole, key=rows.__getitem__)):
        pairs = enumerate(zip(rows[whole[before]], rows[row], strict=True))
        alike = next((place for place, (one, other) in pairs if one != other), length)
        if alike >= min(least, length):
            whole[row], common[row] = whole[before], alike
    places = sorted(set(whole))
    return ids.new_tensor(places), ids.new_tensor([places.index(own) for own in whole]), ids.new_tensor(common)


def _go_on(record: Trace, first: int, rows: Tensor) -> None:
    """Run `rows` of a trace from token `first` on, before which they are as what ran whole, and keep what is theirs."""
    model, (places, which, _) = record.model, beginnings(record.ids[rows], record.ids.shape[1])
    own, at = rows[places], record.at[rows] - first
    window = torch.arange(first, record.ids.shape[1], device=rows.device).expand(len(own), -1)
    hidden, late = take(embedded(model, record.ids[own]), window), _places(at >= 0)
    with attending(model), neurons_kept(model, at[late], which[late]) as seen:
        for layer, block in enumerate(record.blocks):
            block.hidden[rows, first:] = hidden[which]
            rule = partial(_keep_own, block, rows, which, at, partial(among_recorded, block, own, window))
            hidden = call_block(record, layer, hidden, own, rule, window)
    record.neurons[rows[late]] = torch.stack(seen, dim=1)
    if record.final is not None:
        record.final[rows, first:] = hidden[which]
    queried = take(hidden[which], record.query[rows, None] - first)
    record.features[rows] = features_of_hidden(model, queried, record.ids[rows])


def _keep_own(block: Block, rows: Tensor, which: Tensor, at: Tensor, among: Callable[..., Any], call: Call) -> Tensor:
    """The rule of what goes on: attend `among` the recorded, too, and keep what is of `rows`, `which` of the call."""
    key, value = among(call)
    out, late = call.attend(key, value), _places(at >= 0)
    block.key[rows], block.value[rows] = key[which], value[which]
    block.attended[rows[late]] = out[which[late], :, at[late]][:, :, None]
    return out


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


def call_block(
    record: Trace, layer: int, hidden: Tensor, owner: Tensor, rule: Rule, places: Tensor | None = None
) -> Tensor:
    """Call block `layer` with its recorded arguments, expanded to the copies and cut to `places` `[copy, token]`.

    Its attention follows `rule`, but a decoder's to its encoder goes to the recorded keys and values.
    """
    cross = record.blocks[layer].cross
    tokens = torch.arange(hidden.shape[1], device=hidden.device) if places is None else places
    with running(
        tokens == record.at[owner, None], rule if cross is None else partial(_crossing, cross, owner, rule), owner
    ):
        out = record.model.blocks[layer](hidden, **fitted(record, layer, owner, places))
    result: Tensor = out[0] if isinstance(out, tuple) else out
    return result


def _crossing(cross: Cross, owner: Tensor, rule: Rule, call: Call) -> Tensor:
    if not call.cross:
        return rule(call)
    if not len(cross.key):
        return cross.attended[owner]
    return call.attend(cross.key[owner], cross.value[owner])


def fitted(record: Trace, layer: int, owner: Tensor, places: Tensor | None) -> dict[str, Any]:
    """Fit recorded arguments to copies: rows by owner, and those of `places` where a dimension runs over tokens.

    Of the encoder's output one token stays: its keys and values are recorded, so nobody looks at it.
    """
    arguments = dict(record.blocks[layer].arguments)
    if (read := arguments.get("encoder_hidden_states")) is not None:
        arguments["encoder_hidden_states"] = read[:, :1]
    return {name: _fit(value, record.rows[owner], places) for name, value in arguments.items()}


def _fit(value: Any, rows: Tensor, places: Tensor | None) -> Any:
    """Return one argument as the copies of `rows` need it; what is one for all sequences is theirs too."""
    if isinstance(value, tuple):
        return tuple(_fit(item, rows, places) for item in value)
    if not isinstance(value, Tensor) or value.dim() < 2:
        return value
    own = value[rows if len(value) > 1 else torch.zeros_like(rows)]
    axis = value.dim() - 2 if value.dim() == 4 else 1
    return own if places is None or value.shape[axis] == 1 else take(own, places, axis)


def among_recorded(block: Block, owner: Tensor, window: Tensor, call: Call) -> tuple[Tensor, Tensor]:
    """Return keys and values `[copy, head, token, size]` of all tokens: a call's own at `window`, of those recorded."""
    index = window[:, None, :, None]
    key, value = (
        recorded[owner].scatter_(2, index.expand_as(new), new)
        for recorded, new in ((block.key, call.key), (block.value, call.value))
    )
    return key, value
