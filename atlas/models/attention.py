"""Attention that can be recorded and replayed: one function, registered with transformers, and its rules.

While `attending(model, rule)` is active, every attention layer of the model computes its queries, keys and values as
usual and hands them to `rule`, which decides what is attended to. That makes one mechanism serve recording, single
query positions and cached prefixes in every family that uses the transformers attention interface.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

NAME = "atlas"


@dataclass(frozen=True, slots=True)
class Call:
    """What an attention layer asks for: `[batch, head, token, size]` tensors and an additive mask or None."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scaling: float
    softcap: float | None

    def attend(self, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Return softmax(query key^T) value, `[batch, head, token, size]`, over the given keys and values."""
        groups = self.query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        logits = torch.matmul(self.query * self.scaling, key.transpose(2, 3))
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        if mask is not None:
            logits = logits + mask
        return torch.matmul(torch.softmax(logits, dim=-1), value)


Rule = Callable[[Call], Tensor]
_rule: ContextVar[Rule] = ContextVar("attention_rule")


def itself(call: Call) -> Tensor:
    """The plain rule: attend to the sequence's own keys and values."""
    return call.attend(call.key, call.value, call.mask)


@contextmanager
def attending(model: Any, rule: Rule) -> Iterator[None]:
    """Let every attention layer of the transformers `model` follow `rule` inside the block."""
    before = model.config._attn_implementation
    token = _rule.set(rule)
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
        _rule.reset(token)


@contextmanager
def following(rule: Rule) -> Iterator[None]:
    """Change the rule inside an `attending` block."""
    token = _rule.set(rule)
    try:
        yield
    finally:
        _rule.reset(token)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    call = Call(query, key, value, attention_mask, scale, softcap)
    return _rule.get()(call).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, eager_mask)
