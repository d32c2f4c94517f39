"""The probability of one token, with its gradient, without keeping the vocabulary's activations."""

from typing import Any

import torch
from torch import Tensor


class TokenProbability(torch.autograd.Function):
    """`F = softmax(W h + b)[target]` and `dF/dh = F (W[target] - sum_v p_v W_v)`, tile by tile, in float32 or more.

    Each tile of rows and tokens is weighted by `exp(logit - peak)`, `peak` the largest logit so far, and both sums are
    rescaled when it rises, so that the vocabulary is gone through once. The gradient is made in the forward pass: only
    `[batch, hidden]` is kept for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cap: float | None
    ) -> Tensor:
        """Return `[batch]` probabilities of `target` [batch] for `features` `[batch, hidden]`."""
        head = (weight, bias, cap)
        probability = torch.empty(len(features), dtype=_wide(features), device=features.device)
        gradient = torch.empty_like(features) if ctx.needs_input_grad[0] else None
        for rows in chunks(len(features), 1, _tile(features)[0]):
            own, towards = _of_target(features[rows], target[rows], *head)
            peak, total, pull = _over_vocabulary(features[rows], *head, pulled=gradient is not None)
            probability[rows] = torch.exp(own - peak) / total
            if gradient is not None:
                gradient[rows] = probability[rows, None] * (towards - pull / total[:, None])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return probability

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient with respect to `features`; nothing else has one."""
        (gradient,) = ctx.saved_tensors
        return (grads[0][:, None] * gradient).to(gradient.dtype), None, None, None, None


def token_logits(features: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None) -> Tensor:
    """Return logits `[batch, vocabulary]` in float32 or more; `cap` is Gemma's soft limit, if any."""
    logits = (features @ weight.T).to(_wide(features))
    if bias is not None:
        logits += bias
    return logits if cap is None else torch.tanh(logits / cap) * cap


def chunks(count: int, row_bytes: int, budget: int) -> list[slice]:
    """Return slices of `range(count)` whose rows of `row_bytes` fit in `budget` bytes, one row at least."""
    size = max(1, budget // max(1, row_bytes))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _of_target(
    features: Tensor, target: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None
) -> tuple[Tensor, Tensor]:
    """Return the logit of `target` [batch] and its gradient `[batch, hidden]`."""
    towards = weight[target].to(_wide(features))
    logit = (features * towards).sum(1)
    if bias is not None:
        logit = logit + bias[target]
    if cap is None:
        return logit, towards
    logit = torch.tanh(logit / cap) * cap
    return logit, towards * _slope(logit, cap)[:, None]


def _over_vocabulary(
    features: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None, *, pulled: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest logit, the sum of `e = exp(logit - largest)` and, if `pulled`, `sum_v e_v dlogit_v/dh`."""
    peak = torch.full((len(features),), -torch.inf, dtype=_wide(features), device=features.device)
    total = torch.zeros_like(peak)
    pull = torch.zeros(features.shape if pulled else (len(features), 0), dtype=peak.dtype, device=peak.device)
    for tokens in chunks(len(weight), 1, _tile(features)[1]):
        share = token_logits(features, weight[tokens], None if bias is None else bias[tokens], cap)
        slope = None if cap is None or not pulled else _slope(share, cap)
        higher = torch.maximum(peak, share.amax(1))
        fade, peak = torch.exp(peak - higher), higher
        share = share.sub_(peak[:, None]).exp_()
        total = total.mul_(fade).add_(share.sum(1))
        if pulled:
            share = share if slope is None else share.mul_(slope)
            pull = pull.mul_(fade[:, None]).add_(share.to(weight.dtype) @ weight[tokens])
    return peak, total, pull


def _slope(logit: Tensor, cap: float) -> Tensor:
    """Return the derivative of the softly limited logit."""
    return 1 - (logit / cap) ** 2


def _tile(features: Tensor) -> tuple[int, int]:
    """Return rows and tokens of a tile: what stays in a processor's cache, or what fills a GPU."""
    return (8192, 1 << 14) if features.is_cuda else (1024, 1 << 11)


def _wide(like: Tensor) -> torch.dtype:
    return torch.float64 if like.dtype == torch.float64 else torch.float32


__all__ = ["TokenProbability", "chunks", "token_logits"]
