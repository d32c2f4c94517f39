"""The two networks: a BERT and a GPT-2, 4 layers of 512 neurons on a stream of 128."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from atlas.models.families import Kind, family_of
from atlas.planted.writing.weights import untrained

LAYERS, WIDTH, NEURONS, HEADS, POSITIONS = 4, 128, 512, 4, 48


def make_network(kind: Kind, tokenizer: Any) -> Any:
    """Return an untrained model of the `masked` or `causal` kind."""
    names = {"masked": ("bert", ("pad",)), "causal": ("gpt2", ("bos", "eos"))}
    family, tokens = names[kind]
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in tokens}
    return untrained(family, len(tokenizer), LAYERS, WIDTH, NEURONS, HEADS, POSITIONS, **special)


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
