"""What neurons write: the tokens that their value vectors promote and demote."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from atlas import schema
from atlas.models.model import LanguageModel
from atlas.models.readout import LOGIT_BYTES, of_tokens, output_matrix

if TYPE_CHECKING:
    import pyarrow as pa

TOP = 10
"""Tokens kept in each direction."""

DIRECTIONS = (("promotes", 1.0), ("demotes", -1.0))


@torch.no_grad()
def neuron_tokens(model: LanguageModel, layer: int, neurons: Sequence[int], top: int = TOP) -> "pa.Table":
    """Return the rows of table `neuron_token` for some neurons of a layer: `top` tokens in each direction.

    A token's score is the neuron's value vector times the token's output embedding, in logits: what the neuron adds
    to the token where nothing between the two changes it (Geva et al., arXiv 2203.14680). There are no rows for an
    encoder, whose decoder stands between, nor for a model whose output embedding has another width than its blocks, or
    whose weights are not at hand (offloaded).
    """
    embedding, _, _ = output_matrix(model)
    vectors = model.value_vectors(layer)[torch.tensor(neurons, dtype=torch.long, device=model.device)]
    rows: list[dict[str, Any]] = []
    if model.reads or vectors.shape[1] != embedding.shape[1] or vectors.is_meta or embedding.is_meta:
        return schema.rows_of("neuron_token", rows)
    for chosen, scores in _chunks(neurons, vectors, embedding):
        for direction, sign in DIRECTIONS:
            best = torch.topk(of_tokens(model, scores * sign), min(top, len(model.tokenizer)), dim=1)
            for neuron, tokens, values in zip(chosen, best.indices.tolist(), best.values.tolist(), strict=True):
                for rank, (token, value) in enumerate(zip(tokens, values, strict=True), start=1):
                    rows.append(
                        {
                            "model": model.info.id,
                            "layer": layer,
                            "neuron": neuron,
                            "direction": direction,
                            "rank": rank,
                            "token": model.tokenizer.convert_ids_to_tokens(token),
                            "score": sign * value,
                            "text": model.tokenizer.decode([token]),
                        }
                    )
    return schema.rows_of("neuron_token", rows)


def _chunks(neurons: Sequence[int], vectors: Tensor, embedding: Tensor) -> Iterator[tuple[Sequence[int], Tensor]]:
    """Yield neurons with their scores `[neuron, token]`, so many at once as fit the budget for logits."""
    size = max(1, LOGIT_BYTES // (embedding.shape[0] * 4))
    for first in range(0, len(neurons), size):
        yield neurons[first : first + size], (vectors[first : first + size] @ embedding.T).float()
