"""What an edit must reach and what it must leave alone, as traces that start at the lowest edited layer."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.engine.replay import joined_at_query, rerun
from atlas.engine.tracing import Trace, trace
from atlas.facts import Prompt
from atlas.models import LanguageModel, Step
from atlas.models.probability import token_logits
from atlas.models.readout import output_matrix


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences as the unedited model ran them, and which rows are to be changed and which to be kept."""

    record: Trace
    change: Tensor  # [row]
    keep: Tensor  # [row]
    kept: Tensor  # [row, vocabulary], log-probabilities before the edit of the sequences to be kept

    def logits(self, start: int) -> Tensor:
        """Return the logits `[row, vocabulary]` at the query, blocks `start` and later run again as they are now."""
        return token_logits(rerun(self.record, start), *output_matrix(self.record.model))

    @property
    def target(self) -> Tensor:
        """The new answer's tokens, one for each sequence to be changed."""
        return self.record.target[self.change]


@dataclass(frozen=True, slots=True)
class Problem:
    """The batches, and the first block that must run again."""

    batches: tuple[Batch, ...]
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
        if layer < model.info.layers - 1 or model.apart:
            return Problem(self.batches, layer)
        first = torch.tensor([0, *(len(record.ids) for record in records)]).cumsum(0).tolist()
        change, keep = (
            torch.cat([getattr(batch, side) + at for batch, at in zip(self.batches, first, strict=False)])
            for side in ("change", "keep")
        )
        kept = torch.cat([batch.kept for batch in self.batches])
        return Problem((Batch(joined_at_query(records), change, keep, kept),), layer)


def make_problem(model: LanguageModel, change: Sequence[Prompt], keep: Sequence[Prompt]) -> Problem:
    """Trace the steps of the prompts to `change`, whose answers are the new ones, and of those to `keep`."""
    groups: dict[tuple[int, int], tuple[list[Step], list[Step]]] = defaultdict(lambda: ([], []))
    for side, prompts in enumerate((change, keep)):
        for step in (step for prompt in prompts for step in model.steps(prompt)):
            groups[step.shape][side].append(step)
    return Problem(tuple(_batch(model, *groups[length]) for length in sorted(groups)))


def _batch(model: LanguageModel, change: Sequence[Step], keep: Sequence[Step]) -> Batch:
    steps = [*change, *keep]
    columns = ([s.ids for s in steps], [s.query for s in steps], [s.target for s in steps])
    record = trace(model, *(torch.tensor(values, device=model.device) for values in columns))
    with torch.no_grad():
        kept = torch.log_softmax(token_logits(record.features[len(change) :], *output_matrix(model)), -1)
    rows = torch.arange(len(steps), device=model.device)
    return Batch(record, rows[: len(change)], rows[len(change) :], kept)
