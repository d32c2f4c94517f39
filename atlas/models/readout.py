"""From hidden states to the probability of a token: the model's own head, at the query positions only."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from atlas.models.hooks import forwards, querying
from atlas.models.model import LanguageModel
from atlas.models.probability import TokenProbability, chunks, token_logits

LOGIT_BYTES = 1 << 27


def features_of_ids(model: LanguageModel, ids: Tensor, query: Tensor) -> Tensor:
    """Run the model on `ids` `[batch, token]`; return what its output matrix gets for `query`, `[batch, hidden]`."""
    with caught(model) as seen, querying(at_query(query, model.width(ids))):
        model.run(ids)
    return model.at_answer(seen[0], query)


def at_query(query: Tensor, tokens: int) -> Tensor:
    """Return True at the position `query` [batch] of each row, `[batch, token]`."""
    return torch.arange(tokens, device=query.device) == query[:, None]


def features_of_hidden(model: LanguageModel, hidden: Tensor, ids: Tensor) -> Tensor:
    """Apply the head to the last block's output `[copy, 1, hidden]`: the model with its blocks short-circuited.

    Where a decoder reads the blocks' output, `hidden` is `[copy, token, hidden]` and `ids` are the copies'.
    """
    if not model.apart:
        ids = hidden.new_zeros(hidden.shape[:2], dtype=torch.long)
    result = (hidden, None, None) if model.family.in_tuple else hidden
    with caught(model) as seen, forwards(dict.fromkeys(model.blocks(), lambda *_, **__: result)):
        model.run(ids)
    return model.at_answer(seen[0], 0)


def token_probability(model: LanguageModel, features: Tensor, target: Tensor) -> Tensor:
    """Return the probability of `target` [batch] for `features` `[batch, hidden]`, differentiable in the features."""
    weight, bias, cap = output_matrix(model)
    probability: Tensor = TokenProbability.apply(features, weight, bias, target, cap)  # type: ignore[no-untyped-call]
    return probability


@torch.no_grad()
def token_ranks(model: LanguageModel, features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rank of `target` (1 is the most probable) and the most probable token, both `[batch]`."""
    weight, bias, cap = output_matrix(model)
    rank, best = torch.empty_like(target), torch.empty_like(target)
    for rows in chunks(len(features), weight.shape[0] * 4, LOGIT_BYTES):
        logits = token_logits(features[rows], weight, bias, cap)
        own = logits.gather(1, target[rows, None])
        rank[rows] = 1 + (logits > own).sum(1)
        best[rows] = logits.argmax(1)
    return rank, best


def output_matrix(model: LanguageModel) -> tuple[Tensor, Tensor | None, float | None]:
    """Return the output embedding `[vocabulary, hidden]`, its bias and the soft limit of the logits."""
    head = _head(model)
    cap = getattr(model.model.config, "final_logit_softcapping", None)
    weight: Tensor = head.weight  # type: ignore[assignment]
    if model.family.logit_bias:
        return weight, model.model.get_buffer(model.family.logit_bias)[0], cap
    return weight, getattr(head, "bias", None), cap


def _head(model: LanguageModel) -> nn.Module:
    head: nn.Module = model.model.get_output_embeddings()  # type: ignore[operator]
    return head


@contextmanager
def caught(model: LanguageModel) -> Iterator[list[Tensor]]:
    """Collect what the output matrix receives, in place of multiplying it."""
    seen: list[Tensor] = []

    def catch(features: Tensor) -> Tensor:
        seen.append(features)
        return features[..., :1]

    with forwards({_head(model): catch}):
        yield seen
