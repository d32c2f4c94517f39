"""The probability of one token, with its gradient, without keeping the vocabulary's activations."""

from typing import Any

import torch
from torch import Tensor

CHUNK_BYTES = 1 << 27


class TokenProbability(torch.autograd.Function):
    """`F = softmax(W h + b)[target]` and `dF/dh = F (W[target] - sum_v p_v W_v)`, rows in chunks, in float32 or more.

    The gradient is made in the forward pass, so that only `[batch, hidden]` is kept for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cap: float | None
    ) -> Tensor:
        """Return `[batch]` probabilities of `target` [batch] for `features` `[batch, hidden]`."""
        probability = torch.empty(len(features), dtype=_wide(features), device=features.device)
        gradient = torch.empty_like(features) if ctx.needs_input_grad[0] else None
        for rows in chunks(len(features), weight.shape[0] * probability.element_size(), CHUNK_BYTES):
            logits = token_logits(features[rows], weight, bias, cap)
            slope = None if cap is None else 1 - (logits / cap) ** 2
            share = torch.softmax(logits, dim=-1)
            index = target[rows, None]
            probability[rows] = share.gather(1, index)[:, 0]
            if gradient is not None:
                pull = share.neg_().scatter_add_(1, index, torch.ones_like(share[:, :1]))
                pull = pull if slope is None else pull * slope
                gradient[rows] = probability[rows, None].to(weight.dtype) * (pull.to(weight.dtype) @ weight)
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


def _wide(like: Tensor) -> torch.dtype:
    return torch.float64 if like.dtype == torch.float64 else torch.float32


__all__ = ["TokenProbability", "chunks", "token_logits"]
