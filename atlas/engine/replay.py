"""Run the blocks of a trace again from changed neurons: the replay (the engine's core).

A *copy* is a sequence whose neurons at the query position of one layer were replaced; copies of all layers travel
through the later blocks together. In a causal model the earlier positions never change, so a copy is one token that
attends to the recorded keys and values; in a masked model a copy is the whole sequence, up to the last block, which
runs for the query alone. The block that comes after a copy's own still finds the other tokens as they were, and takes
what it makes of them for its attention from the record. A decoder is run as a causal model; what it gets from its
encoder never changes. An encoder is run as a masked model, its last block too for the whole sequence, as its decoder
looks at all of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from atlas.engine.tracing import Block, Cross, Trace
from atlas.models.attention import Call, Rule, attending, current_rule, following, itself
from atlas.models.hooks import forwards, querying
from atlas.models.model import LanguageModel
from atlas.models.readout import at_query, features_of_hidden, token_probability


@dataclass(frozen=True, slots=True)
class Entry:
    """Copies that enter at one layer: what their neurons wrote, and the row of the trace of each unit, `owner`.

    The copies of a unit share all of the block but what its down-projection gives: `written` `[unit, node, hidden]`.
    """

    owner: Tensor
    written: Tensor


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
    with following(_stop_with(found)), forwards(_without_queries(record.model, layer)), suppress(_Stopped):
        call_block(record, layer, hidden, owner, narrow=False)
    everywhere = found[0]
    mask = _mask_row(everywhere.mask, record.query[owner])
    with following(watch(lambda call: call.attend(everywhere.key, everywhere.value, mask))):
        return call_block(record, layer, _pick(hidden, record.query[owner]), owner, narrow=True)


def _without_queries(model: LanguageModel, layer: int) -> dict[nn.Module, Callable[[Tensor], Tensor]]:
    """Return what stands in for the projection to queries, where it is a module of its own."""
    projections = model.projections(layer)
    return {projections[0]: _nothing} if len(projections) > 1 else {}


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
