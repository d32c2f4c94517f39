"""Attention layers that do not go through transformers' interface, written so that they do what a rule says.

Each function stands in for the `forward` of one family's attention module: the module's own projections, then the
rule of the run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.models.falcon.modeling_falcon import apply_rotary_pos_emb

from atlas.models.hooks import Call, now


@dataclass(frozen=True, slots=True)
class OwnAttention:
    """Where a block keeps its attention module, and what stands in for its `forward`: `forward(module, ...)`."""

    path: str
    forward: Callable[..., tuple[Tensor, None]]


def bloom(
    module: Any, hidden: Tensor, residual: Tensor, alibi: Tensor, attention_mask: Tensor, **_: Any
) -> tuple[Tensor, None]:
    """BLOOM: a bias by distance (alibi), `[batch * head, 1, token]`, and the residual added here."""
    query, key, value = module._reshape(module.query_key_value(hidden))
    mask = attention_mask + alibi.reshape(-1, module.num_heads, 1, alibi.shape[-1])
    out = now().rule(Call(query, key, value, mask, module.inv_norm_factor, None))
    return module.dense(_joined(out)) + residual, None


def falcon(
    module: Any,
    hidden: Tensor,
    alibi: Tensor | None,
    attention_mask: Tensor,
    position_embeddings: Any = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Falcon: rotary positions, or an alibi that its mask already holds; few key heads or one."""
    query, key, value = (part.transpose(1, 2) for part in module._split_heads(module.query_key_value(hidden)))
    if alibi is None:
        query, key = apply_rotary_pos_emb(query, key, *position_embeddings)
    out = now().rule(Call(query, key, value, attention_mask, module.inv_norm_factor, None))
    return module.dense(_joined(out)), None


def gpt_neo(module: Any, hidden: Tensor, attention_mask: Tensor, **_: Any) -> tuple[Tensor, None]:
    """GPT-Neo: products in float32 without scaling, and a window in every other layer."""
    query, key, value = (
        module._split_heads(projection(hidden), module.num_heads, module.head_dim)
        for projection in (module.q_proj, module.k_proj, module.v_proj)
    )
    square = attention_mask.shape[2] == attention_mask.shape[3]
    mask = gpt_neo_window(module, attention_mask) if square else attention_mask
    out = now().rule(Call(query.to(torch.float32), key.to(torch.float32), value, mask, 1.0, None))
    return module.out_proj(_joined(out)), None


def gpt_neo_window(module: Any, mask: Tensor) -> Tensor:
    """Return the causal `mask` `[batch, 1, token, token]` without what lies before the module's window."""
    tokens = mask.shape[-1]
    return mask.masked_fill(~module.bias[:, :, :tokens, :tokens], torch.finfo(mask.dtype).min)


def xglm(module: Any, hidden_states: Tensor, attention_mask: Tensor, **_: Any) -> tuple[Tensor, None]:
    """XGLM: the attention of BART, as it was before there was an interface."""
    query, key, value = (
        projection(hidden_states).unflatten(-1, (module.num_heads, module.head_dim)).transpose(1, 2)
        for projection in (module.q_proj, module.k_proj, module.v_proj)
    )
    out = now().rule(Call(query, key, value, attention_mask, module.scaling, None))
    return module.out_proj(_joined(out)), None


def _joined(heads: Tensor) -> Tensor:
    """Join heads: `[batch, head, token, size]` to `[batch, token, hidden]`."""
    return heads.transpose(1, 2).flatten(2)
