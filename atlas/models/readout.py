"""From hidden states to the probability of a token: the model's own head, at the query positions only.

The probability and its gradient are computed without keeping the vocabulary's activations.
"""

from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from atlas.models.hooks import forwards, given, running
from atlas.models.model import LanguageModel

LOGIT_BYTES = 1 << 27
_TILE = {False: (1024, 1 << 11), True: (8192, 1 << 14)}
"""Rows and tokens of a tile: what stays in a processor's cache, or, if True, what fills a GPU."""


def features_of_ids(
    model: LanguageModel, ids: Tensor, query: Tensor, at: Tensor | None = None, rows: Tensor | None = None
) -> Tensor:
    """Run the model on `ids` `[batch, token]`; return what its output matrix gets for `query`, `[batch, hidden]`.

    Interventions act on the neurons `at` [batch], by default at the query. With `rows` [step], which of `ids` each step
    is, there is a query for each of them: `[step, hidden]`.
    """
    seen: list[Tensor] = []
    places = torch.arange(model.width(ids), device=ids.device) == (query if at is None else at)[:, None]
    with forwards({model.head: partial(_caught, seen)}), running(places):
        model.run(ids)
    return model.at_answer(seen[0] if rows is None else seen[0][rows], query)


def embedded(model: LanguageModel, ids: Tensor) -> Tensor:
    """Return what the first block gets for `ids`, `[batch, token, hidden]`: the model with its blocks passed over."""
    seen: list[Tensor] = []

    def over(hidden: Tensor, *_: Any, **__: Any) -> Any:
        seen.append(hidden)
        return (hidden, None, None) if model.family.in_tuple else hidden

    with forwards(dict.fromkeys(model.blocks, over)):
        features_of_ids(model, ids, ids.new_zeros(len(ids)))
    return seen[0]


def features_of_hidden(model: LanguageModel, hidden: Tensor, ids: Tensor) -> Tensor:
    """Apply the head to the last block's output `[copy, 1, hidden]`: the model with its blocks short-circuited.

    Where a decoder reads the blocks' output, `hidden` is `[copy, token, hidden]` and `ids` are the copies'.
    """
    if not model.reads:
        ids = hidden.new_zeros(hidden.shape[:2], dtype=torch.long)
    result = (hidden, None, None) if model.family.in_tuple else hidden
    with forwards(dict.fromkeys(model.blocks, partial(given, result))):
        return features_of_ids(model, ids, ids.new_zeros(len(ids)))


def token_probability(model: LanguageModel, features: Tensor, target: Tensor) -> Tensor:
    """Return the probability of `target` [batch] for `features` `[batch, hidden]`, differentiable in the features."""
    weight, bias, cap = output_matrix(model)
    probability: Tensor = TokenProbability.apply(features, weight, bias, target, cap)  # type: ignore[no-untyped-call]
    return probability


@torch.no_grad()
def token_ranks(model: LanguageModel, features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rank of `target` (1 is the most probable) and the most probable token, both `[batch]`.

    Rows of the matrix that are no token's have no rank.
    """
    weight, bias, cap = output_matrix(model)
    rank, best = torch.empty_like(target), torch.empty_like(target)
    for rows in chunks(len(features), weight.shape[0] * 4, LOGIT_BYTES):
        logits = of_tokens(model, token_logits(features[rows], weight, bias, cap, target[rows]))
        own = logits.gather(1, target[rows, None])
        rank[rows] = 1 + (logits > own).sum(1)
        best[rows] = logits.argmax(1)
    return rank, best


def of_tokens(model: LanguageModel, logits: Tensor) -> Tensor:
    """Return logits `[..., vocabulary]` with -inf for the rows of the output matrix that are no token's.

    Matrices are padded for speed: such rows have their share in every probability and are never an answer.
    """
    if model not in _nameless:
        tokens = [i for i in model.tokenizer.get_vocab().values() if i < model.info.vocabulary]
        rows = torch.ones(model.info.vocabulary, dtype=torch.bool, device=logits.device)
        rows[tokens] = False
        _nameless[model] = rows if rows.any() else None
    nameless = _nameless[model]
    return logits if nameless is None else logits.masked_fill(nameless.to(logits.device), -torch.inf)


_nameless: WeakKeyDictionary[LanguageModel, Tensor | None] = WeakKeyDictionary()


def output_matrix(model: LanguageModel) -> tuple[Tensor, Tensor | None, float | None]:
    """Return the output embedding `[vocabulary, hidden]`, its bias and the soft limit of the logits."""
    head = model.head
    cap = getattr(model.model.config, "final_logit_softcapping", None)
    weight: Tensor = head.weight  # type: ignore[assignment]
    if model.family.logit_bias:
        return weight, model.model.get_buffer(model.family.logit_bias)[0], cap
    return weight, getattr(head, "bias", None), cap


def _caught(seen: list[Tensor], features: Tensor) -> Tensor:
    """Stand in for the output matrix: keep what it receives in place of multiplying it."""
    seen.append(features)
    return features[..., :1]


class TokenProbability(torch.autograd.Function):
    """`F = softmax(W h + b)[target]` and `dF/dh = F (W[target] - sum_v p_v W_v)`, tile by tile, in float32 or more.

    Each tile of rows and tokens is weighted by `exp(logit - peak)`, `peak` the largest logit so far, and both sums are
    rescaled when it rises, so that the vocabulary is gone through once. They are of all tokens but the target: of a
    sure answer they are what is left of 1, which a number type of few digits could not tell from a difference. The
    gradient is made in the forward pass: only `[batch, hidden]` is kept for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cap: float | None
    ) -> Tensor:
        """Return `[batch]` probabilities of `target` [batch] for `features` `[batch, hidden]`."""
        head = (weight, bias, cap)
        wide = torch.promote_types(features.dtype, torch.float32)
        probability = torch.empty(len(features), dtype=wide, device=features.device)
        gradient = torch.empty_like(features) if ctx.needs_input_grad[0] else None
        for rows in chunks(len(features), 1, _TILE[features.is_cuda][0]):
            own, towards = _of_target(features[rows], target[rows], *head)
            peak, rest, pull = _over_others(features[rows], target[rows], own, head, pulled=gradient is not None)
            total = torch.exp(own - peak) + rest
            probability[rows] = torch.exp(own - peak) / total
            if gradient is not None:
                gradient[rows] = (probability[rows] / total)[:, None] * (rest[:, None] * towards - pull)
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return probability

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient with respect to `features`; nothing else has one."""
        (gradient,) = ctx.saved_tensors
        return (grads[0][:, None] * gradient).to(gradient.dtype), None, None, None, None


def token_logits(
    features: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None, target: Tensor | None = None
) -> Tensor:
    """Return logits `[batch, vocabulary]` in float32 or more; `cap` is Gemma's soft limit, if any.

    They lie in memory token by token: of few rows that product takes less time than the other way round. That of
    `target` [batch] is as exact as float32 has it: in bfloat16 a product's are off by up to 0.2 %, of sure answers some
    hundredths. The others' errors cancel in a probability, its own would not; and tokens would share the first rank.
    """
    logits = (weight @ features.T).T.to(torch.promote_types(features.dtype, torch.float32))
    if bias is not None:
        logits += bias
    logits = logits if cap is None else torch.tanh(logits / cap) * cap
    if target is not None and logits.dtype != features.dtype:
        logits.scatter_(1, target[:, None], _of_target(features, target, weight, bias, cap)[0][:, None])
    return logits


def log_probability(logits: Tensor, target: Tensor) -> Tensor:
    """Return log p of `target` [batch] by its logit among all, `[batch, vocabulary]`: `[batch]`, never above 0."""
    own, others = logits.gather(1, target[:, None])[:, 0], logits.scatter(1, target[:, None], -torch.inf)
    return -torch.logaddexp(others.logsumexp(1) - own, torch.zeros_like(own))


def chunks(count: int, row_bytes: int, budget: int) -> list[slice]:
    """Return slices of `range(count)` whose rows of `row_bytes` fit in `budget` bytes, one row at least."""
    size = max(1, budget // max(1, row_bytes))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _of_target(
    features: Tensor, target: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None
) -> tuple[Tensor, Tensor]:
    """Return the logit of `target` [batch] and its gradient `[batch, hidden]`, in float32 or more."""
    towards = weight[target].to(torch.promote_types(features.dtype, torch.float32))
    logit = (features * towards).sum(1)
    if bias is not None:
        logit = logit + bias[target]
    if cap is None:
        return logit, towards
    logit = torch.tanh(logit / cap) * cap
    return logit, towards * _slope(logit, cap)[:, None]


def _over_others(
    features: Tensor, target: Tensor, own: Tensor, head: tuple[Tensor, Tensor | None, float | None], *, pulled: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest logit, the sum of `e = exp(logit - largest)` over all tokens but the `target` [batch], whose
    logits are `own`, and, if `pulled`, `sum_v e_v dlogit_v/dh` over these.

    Tiles are `[token, batch]`, as the logits lie in memory.
    """
    (weight, bias, cap), every = head, torch.arange(len(own), device=own.device)
    peak, total = own, torch.zeros_like(own)
    pull = own.new_zeros(features.T.shape if pulled else (0, len(own)))
    for tokens in chunks(len(weight), 1, _TILE[features.is_cuda][1]):
        share = token_logits(features, weight[tokens], None if bias is None else bias[tokens], cap).T
        slope = None if cap is None or not pulled else _slope(share, cap)
        place = (target - tokens.start).clamp(0, len(share) - 1)
        share[place, every] = torch.where(place + tokens.start == target, -torch.inf, share[place, every])
        higher = torch.maximum(peak, share.amax(0))
        fade, peak = torch.exp(peak - higher), higher
        share = share.sub_(peak).exp_()
        total = total.mul_(fade).add_(share.sum(0))
        if pulled:
            share = share if slope is None else share.mul_(slope)
            pull = pull.mul_(fade).add_(weight[tokens].T @ share.to(weight.dtype))
    return peak, total, pull.T


def _slope(logit: Tensor, cap: float) -> Tensor:
    """Return the derivative of the softly limited logit."""
    return 1 - (logit / cap) ** 2
