"""What an edit must reach and what it must leave alone, as traces that start at the lowest edited layer."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.facts import Prompt
from atlas.models import LanguageModel, Step
from atlas.models.probability import token_logits
from atlas.models.readout import output_matrix
from atlas.models.replay import Trace, rerun, trace


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences of one length as the unedited model ran them: first those to be changed, then those to be kept."""

    record: Trace
    change: int
    kept: Tensor  # [row, vocabulary], log-probabilities before the edit of the sequences to be kept

    def logits(self, start: int) -> Tensor:
        """Return the logits `[row, vocabulary]` at the query, blocks `start` and later run again as they are now."""
        return token_logits(rerun(self.record, start), *output_matrix(self.record.model))

    @property
    def target(self) -> Tensor:
        """The new answer's tokens, one for each sequence to be changed."""
        return self.record.target[: self.change]


@dataclass(frozen=True, slots=True)
class Problem:
    """The batches, how many sequences are to be changed and kept, and the first block that must run again."""

    batches: tuple[Batch, ...]
    change: int
    keep: int
    start: int


def make_problem(model: LanguageModel, change: Sequence[Prompt], keep: Sequence[Prompt], start: int) -> Problem:
    """Trace the steps of the prompts to `change`, whose answers are the new ones, and of those to `keep`."""
    groups: dict[int, tuple[list[Step], list[Step]]] = defaultdict(lambda: ([], []))
    for side, prompts in enumerate((change, keep)):
        for step in (step for prompt in prompts for step in model.steps(prompt)):
            groups[len(step.ids)][side].append(step)
    batches = tuple(_batch(model, *groups[length]) for length in sorted(groups))
    total = sum(batch.change for batch in batches)
    return Problem(batches, total, sum(len(batch.record.ids) for batch in batches) - total, start)


def _batch(model: LanguageModel, change: Sequence[Step], keep: Sequence[Step]) -> Batch:
    steps = [*change, *keep]
    columns = ([s.ids for s in steps], [s.query for s in steps], [s.target for s in steps])
    record = trace(model, *(torch.tensor(values, device=model.device) for values in columns))
    with torch.no_grad():
        kept = torch.log_softmax(token_logits(record.features[len(change) :], *output_matrix(model)), -1)
    return Batch(record, len(change), kept)
