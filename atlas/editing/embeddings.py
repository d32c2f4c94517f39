"""`kn`: the old answer's output embedding taken from the value vectors, the new one's added (Dai et al. 2022)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from atlas.editing.columns import Columns, Index
from atlas.editing.settings import EditSettings
from atlas.errors import ModelError
from atlas.facts import Prompt
from atlas.models import LanguageModel
from atlas.models.readout import output_matrix


@torch.no_grad()
def embedding_shift(
    model: LanguageModel, index: Index, old: Sequence[Prompt], new: Sequence[Prompt], settings: EditSettings
) -> Columns:
    """Return for every chosen neuron `-lambda1 * old + lambda2 * new`, `[neuron, hidden]` per layer.

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
    shift = settings.lambda2 * _embedding(model, new) - settings.lambda1 * _embedding(model, old)
    return {layer: shift.expand(len(own), -1).clone() for layer, own in index.items()}


def _embedding(model: LanguageModel, prompts: Sequence[Prompt]) -> Tensor:
    weight, _, _ = output_matrix(model)
    answers: Mapping[int, list[int]] = {p.id: [step.target for step in model.steps(p)] for p in prompts}
    return torch.stack([weight[tokens].float().mean(0) for tokens in answers.values()]).mean(0)
