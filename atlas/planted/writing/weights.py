"""One view of the weights of both families, so that a circuit is written once.

Matrices are `[out, in]` views: writing into them writes into the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from atlas.planted.config import PlantConfig

POSITIONS = 32
LIFT = 16.0


@dataclass(frozen=True, slots=True)
class BlockWeights:
    """Attention and feed-forward weights of one block; `up_module` is where the feed-forward layer reads."""

    query_bias: Tensor
    key: Tensor
    value: Tensor
    output: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    up_module: nn.Module


@dataclass(frozen=True, slots=True)
class Weights:
    """Embeddings `[token, hidden]`, blocks, and scale and shift `[hidden]` of the last layer normalisation.

    `tables` are all embeddings, those of words and of positions too.
    """

    words: Tensor
    tables: Sequence[Tensor]
    blocks: Sequence[BlockWeights]
    out_scale: Tensor
    out_shift: Tensor


def fresh_model(config: PlantConfig, vocabulary: int, special: Mapping[str, Any]) -> Any:
    """Return a transformers model of the family; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        shape = (config.layers, config.hidden, config.neurons, config.heads, POSITIONS)
        model = untrained(config.family, vocabulary, *shape, **special)
    return model.eval().requires_grad_(False)


def fill_with_noise(model: nn.Module, strength: float, generator: Generator) -> None:
    """Set every matrix to noise of standard deviation `strength / sqrt(inputs)` and every bias to 0."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() < 2:
                parameter.fill_(float(isinstance(module, nn.LayerNorm) and name == "weight"))
                continue
            inputs = parameter.shape[0] if type(module).__name__ == "Conv1D" else parameter.shape[1]
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * strength / inputs**0.5)


def open_head(model: Any) -> None:
    """Make BERT's output transform pass its input on; GPT-2 has none.

    Far above zero GELU is the identity, and the layer normalisation after it takes the constant away again.
    """
    if model.config.model_type == "bert":
        dense = model.cls.predictions.transform.dense
        dense.weight.copy_(torch.eye(len(dense.weight)))
        dense.bias.fill_(LIFT)


def weights_of(model: Any) -> Weights:
    """Return the view of a model made by `fresh_model`."""
    return _bert_weights(model) if model.config.model_type == "bert" else _gpt2_weights(model)


def untrained(
    family: str, vocabulary: int, layers: int, hidden: int, neurons: int, heads: int, positions: int, **special: Any
) -> Any:
    """Return a `bert` or `gpt2` of this shape with its language head and without dropout; `special` are its tokens."""
    if family == "bert":
        return BertForMaskedLM(
            BertConfig(
                vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=neurons, max_position_embeddings=positions, hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0, **special,
            )
        )  # fmt: skip
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary, n_embd=hidden, n_layer=layers, n_head=heads, n_inner=neurons, n_positions=positions,
            embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0, **special,
        )
    )  # fmt: skip


def _tables(model: nn.Module) -> list[Tensor]:
    return [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]


def _bert_weights(model: Any) -> Weights:
    head = model.cls.predictions.transform
    blocks = [_bert_block(block) for block in model.bert.encoder.layer]
    return Weights(
        model.bert.embeddings.word_embeddings.weight, _tables(model), blocks, head.LayerNorm.weight, head.LayerNorm.bias
    )


def _bert_block(block: Any) -> BlockWeights:
    attention = block.attention.self
    up, down = block.intermediate.dense, block.output.dense
    return BlockWeights(
        attention.query.bias, attention.key.weight, attention.value.weight, block.attention.output.dense.weight,
        up.weight, up.bias, down.weight, up,
    )  # fmt: skip


def _gpt2_weights(model: Any) -> Weights:
    body = model.transformer
    blocks = [_gpt2_block(block) for block in body.h]
    return Weights(body.wte.weight, _tables(model), blocks, body.ln_f.weight, body.ln_f.bias)


def _gpt2_block(block: Any) -> BlockWeights:
    mixed, up, down = block.attn.c_attn, block.mlp.c_fc, block.mlp.c_proj
    _, key, value = mixed.weight.T.chunk(3)
    return BlockWeights(
        mixed.bias.chunk(3)[0], key, value, block.attn.c_proj.weight.T, up.weight.T, up.bias, down.weight.T, up
    )
