"""Run the blocks of a trace again from changed neurons: the replay (the engine's core).

A *copy* is a sequence whose neurons at one position, the query or the subject's last token, of one layer were replaced;
copies of all layers travel through the later blocks together. In a causal model the earlier positions never change, so
a copy is the tokens from that position to the query, which attend to the recorded keys and values of those before; in a
masked model a copy is the whole sequence. The last block runs for the query alone. In a masked model the block that
comes after a copy's own still finds the other tokens as they were, and takes what it makes of them for its attention
from the record. A decoder is run as a causal model; what it gets from its encoder never changes. An encoder is run as a
masked model, its last block too for the whole sequence, as its decoder looks at all of it.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from typing import Any

import torch
from torch import Tensor, nn

from atlas.engine.tracing import (
    Block,
    Trace,
    among_recorded,
    beginnings,
    call_block,
    neurons_at,
    put_at,
    take,
)
from atlas.models.hooks import Call, Rule, attending, forwards, given, neurons_kept, neurons_replaced, now, running
from atlas.models.norms import norms_held
from atlas.models.readout import embedded, features_of_hidden, token_probability


@dataclass(frozen=True, slots=True)
class Entry:
    """Copies that enter at one layer: what their neurons wrote, and the row of the trace of each unit, `owner`.

    The copies of a unit share all of the block but what its down-projection gives: `written` `[unit, node, hidden]`.
    With `held` `[unit, hidden]` the norm behind the down-projection is held at these factors, and `written` is what the
    block adds to the residual stream.
    """

    owner: Tensor
    written: Tensor
    held: Tensor | None = None


def replay(record: Trace, entries: Mapping[int, Entry]) -> Tensor:
    """Return F of every copy, `[copy]`: layer by layer, unit by unit; differentiable in what the entries wrote."""
    with attending(record.model):
        hidden, owner = _through_blocks(record, entries)
        features = features_of_hidden(record.model, hidden, record.ids[owner])
    return token_probability(record.model, features, record.target[owner])


def rerun(record: Trace, start: int) -> Tensor:
    """Run blocks `start` and later again on what block `start` received, as the model is now: `[batch, hidden]`.

    Returns what the output matrix receives at the query; differentiable in whatever hooks put into those blocks.
    The last block runs for the query alone, where the answer is read there.
    """
    owner = torch.arange(len(record.ids), device=record.ids.device)
    hidden, last = record.blocks[start].hidden, len(record.blocks) - 1
    with attending(record.model):
        for layer in range(start, last + record.model.reads):
            hidden = call_block(record, layer, hidden, owner, Call.attend)
        if not record.model.reads:
            known, query = record.blocks[last].attended, record.query[:, None]
            as_known = start == last and not record.apart
            rule = partial(given, known) if as_known else _among_all(record, last, hidden, owner)
            hidden = call_block(record, last, take(hidden, query), owner, rule, query)
        return features_of_hidden(record.model, hidden, record.ids)


def resumed(record: Trace, start: int, owner: Tensor) -> Tensor:
    """Return what the output matrix receives for copies of the rows `owner`, `[copy, hidden]`, as the model is now.

    What is changed, from block `start` on, is so at their position alone. In a causal model what comes before it is as
    recorded. Differentiable in whatever hooks put into those blocks.
    """
    hidden = record.blocks[start].hidden[owner]
    hidden = hidden if record.window is None else take(hidden, record.window[owner])
    with attending(record.model):
        for layer in range(start, len(record.blocks)):
            hidden = run_copies(record, layer, hidden, owner)
        return features_of_hidden(record.model, hidden, record.ids[owner])


def gradients_at_values(record: Trace, *, held: bool) -> tuple[Tensor, Tensor]:
    """Return F(w) `[step]`, and dF/dw of every layer there, `[step, layer, neuron]`, in float32 or more.

    One run and one backward pass give it for all layers, and for all paths, which end there. `held`: a norm behind a
    layer's down-projection takes no notice of what is added to its own neurons.
    """
    model, every = record.model, torch.arange(len(record.ids), device=record.ids.device)
    added = torch.zeros_like(record.neurons).requires_grad_()
    plus = {layer: partial(_plus, added[:, layer]) for layer in range(model.info.layers)}
    with torch.enable_grad(), norms_held(model) if held else nullcontext(), neurons_replaced(model, plus):
        f = token_probability(model, resumed(record, 0, every), record.target)
        (gradients,) = torch.autograd.grad(f.sum(), added)
    return f.detach(), gradients.to(torch.promote_types(model.dtype, torch.float32))


def _plus(added: Tensor, neurons: Tensor) -> Tensor:
    """Return `neurons` `[row, token, neuron]` with `added` `[row, neuron]` where the run says that they are."""
    query = now().query
    assert query is not None
    return neurons + query[..., None] * added[:, None]


@torch.no_grad()
def neurons_from(record: Trace, first: int, ids: Tensor, owner: Tensor) -> Tensor:
    """Return the neurons, `[row, layer, neuron]`, of sequences `ids` `[row, token]` that are rows `owner` of the trace
    but for tokens from `first` on, at these rows' position; of a causal model only the tokens between run, and once
    where sequences are the same.
    """
    if record.model.kind != "causal":
        with running(rows=owner):
            return neurons_at(record.model, ids, record.query[owner], record.at[owner])[0]
    at, (places, which, _) = record.at[owner] - first, beginnings(ids, ids.shape[1])
    window = torch.arange(first, first + max(0, int(at.max())) + 1, device=ids.device).expand(len(places), -1)
    hidden, own = take(embedded(record.model, ids[places]), window), owner[places]
    with attending(record.model), neurons_kept(record.model, at.clamp_min(0), which) as seen:
        for layer, block in enumerate(record.blocks):
            hidden = call_block(record, layer, hidden, own, partial(_after_recorded, block, own, window), window)
    return torch.where(at[:, None, None] < 0, record.neurons[owner], torch.stack(seen, dim=1))


def _through_blocks(record: Trace, entries: Mapping[int, Entry]) -> tuple[Tensor, Tensor]:
    """Run all copies through the last block, layer by layer: hidden `[copy, token, hidden]`, owner [copy]."""
    hidden: Tensor | None = None
    owner = fresh = record.query.new_empty(0)
    for layer in range(min(entries), len(record.blocks)):
        if hidden is not None:
            with forwards(_as_recorded(record, layer, fresh)):
                hidden = run_copies(record, layer, hidden, owner)
        fresh = owner[:0]
        if layer in entries:
            new, own = _enter(record, layer, entries[layer])
            if record.apart or record.kept(layer) is None:
                new = record.put(layer, own, record.given(layer)[own], new)
            hidden = new if hidden is None else torch.cat([hidden, new])
            owner, fresh = torch.cat([owner, own]), own
    assert hidden is not None
    return hidden, owner


def _enter(record: Trace, layer: int, entry: Entry) -> tuple[Tensor, Tensor]:
    """Run block `layer` at the neurons' position alone, its attention as recorded.

    Returns outputs `[copy, 1, hidden]` and owners [copy].
    """
    block, owner = record.blocks[layer], entry.owner
    hidden = block.hidden[owner, record.at[owner], None]
    gives = record.model.down_projection(layer) if entry.held is None else record.model.norm(layer)
    out = finish_block(record, layer, hidden, block.attended[owner], entry.written, owner, gives)
    return out.flatten(0, 1)[:, None], owner.repeat_interleave(entry.written.shape[1])


def finish_block(
    record: Trace, layer: int, hidden: Tensor, attended: Tensor, written: Tensor, owner: Tensor, gives: Any = None
) -> Tensor:
    """Run block `layer` at the neurons' place with known attention, its down-projection, or `gives`, giving `written`.

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
    with forwards({gives or record.model.down_projection(layer): partial(given, out.clone())}):
        return call_block(record, layer, hidden, owner, partial(given, attended), record.at[owner][:, None])


def _as_recorded(record: Trace, layer: int, fresh: Tensor) -> dict[nn.Module, Callable[[Tensor], Tensor]]:
    """Return projections of the last copies, owned by `fresh`, at their neurons alone, elsewhere as recorded."""
    known = record.blocks[layer].projected if len(fresh) else {}
    return {m: partial(_projection, m.forward, found, fresh, record.at[fresh]) for m, found in known.items()}


def _projection(
    project: Callable[[Tensor], Tensor], known: Tensor, fresh: Tensor, at: Tensor, hidden: Tensor
) -> Tensor:
    """Project `hidden` `[copy, token, hidden]`, the last copies `at` [fresh] alone, else as `known`."""
    if hidden.shape[1] == 1:
        return project(hidden)
    old = len(hidden) - len(fresh)
    new = put_at(known[fresh], at, project(take(hidden[old:], at[:, None])))
    return torch.cat([project(hidden[:old]), new])


def run_copies(
    record: Trace, layer: int, hidden: Tensor, owner: Tensor, watch: Callable[[Rule], Rule] | None = None
) -> Tensor:
    """Run block `layer` on copies for the tokens that are kept behind it (see `Trace.kept`).

    In a causal model they come after a recorded prefix; in the last block there are all tokens' keys and values, and
    the rest of one. `watch` is given the rule of the copies' attention and returns the one to follow.
    """
    kept, window = (None if places is None else places[owner] for places in (record.kept(layer), record.window))
    rule: Rule = Call.attend
    if kept is not None and window is not None and kept.shape[1] == hidden.shape[1]:
        rule = partial(_after_recorded, record.blocks[layer], owner, window)
    elif kept is not None:
        rule = _among_all(record, layer, hidden, owner, window)
        hidden = take(hidden, kept if window is None else kept - window[:, :1])
    return call_block(record, layer, hidden, owner, watch(rule) if watch else rule, kept)


def _after_recorded(block: Block, owner: Tensor, window: Tensor, call: Call) -> Tensor:
    """The rule of a causal copy: its own keys and values at `window` `[copy, token]`, of those recorded."""
    return call.attend(*among_recorded(block, owner, window, call))


def _among_all(record: Trace, layer: int, hidden: Tensor, owner: Tensor, window: Tensor | None = None) -> Rule:
    """Return the rule of the query alone: block `layer`'s keys and values of all tokens.

    Those of `hidden` are the tokens at `window` `[copy, token]`, or all. The block is run up to its attention and left
    from there; no code of the models' own stops so early. Nobody asks for its queries: zeros stand for them.
    """
    found: list[Call] = []

    def stop(call: Call) -> Tensor:
        found.append(call)
        raise _Stopped

    projections = record.model.projections[layer]
    unasked = {projections[0]: torch.zeros_like} if len(projections) > 1 else {}
    with forwards(unasked), suppress(_Stopped):
        call_block(record, layer, hidden, owner, stop, window)
    key, value = found[0].key, found[0].value
    if window is not None:
        key, value = among_recorded(record.blocks[layer], owner, window, found[0])
    return methodcaller("attend", key, value)


class _Stopped(Exception):  # noqa: N818
    """Raised inside a block once its keys and values are known; the rest of the block is not needed."""
