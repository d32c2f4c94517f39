"""The two networks: a BERT and a GPT-2, 4 layers of 512 neurons on a stream of 128."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from atlas.models.families import Kind, family_of

LAYERS, WIDTH, NEURONS, HEADS, POSITIONS = 4, 128, 512, 4, 48


def make_network(kind: Kind, tokenizer: Any) -> Any:
    """Return an untrained model of the `masked` or `causal` kind."""
    return _bert(tokenizer) if kind == "masked" else _gpt2(tokenizer)


def _bert(tokenizer: Any) -> BertForMaskedLM:
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=NEURONS,
        max_position_embeddings=POSITIONS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    return BertForMaskedLM(config)


def _gpt2(tokenizer: Any) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_inner=NEURONS,
        n_positions=POSITIONS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return GPT2LMHeadModel(config)


@dataclass
class Trainee:
    """A model in training: its logits at one position a row, and its neurons there."""

    model: Any
    dropout: float = 0.0
    silent: Tensor | None = None  # [row, layer], True where the neurons at the query are zeroed
    query: Tensor = field(default_factory=lambda: torch.empty(0))  # [row], of the last call
    neurons: list[Tensor] = field(default_factory=list)  # per layer [row, neuron] at the query, of the last call

    def logits(self, ids: Tensor, length: Tensor, query: Tensor) -> Tensor:
        """Return the vocabulary logits `[row, word]` at `query` [row] of padded `ids` `[row, token]`."""
        self.neurons.clear()
        self.query = query
        mask = (torch.arange(ids.shape[1]) < length[:, None]).long()
        states = self.model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        head = self.model.cls if hasattr(self.model, "cls") else self.model.lm_head
        out: Tensor = head(states[torch.arange(len(ids)), query])
        return out

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the neurons of every call; drop a share of them, and silence layers, where asked."""
        family = family_of(self.model.config)
        with ExitStack() as stack:
            for layer, block in enumerate(self.model.get_submodule(family.blocks)):
                hook = partial(self._hook, layer)
                handle = block.get_submodule(family.down_projection).register_forward_pre_hook(hook)
                stack.callback(handle.remove)
            yield

    def _hook(self, layer: int, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        neurons = args[0]
        rows = torch.arange(len(neurons))
        self.neurons.append(neurons[rows, self.query])
        if self.dropout:
            kept = torch.rand(len(neurons), 1, neurons.shape[-1]) >= self.dropout
            neurons = neurons * (kept / (1 - self.dropout))
        if self.silent is not None:
            at_query = torch.arange(neurons.shape[1]) == self.query[:, None]
            neurons = neurons.masked_fill((at_query & self.silent[:, layer, None])[..., None], 0.0)
        return (neurons, *args[1:])
