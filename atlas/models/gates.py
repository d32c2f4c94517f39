"""Gates on all neurons at once: the whole model run with every neuron at the query multiplied."""

from contextlib import ExitStack

import torch
from torch import Tensor

from atlas.models.hooks import Edit, neuron_hook
from atlas.models.model import LanguageModel
from atlas.models.readout import features_of_ids, token_probability


def gated_probability(model: LanguageModel, ids: Tensor, query: Tensor, target: Tensor, gates: Tensor) -> Tensor:
    """Return F `[batch]` with every neuron at `query` multiplied by `gates` `[batch, layer, neuron]`.

    Later layers are computed from the changed ones; differentiable in the gates.
    """
    with ExitStack() as stack:
        for layer in range(model.info.layers):
            stack.enter_context(neuron_hook(model, layer, _multiply(query, gates[:, layer])))
        features = features_of_ids(model, ids, query)
    return token_probability(model, features, target)


def _multiply(query: Tensor, gate: Tensor) -> Edit:
    rows = torch.arange(len(query), device=query.device)

    def edit(neurons: Tensor) -> Tensor:
        changed = neurons.clone()
        changed[rows, query] = neurons[rows, query] * gate.to(neurons.dtype)
        return changed

    return edit
