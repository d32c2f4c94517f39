"""What an edit must reach and what it must leave alone, as traces that start at the lowest edited layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from atlas.engine.batches import Budget, StepBatch, by_shape, sequence_bytes
from atlas.engine.replay import rerun
from atlas.engine.tracing import Block, Cross, Trace, fitted, take, trace
from atlas.facts import Prompt
from atlas.models import LanguageModel
from atlas.models.readout import chunks, output_matrix, token_logits


@dataclass(frozen=True, slots=True)
class TracedPrompts:
    """Sequences of one or more shapes as the unedited model ran them, whose logits are one product."""

    records: tuple[Trace, ...]

    def logits(self, start: int) -> Tensor:
        """Return the logits `[row, vocabulary]` at the query, blocks `start` and later run again as they are now."""
        return self._logits([rerun(record, start) for record in self.records])

    def before(self) -> Tensor:
        """Return the log-probabilities `[row, vocabulary]` at the query before any edit."""
        return torch.log_softmax(self._logits([record.features for record in self.records]), -1)

    def _logits(self, features: Sequence[Tensor]) -> Tensor:
        return token_logits(torch.cat(list(features)), *output_matrix(self.records[0].model), self.target)

    @property
    def target(self) -> Tensor:
        """The answers' tokens [row]."""
        return torch.cat([record.target for record in self.records])


@dataclass(frozen=True, slots=True)
class Problem:
    """Batches of sequences to `change`, to the answers that they have, and of those to `keep`, with what they said
    `before`, log-probabilities `[row, vocabulary]`; and the first block that must run again.
    """

    change: tuple[TracedPrompts, ...]
    keep: tuple[TracedPrompts, ...]
    before: tuple[Tensor, ...]
    start: int = 0

    def starting(self, layer: int) -> "Problem":
        """Return the problem with `layer` as the lowest that changes.

        Where the queries of the last are all that the answers depend on, all sequences of a side are one batch.
        """
        model = next(batch.records[0].model for batch in self.change + self.keep)
        if layer < model.info.layers - 1 or model.reads:
            return replace(self, start=layer)
        before = (torch.cat(self.before),) if self.before else ()
        return Problem(_joined(self.change), _joined(self.keep), before, layer)


def make_problem(
    model: LanguageModel, change: Sequence[Prompt], keep: Sequence[Prompt], budget: Budget | None = None
) -> Problem:
    """Trace the steps of the prompts to `change`, whose answers are the new ones, and of those to `keep`."""
    size = Budget.of(model, budget).bytes
    new, old = (tuple(_batches(model, prompts, size)) for prompts in (change, keep))
    with torch.no_grad():
        return Problem(new, old, tuple(batch.before() for batch in old))


def _batches(model: LanguageModel, prompts: Sequence[Prompt], budget: int) -> Iterator[TracedPrompts]:
    """Trace the steps of prompts, as many in a batch as a backward pass through all of them has `budget` bytes for."""
    records: list[Trace] = []
    room = budget
    for group in by_shape((step for prompt in prompts for step in model.steps(prompt)), lambda step: step):
        one = sequence_bytes(model, len(group[0].ids))
        for part in chunks(len(group), one, budget):
            need = one * (part.stop - part.start)
            if records and need > room:
                yield TracedPrompts(tuple(records))
                records, room = [], budget
            records.append(trace(model, StepBatch.of(model, group[part])))
            room -= need
    if records:
        yield TracedPrompts(tuple(records))


def _joined(batches: Sequence[TracedPrompts]) -> tuple[TracedPrompts, ...]:
    records = [record for batch in batches for record in batch.records]
    return (TracedPrompts((joined_at_query(records),)),) if records else ()


@torch.no_grad()
def joined_at_query(records: Sequence[Trace]) -> Trace:
    """Return one trace of the queries of all `records`, of any lengths, as sequences of one token.

    Their neurons are at the query. It knows the last block alone, and serves `rerun` from there.
    """
    blocks = [record.blocks[-1] for record in records]
    alike = [fitted(r, -1, torch.arange(len(r.ids), device=r.ids.device), r.query[:, None]) for r in records]
    block = Block(
        hidden=torch.cat([take(block.hidden, r.query[:, None]) for block, r in zip(blocks, records, strict=True)]),
        arguments={name: _join([arguments[name] for arguments in alike]) for name in alike[0]},
        key=torch.empty(0),
        value=torch.empty(0),
        attended=torch.cat([block.attended for block in blocks]),
        cross=_join_cross([block.cross for block in blocks]),
    )
    target = torch.cat([r.target for r in records])
    ids, query = torch.zeros_like(target)[:, None], torch.zeros_like(target)
    rows, layers = torch.arange(len(ids), device=ids.device), len(records[0].blocks)
    joined = Trace(records[0].model, ids, query, query, target, rows, [block] * layers)
    joined.features = torch.cat([record.features for record in records])
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
