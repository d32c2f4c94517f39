"""Steps as tensors, and the baselines of their words."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.engine.tracing import neurons_at_query
from atlas.models import LanguageModel, Step
from atlas.models.tokens import SEPARATOR


@dataclass(frozen=True, slots=True)
class StepBatch:
    """Steps that run together: `ids` `[step, token]`, `query` and `target` [step], and the steps they come from.

    They are of one shape, but in a causal model, where what follows the query changes nothing: there shorter ones are
    filled up at their end with their last token.
    """

    steps: tuple[Step, ...]
    ids: Tensor
    query: Tensor
    target: Tensor

    @classmethod
    def of(cls, model: LanguageModel, steps: Sequence[Step]) -> "StepBatch":
        """Put `steps` on the model's device: of one shape, or of any in a causal model."""
        length = max(len(step.ids) for step in steps)

        def tensor(values: object) -> Tensor:
            return torch.tensor(values, device=model.device)

        return cls(
            tuple(steps),
            tensor([[*step.ids, *step.ids[-1:] * (length - len(step.ids))] for step in steps]),
            tensor([step.query for step in steps]),
            tensor([step.target for step in steps]),
        )

    def select(self, rows: Tensor) -> "StepBatch":
        """Return the steps at `rows` alone."""
        return StepBatch(
            tuple(self.steps[i] for i in rows.tolist()), self.ids[rows], self.query[rows], self.target[rows]
        )


@dataclass(frozen=True, slots=True)
class Baselines:
    """Baseline neurons `[path, layer, neuron]` and the step that each path belongs to, `owner` [path]."""

    neurons: Tensor
    owner: Tensor


def zero_baselines(model: LanguageModel, batch: StepBatch) -> Baselines:
    """Return the zero vector as every step's baseline (Dai et al. 2022)."""
    shape = (len(batch.steps), model.info.layers, model.info.neurons)
    zeros = torch.zeros(shape, dtype=model.dtype, device=model.device)
    return Baselines(zeros, torch.arange(len(batch.steps), device=model.device))


def word_baselines(model: LanguageModel, batch: StepBatch, rows: int) -> Baselines:
    """Return one baseline per word: the query with that word's tokens replaced by the filler (Chen et al., Eq. 3).

    At most `rows` sequences run together.
    """
    return _replaced(model, batch, [step.words for step in batch.steps], rows)


def mean_baselines(model: LanguageModel, batch: StepBatch, rows: int, *, every_token: bool) -> Baselines:
    """Return one baseline per step: the mean over its words, or over all tokens, special ones too, if `every_token`."""
    words = [_every_token(model, step) if every_token else step.words for step in batch.steps]
    single = _replaced(model, batch, words, rows)
    sums = single.neurons.new_zeros(len(batch.steps), *single.neurons.shape[1:]).index_add_(
        0, single.owner, single.neurons
    )
    counts = torch.bincount(single.owner, minlength=len(batch.steps)).to(sums.dtype)
    return Baselines(sums / counts[:, None, None], torch.arange(len(batch.steps), device=model.device))


def _every_token(model: LanguageModel, step: Step) -> tuple[tuple[int], ...]:
    """Return the position of every token that the query sees; an encoder sees none of its decoder's."""
    seen = step.ids[: step.shape[1]] if model.apart else step.ids
    return tuple((i,) for i, token in enumerate(seen) if token != SEPARATOR)


def _replaced(model: LanguageModel, batch: StepBatch, words: Sequence[Sequence[Sequence[int]]], rows: int) -> Baselines:
    owner = torch.tensor([i for i, group in enumerate(words) for _ in group], device=model.device)
    ids = batch.ids[owner]
    for row, positions in enumerate(word for group in words for word in group):
        ids[row, list(positions)] = model.filler
    query = batch.query[owner]
    parts = [neurons_at_query(model, ids[i : i + rows], query[i : i + rows]) for i in range(0, len(ids), rows)]
    return Baselines(torch.cat(parts), owner)
