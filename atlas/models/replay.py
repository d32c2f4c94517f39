"""Run a model once and then again from changed neurons: the trace and its replay (the engine's core).

A *trace* keeps, for a batch of sequences of one length, what every block received. A *copy* is a sequence whose
neurons at the query position of one layer were replaced; copies of all layers travel through the later blocks
together. In a causal model the earlier positions never change, so a copy is one token that attends to the recorded
keys and values; in a masked model a copy is the whole sequence, up to the last block, which runs for the query alone.
The block that comes after a copy's own still finds the other tokens as they were, and takes what it makes of them for
its attention from the record.
A decoder is run as a causal model; what it gets from its encoder never changes. An encoder is run as a masked model,
its last block too for the whole sequence, as its decoder looks at all of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from atlas.models.attention import Call, Rule, attending, current_rule, following, itself
from atlas.models.hooks import forwards, neuron_hook, querying
from atlas.models.model import LanguageModel
from atlas.models.readout import at_query, features_of_hidden, features_of_ids, token_probability


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
    neurons: Tensor  # [batch, neuron], at the query
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
    features: Tensor = field(default_factory=lambda: torch.empty(0))  # [batch, hidden], into the output matrix
    final: Tensor | None = None  # [batch, token, hidden], the last block's output

    @property
    def neurons(self) -> Tensor:
        """The neurons at the query position, `[batch, layer, neuron]`."""
        return torch.stack([block.neurons for block in self.blocks], dim=1)

    def received(self, layer: int) -> Tensor:
        """Return what block `layer` received, `[batch, token, hidden]`; past the last one, what that one gave."""
        if layer < len(self.blocks):
            return self.blocks[layer].hidden
        assert self.final is not None
        return self.final


@dataclass(frozen=True, slots=True)
class Entry:
    """Copies that enter at one layer: what their neurons wrote, and the row of the trace of each unit, `owner`.

    The copies of a unit share all of the block but what its down-projection gives: `written` `[unit, node, hidden]`.
    """

    owner: Tensor
    written: Tensor


@torch.no_grad()
def trace(model: LanguageModel, ids: Tensor, query: Tensor, target: Tensor) -> Trace:
    """Run `ids` `[batch, token]` once and keep what a replay from any layer needs."""
    record = Trace(model, ids, query, target)
    with attending(model, _recorder(record)), _recorded(record):
        record.features = features_of_ids(model, ids, query)
    return record


@torch.no_grad()
def neurons_at_query(model: LanguageModel, ids: Tensor, query: Tensor) -> Tensor:
    """Return the neurons of every layer at `query` [batch] of `ids` `[batch, token]`: `[batch, layer, neuron]`."""
    seen: list[Tensor] = []
    rows = torch.arange(len(ids), device=ids.device)

    def keep(neurons: Tensor) -> Tensor:
        seen.append(neurons[rows, query])
        return neurons

    with ExitStack() as stack:
        for layer in range(model.info.layers):
            stack.enter_context(neuron_hook(model, layer, keep))
        features_of_ids(model, ids, query)
    return torch.stack(seen, dim=1)


def replay(record: Trace, entries: Mapping[int, Entry]) -> Tensor:
    """Return F of every copy, `[copy]`: layer by layer, unit by unit; differentiable in what the entries wrote."""
    with attending(record.model, itself):
        hidden, owner = _through_blocks(record, entries)
        features = features_of_hidden(record.model, hidden, record.ids[owner])
    return token_probability(record.model, features, record.target[owner])


def rerun(record: Trace, start: int) -> Tensor:
    """Run blocks `start` and later again on what block `start` received, as the model is now: `[batch, hidden]`.

    Returns what the output matrix receives at the query; differentiable in whatever hooks put into those blocks.
    The last block runs for the query alone, where the answer is read there.
    """
    owner = torch.arange(len(record.ids), device=record.ids.device)
    hidden = record.blocks[start].hidden
    last = len(record.blocks) - 1
    with attending(record.model, itself):
        for layer in range(start, last + record.model.apart):
            hidden = call_block(record, layer, hidden, owner, narrow=False)
        if not record.model.apart:
            hidden = _last_again(record, hidden, owner) if start == last else run_last(record, last, hidden, owner)
        return features_of_hidden(record.model, hidden, record.ids)


def _last_again(record: Trace, hidden: Tensor, owner: Tensor) -> Tensor:
    """Run the last block at the query alone on what it received, its attention as recorded."""
    last = len(record.blocks) - 1
    with following(lambda _: record.blocks[last].attended):
        return call_block(record, last, query_row(record, hidden, owner), owner, narrow=True)


@torch.no_grad()
def joined_at_query(records: Sequence[Trace]) -> Trace:
    """Return one trace of the queries of all `records`, of any lengths, as sequences of one token.

    It knows the last block alone, and serves `rerun` from there.
    """
    parts = [(r.blocks[-1], _Adapter(r, torch.arange(len(r.ids), device=r.ids.device), narrow=True)) for r in records]
    block = Block(
        hidden=torch.cat([query_row(a.record, b.hidden, a.owner) for b, a in parts]),
        arguments={name: _join([a(b.arguments)[name] for b, a in parts]) for name in parts[0][0].arguments},
        key=torch.empty(0),
        value=torch.empty(0),
        attended=torch.cat([b.attended for b, _ in parts]),
        neurons=torch.cat([b.neurons for b, _ in parts]),
        cross=_join_cross([b.cross for b, _ in parts]),
    )
    target = torch.cat([r.target for r in records])
    ids, query = torch.zeros_like(target)[:, None], torch.zeros_like(target)
    joined = Trace(records[0].model, ids, query, target, features=torch.cat([r.features for r in records]))
    joined.blocks = [block] * len(records[0].blocks)
    return joined


def _join(values: Sequence[Any]) -> Any:
    """Join the same argument of several batches, cut to the query; a mask to one key, as nobody looks at it."""
    if isinstance(values[0], tuple):
        return tuple(_join(parts) for parts in zip(*values, strict=True))
    if not isinstance(values[0], Tensor) or values[0].dim() < 2:
        return values[0]
    return torch.cat([value[..., :1] if value.dim() == 4 else value for value in values])


def _join_cross(parts: Sequence[Cross | None]) -> Cross | None:
    """Join what the queries got from their encoders; their keys, of many lengths, are left out."""
    known = [part.attended for part in parts if part is not None]
    return Cross(torch.empty(0), torch.empty(0), torch.cat(known)) if known else None


def _through_blocks(record: Trace, entries: Mapping[int, Entry]) -> tuple[Tensor, Tensor]:
    """Run all copies through the last block, layer by layer: hidden `[copy, 1 or token, hidden]`, owner [copy]."""
    hidden: Tensor | None = None
    owner = fresh = record.query.new_empty(0)
    for layer in range(min(entries), len(record.blocks)):
        if hidden is not None:
            with _projecting(record, layer, fresh):
                hidden = run_copies(record, layer, hidden, owner)
        fresh = owner[:0]
        if layer in entries:
            new = _enter(record, layer, entries[layer])
            own = entries[layer].owner.repeat_interleave(entries[layer].written.shape[1])
            if stays_whole(record, layer):
                new = _into_sequence(record, layer + 1, new, own)
            hidden = new if hidden is None else torch.cat([hidden, new])
            owner, fresh = torch.cat([owner, own]), own
    assert hidden is not None
    return hidden, owner


def _enter(record: Trace, layer: int, entry: Entry) -> Tensor:
    """Run block `layer` at the query alone, its attention as recorded and other neurons: `[copy, 1, hidden]`."""
    block = record.blocks[layer]
    hidden = query_row(record, block.hidden, entry.owner)
    out = finish_block(record, layer, hidden, block.attended[entry.owner], entry.written, entry.owner)
    return out.flatten(0, 1)[:, None]


def finish_block(record: Trace, layer: int, hidden: Tensor, attended: Tensor, written: Tensor, owner: Tensor) -> Tensor:
    """Run block `layer` at the query alone with known attention, its down-projection giving `written`.

    All of `[row, node, hidden]`: what comes after the down-projection works token by token, so several nodes stand
    where one token would, except where the feed-forward network has no batch axis.
    """
    flat = record.model.family.flat
    if flat and written.shape[1] > 1:
        rows, nodes = written.shape[:2]
        hidden, attended, owner = (part.repeat_interleave(nodes, 0) for part in (hidden, attended, owner))
        return finish_block(record, layer, hidden, attended, written.flatten(0, 1)[:, None], owner).view(
            rows, nodes, -1
        )
    out = written[:, 0] if flat else written
    # A copy, as some blocks add to it in place.
    with following(lambda _: attended), forwards({record.model.down_projection(layer): lambda _: out.clone()}):
        return call_block(record, layer, hidden, owner, narrow=True)


def _into_sequence(record: Trace, layer: int, new: Tensor, owner: Tensor) -> Tensor:
    """Put `new` `[copy, 1, hidden]` at the query of what block `layer` received: `[copy, token, hidden]`."""
    return put_at_query(record.received(layer)[owner], record.query[owner], new)


def put_at_query(around: Tensor, query: Tensor, new: Tensor) -> Tensor:
    """Return `around` `[copy, token, hidden]` with `new` `[copy, 1, hidden]` at `query` [copy]."""
    return around.scatter(1, query.view(-1, 1, 1).expand(-1, 1, new.shape[-1]), new)


@contextmanager
def _projecting(record: Trace, layer: int, fresh: Tensor) -> Iterator[None]:
    """Project the last copies, owned by `fresh`, at the query alone: elsewhere they are as recorded."""
    known = record.blocks[layer].projected if len(fresh) else {}
    with forwards(
        {m: partial(_projection, m.forward, found, fresh, record.query[fresh]) for m, found in known.items()}
    ):
        yield


def _projection(
    project: Callable[[Tensor], Tensor], known: Tensor, fresh: Tensor, query: Tensor, hidden: Tensor
) -> Tensor:
    """Project `hidden` `[copy, token, hidden]`, the last copies at the `query` [fresh] alone, else as `known`."""
    if hidden.shape[1] == 1:
        return project(hidden)
    old = len(hidden) - len(fresh)
    new = put_at_query(known[fresh], query, project(_pick(hidden[old:], query)))
    return torch.cat([project(hidden[:old]), new])


def _plain(rule: Rule) -> Rule:
    return rule


def stays_whole(record: Trace, layer: int) -> bool:
    """Return whether copies are whole sequences behind block `layer`, not the query alone."""
    return record.model.whole and (layer < len(record.blocks) - 1 or record.model.apart)


def run_copies(
    record: Trace, layer: int, hidden: Tensor, owner: Tensor, watch: Callable[[Rule], Rule] = _plain
) -> Tensor:
    """Run block `layer` on copies, whole sequences if the model's are, for what is needed behind it."""
    run = run_block if stays_whole(record, layer) or not record.model.whole else run_last
    return run(record, layer, hidden, owner, watch)


def run_block(
    record: Trace, layer: int, hidden: Tensor, owner: Tensor, watch: Callable[[Rule], Rule] = _plain
) -> Tensor:
    """Run block `layer` on copies: whole sequences or, in a causal model, one token after a recorded prefix."""
    whole = record.model.whole
    with following(watch(itself if whole else _among_recorded(record.blocks[layer], owner, record.query[owner]))):
        return call_block(record, layer, hidden, owner, narrow=not whole)


def run_last(
    record: Trace, layer: int, hidden: Tensor, owner: Tensor, watch: Callable[[Rule], Rule] = _plain
) -> Tensor:
    """Run the last block of a masked model for the query position: keys and values of all tokens, the rest of one."""
    found: list[Call] = []
    unasked = dict.fromkeys(record.model.projections(layer)[:-1][:1], _nothing)
    with following(_stop_with(found)), forwards(unasked), suppress(_Stopped):
        call_block(record, layer, hidden, owner, narrow=False)
    everywhere = found[0]
    mask = _mask_row(everywhere.mask, record.query[owner])
    with following(watch(lambda call: call.attend(everywhere.key, everywhere.value, mask))):
        return call_block(record, layer, _pick(hidden, record.query[owner]), owner, narrow=True)


def _nothing(hidden: Tensor) -> Tensor:
    """Stand in for a projection to queries that nobody asks for: as many zeros, none of them stored."""
    return hidden.new_zeros(()).expand_as(hidden)


class _Stopped(Exception):  # noqa: N818
    """Raised inside a block once its keys and values are known; the rest of the block is not needed."""


def _stop_with(found: list[Call]) -> Callable[[Call], Tensor]:
    def rule(call: Call) -> Tensor:
        found.append(call)
        raise _Stopped

    return rule


def _among_recorded(block: Block, owner: Tensor, query: Tensor) -> Callable[[Call], Tensor]:
    """The rule of a causal copy: its own key and value at the `query` [copy] of the recorded ones."""
    place = query.view(-1, 1, 1, 1)

    def own(recorded: Tensor, new: Tensor) -> Tensor:
        return recorded[owner].scatter_(2, place.expand_as(new), new)

    return lambda call: call.attend(own(block.key, call.key), own(block.value, call.value), call.mask)


def call_block(record: Trace, layer: int, hidden: Tensor, owner: Tensor, *, narrow: bool) -> Tensor:
    """Call block `layer` with its recorded arguments, expanded to the copies and, if `narrow`, cut to the query."""
    block = record.blocks[layer]
    adapt = _Adapter(record, owner, narrow)
    if narrow:
        place = torch.ones_like(owner[:, None], dtype=torch.bool)
    else:
        place = at_query(record.query[owner], hidden.shape[1])
    with querying(place), following(_crossing(block, owner)):
        out = record.model.blocks()[layer](hidden, **adapt(block.arguments))
    result: Tensor = out[0] if isinstance(out, tuple) else out
    return result


def _crossing(block: Block, owner: Tensor) -> Rule:
    """The rule in force, but a decoder's attention to its encoder goes to the recorded keys and values."""
    rule = current_rule()

    def crossing(call: Call) -> Tensor:
        if not call.cross or block.cross is None:
            return rule(call)
        if not len(block.cross.key):
            return block.cross.attended[owner]
        return call.attend(block.cross.key[owner], block.cross.value[owner], call.mask)

    return crossing


@dataclass(frozen=True, slots=True)
class _Adapter:
    """Fits recorded arguments to copies: rows by owner, and the query's row where a dimension runs over tokens.

    Of the encoder's output one token stays: its keys and values are recorded, so nobody looks at it.
    """

    record: Trace
    owner: Tensor
    narrow: bool

    def __call__(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        read = arguments.get("encoder_hidden_states")
        known = {} if read is None else {"encoder_hidden_states": read[self.owner, :1]}
        return {name: self.fit(value) for name, value in arguments.items() if name not in known} | known

    def fit(self, value: Any) -> Any:
        """Return one argument as the copies need it."""
        if isinstance(value, tuple):
            return tuple(self.fit(item) for item in value)
        if not isinstance(value, Tensor) or value.dim() < 2:
            return value
        rows = value.expand(len(self.record.ids), *value.shape[1:])[self.owner]
        if not self.narrow:
            return rows
        axis = value.dim() - 2 if value.dim() == 4 else 1
        if value.shape[axis] == 1:
            return rows
        return _pick(rows, self.record.query[self.owner], axis)


def _pick(rows: Tensor, query: Tensor, axis: int = 1) -> Tensor:
    """Keep position `query` [copy] of `axis`, as an axis of one."""
    index = query.view(-1, *(1 for _ in rows.shape[1:])).expand(
        -1, *(1 if i == axis else n for i, n in enumerate(rows.shape[1:], 1))
    )
    return rows.gather(axis, index)


def _mask_row(mask: Tensor | None, query: Tensor) -> Tensor | None:
    return None if mask is None else _pick(mask, query, 2)


def query_row(record: Trace, hidden: Tensor, owner: Tensor) -> Tensor:
    """Return the query's row of `hidden` `[batch, token, hidden]` for each owner: `[copy, 1, hidden]`."""
    return hidden[owner, record.query[owner]][:, None]


def _recorder(record: Trace) -> Callable[[Call], Tensor]:
    """The rule of the traced run: attend as usual and keep keys, values and the query's result."""
    rows = torch.arange(len(record.ids), device=record.ids.device)

    def rule(call: Call) -> Tensor:
        out = itself(call)
        if not record.blocks or record.final is not None:  # the other stack's
            return out
        block = record.blocks[-1]
        if call.cross:
            block.cross = Cross(call.key, call.value, out[rows, :, record.query][:, :, None])
            return out
        block.key, block.value = call.key, call.value
        block.attended = out[rows, :, record.query][:, :, None]
        return out

    return rule


def _unfolded(value: Any, batch: int) -> Any:
    """Give an argument that folds batch and heads into one axis, `[batch * head, 1, token]`, two axes for them."""
    if isinstance(value, tuple):
        return tuple(_unfolded(item, batch) for item in value)
    if not isinstance(value, Tensor) or value.dim() != 3 or len(value) in (1, batch):
        return value
    return value.unflatten(0, (batch, -1))


@contextmanager
def _recorded(record: Trace) -> Iterator[None]:
    """Keep what every block receives and the neurons at the query, in a trace under way."""
    rows = torch.arange(len(record.ids), device=record.ids.device)
    empty = torch.empty(0)

    def on_block(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = list(signature(block.forward).parameters)[1 : len(args)]
        arguments = dict(zip(names, args[1:], strict=True)) | kwargs
        if record.model.family.arguments is not None:
            arguments = record.model.family.arguments(block, arguments, args[0])
        arguments = {name: _unfolded(value, len(args[0])) for name, value in arguments.items()}
        record.blocks.append(Block(args[0], arguments, empty, empty, empty, empty))

    def on_neurons(neurons: Tensor) -> Tensor:
        record.blocks[-1].neurons = neurons[rows, record.query]
        return neurons

    def on_projection(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        record.blocks[-1].projected[module] = out

    def on_last(_: nn.Module, __: tuple[Any, ...], out: Any) -> None:
        record.final = out[0] if isinstance(out, tuple) else out

    with ExitStack() as stack:
        stack.callback(record.model.blocks()[-1].register_forward_hook(on_last).remove)
        for layer, block in enumerate(record.model.blocks()):
            stack.callback(block.register_forward_pre_hook(on_block, with_kwargs=True).remove)
            for module in record.model.projections(layer):
                stack.callback(module.register_forward_hook(on_projection).remove)
            stack.enter_context(neuron_hook(record.model, layer, on_neurons))
        yield
