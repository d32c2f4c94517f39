"""Attention that can be recorded and replayed: one function, registered with transformers, and its rules.

While `attending(model, rule)` is active, every attention layer of the model computes its queries, keys and values as
usual and hands them to `rule`, which decides what is attended to. That makes one mechanism serve recording, single
query positions and cached prefixes in every family that uses the transformers attention interface.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from atlas.models.hooks import forwards

if TYPE_CHECKING:
    from atlas.models.model import LanguageModel

NAME = "atlas"


@dataclass(frozen=True, slots=True)
class Call:
    """What an attention layer asks for: `[batch, head, token, size]` tensors and an additive mask or None.

    `cross`: a decoder's attention to its encoder.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scaling: float
    softcap: float | None
    cross: bool = False

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
        return torch.matmul(torch.softmax(logits, dim=-1).to(value.dtype), value)


Rule = Callable[[Call], Tensor]
_rule: ContextVar[Rule] = ContextVar("attention_rule")


def itself(call: Call) -> Tensor:
    """The plain rule: attend to the sequence's own keys and values."""
    return call.attend(call.key, call.value, call.mask)


@contextmanager
def attending(model: "LanguageModel", rule: Rule) -> Iterator[None]:
    """Let every attention layer of `model` follow `rule` inside the block."""
    configs = model.attention_configs
    before = [config._attn_implementation for config in configs]
    token = _rule.set(rule)
    try:
        for config in configs:
            config._attn_implementation = NAME
        with forwards(_stand_ins(model) | model.in_one_step):
            yield
    finally:
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation = name
        _rule.reset(token)


def current_rule() -> Rule:
    """Return the rule in force."""
    return _rule.get()


def _stand_ins(model: "LanguageModel") -> dict[nn.Module, Callable[..., Any]]:
    """Return what stands in for each attention layer that does not go through the interface."""
    own = model.family.own_attention
    modules = [] if own is None else [block.get_submodule(own.path) for block in model.blocks()]
    return {module: partial(own.forward, module, _ask) for module in modules if own}


@contextmanager
def following(rule: Rule) -> Iterator[None]:
    """Change the rule inside an `attending` block."""
    token = _rule.set(rule)
    try:
        yield
    finally:
        _rule.reset(token)


def _ask(call: Call) -> Tensor:
    return _rule.get()(call)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    position_bias: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if position_bias is not None:
        attention_mask = position_bias if attention_mask is None else attention_mask + position_bias
    cross = getattr(module, "is_decoder", False) and not getattr(module, "is_causal", True)
    call = Call(query, key, value, attention_mask, scale, softcap, cross)
    return _ask(call).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, eager_mask)
