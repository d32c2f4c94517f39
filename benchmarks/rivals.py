"""The peers and the hook-based reference behind one call: scores `[layer, neuron]` of one prompt, zero baseline."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atlas.attribution.quadrature import gauss_legendre
from atlas.attribution.reference import reference_neurons, reference_scores
from atlas.facts import Prompt
from atlas.models import LanguageModel
from atlas.models.hooks import pre_hook

STEPS = 20
Scores = NDArray[np.float32]


def knowledge_neurons(model: LanguageModel, prompt: Prompt) -> Scores:
    """EleutherAI's `knowledge-neurons`: 20 steps from zero, both ends, for a one-token answer of a masked model."""
    from knowledge_neurons import KnowledgeNeurons

    peer = KnowledgeNeurons(model.model, model.tokenizer, model_type="bert", device=str(model.device))
    text = f"{prompt.before}{model.tokenizer.mask_token}{prompt.after}"
    scores: Scores = (
        peer.get_scores(text, prompt.answer, batch_size=STEPS, steps=STEPS, pbar=False).detach().cpu().numpy()
    )
    return scores


def captum(model: LanguageModel, prompt: Prompt) -> Scores:
    """captum's IntegratedGradients over the neurons at the query, 20 Gauss-Legendre nodes, layer by layer."""
    from captum.attr import IntegratedGradients

    (step,) = model.steps(prompt)
    ids = torch.tensor([step.ids], device=model.device)
    values = reference_neurons(model, step.ids, step.query)

    def forward(neurons: Tensor, layer: int) -> Tensor:
        def put(all_neurons: Tensor) -> Tensor:
            return all_neurons.index_copy(1, torch.tensor([step.query], device=ids.device), neurons[:, None])

        with pre_hook(model.down_projection(layer), put):
            logits = model.run(ids.expand(len(neurons), -1))
        return logits[:, step.query].softmax(-1)[:, step.target]

    rows = []
    for layer in range(model.info.layers):
        gradients: Any = IntegratedGradients(lambda neurons, layer=layer: forward(neurons, layer))
        found = gradients.attribute(values[layer][None], n_steps=STEPS, method="gausslegendre")
        rows.append(found[0].detach())
    return torch.stack(rows).cpu().numpy()


def reference(model: LanguageModel, prompt: Prompt) -> Scores:
    """The project's own hook-based path: every layer and step with 20 Gauss-Legendre nodes in one batch."""
    rule = gauss_legendre(STEPS)
    zero = torch.zeros(model.info.neurons, dtype=model.dtype, device=model.device)
    steps = model.steps(prompt)
    layers = range(model.info.layers)
    scores = [torch.stack([reference_scores(model, step, layer, zero, rule)[0] for layer in layers]) for step in steps]
    return torch.stack(scores).mean(0).cpu().numpy()
