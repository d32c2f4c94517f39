"""What an edit must reach and what it must leave alone, as traces that start at the lowest edited layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from atlas.engine.batches import StepBatch, by_shape
from atlas.engine.replay import rerun
from atlas.engine.tracing import Block, Cross, Trace, fitted, take, trace
from atlas.facts import Prompt
from atlas.models import LanguageModel, Step
from atlas.models.readout import output_matrix, token_logits


@dataclass(frozen=True, slots=True)
class TracedPrompts:
    """Sequences as the unedited model ran them, and which rows are to be changed and which to be kept."""

    record: Trace
    change: Tensor  # [row]
    keep: Tensor  # [row]
    kept: Tensor  # [row, vocabulary], log-probabilities before the edit of the sequences to be kept

    def logits(self, start: int) -> Tensor:
        """Return the logits `[row, vocabulary]` at the query, blocks `start` and later run again as they are now."""
        return token_logits(rerun(self.record, start), *output_matrix(self.record.model), self.record.target)

    @property
    def target(self) -> Tensor:
        """The new answer's tokens, one for each sequence to be changed."""
        return self.record.target[self.change]


@dataclass(frozen=True, slots=True)
class Problem:
    """The batches, and the first block that must run again."""

    batches: tuple[TracedPrompts, ...]
    start: int = 0

    @property
    def change(self) -> int:
        """How many sequences are to be changed."""
        return sum(len(batch.change) for batch in self.batches)

    @property
    def keep(self) -> int:
        """How many sequences are to be kept."""
        return sum(len(batch.keep) for batch in self.batches)

    def starting(self, layer: int) -> "Problem":
        """Return the problem with `layer` as the lowest that changes.

        Where the queries of the last are all that the answers depend on, all sequences are one batch.
        """
        records = [batch.record for batch in self.batches]
        model = records[0].model
        if layer < model.info.layers - 1 or model.reads:
            return Problem(self.batches, layer)
        first = torch.tensor([0, *(len(record.ids) for record in records)]).cumsum(0).tolist()
        change, keep = (
            torch.cat([getattr(batch, side) + at for batch, at in zip(self.batches, first, strict=False)])
            for side in ("change", "keep")
        )
        kept = torch.cat([batch.kept for batch in self.batches])
        return Problem((TracedPrompts(joined_at_query(records), change, keep, kept),), layer)


def make_problem(model: LanguageModel, change: Sequence[Prompt], keep: Sequence[Prompt]) -> Problem:
    """Trace the steps of the prompts to `change`, whose answers are the new ones, and of those to `keep`."""
    sides = [(side, prompt) for side, prompts in enumerate((change, keep)) for prompt in prompts]
    steps = [(side, step) for side, prompt in sides for step in model.steps(prompt)]
    return Problem(tuple(_batch(model, group) for group in by_shape(steps, itemgetter(1))))


def _batch(model: LanguageModel, group: Sequence[tuple[int, Step]]) -> TracedPrompts:
    """Trace steps of one shape, those to change (side 0) before those to keep."""
    record = trace(model, StepBatch.of(model, [step for _, step in group]))
    change = sum(side == 0 for side, _ in group)
    with torch.no_grad():
        kept = torch.log_softmax(
            token_logits(record.features[change:], *output_matrix(model), record.target[change:]), -1
        )
    rows = torch.arange(len(group), device=model.device)
    return TracedPrompts(record, rows[:change], rows[change:], kept)


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
