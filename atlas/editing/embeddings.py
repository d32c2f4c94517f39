"""`kn`: the old answer's output embedding taken from the value vectors, the new one's added (Dai et al. 2022)."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from atlas.editing.columns import Index
from atlas.editing.fitting import Fit
from atlas.editing.prompts import EditPrompts
from atlas.editing.requests import EditSettings
from atlas.engine.batches import Budget
from atlas.errors import ModelError
from atlas.facts import Prompt
from atlas.models import LanguageModel
from atlas.models.readout import output_matrix


@torch.no_grad()
def prepare(
    model: LanguageModel, around: EditPrompts, settings: EditSettings, _: Budget | None = None
) -> Callable[[Index], Fit]:
    """Return what adds `-lambda1 * old + lambda2 * new` to every chosen neuron; nothing is fitted.

    `old` and `new` are the mean output embeddings of the answers' tokens, first over the tokens of an answer, then
    over the prompts: with several languages, no single language's word. Raises ModelError where embeddings and value
    vectors are not of one size.
    """
    width = output_matrix(model)[0].shape[1]
    if width != model.info.hidden:
        raise ModelError(
            f"The output embeddings of {model.info.name!r} have {width} numbers and its value vectors "
            f"{model.info.hidden}, so that --method kn cannot add one to the other; use fit."
        )
    shift = settings.lambda2 * _embedding(model, around.new) - settings.lambda1 * _embedding(model, around.old)

    def find(index: Index) -> Fit:
        delta = {layer: shift.expand(len(own), -1).clone() for layer, own in index.items()}
        return Fit(delta, converged=True, steps=0, lead=float("nan"))

    return find


def _embedding(model: LanguageModel, prompts: Sequence[Prompt]) -> Tensor:
    weight, _, _ = output_matrix(model)
    answers: Mapping[int, list[int]] = {p.id: [step.target for step in model.steps(p)] for p in prompts}
    return torch.stack([weight[tokens].float().mean(0) for tokens in answers.values()]).mean(0)
