"""What neurons are in the prompts of a language: rows of the table `neuron_activation`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from atlas import schema
from atlas.engine.batches import Budget
from atlas.engine.replacing import values_of
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.models import LanguageModel, Position

if TYPE_CHECKING:
    import pyarrow as pa

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


def neuron_activations(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    neurons: Sequence[Neuron],
    position: Position,
    budget: Budget | int | None = None,
) -> "pa.Table":
    """Return a row for each of `neurons` over `prompts`, usable ones of one language: mean, deviation, quantiles.

    A prompt counts once, by the mean over its answer's tokens. `position` is where the neurons are read.
    """
    import pyarrow as pa

    layers, index = torch.tensor(neurons, device=model.device).T
    read = values_of(model, prompts, lambda _, found: found[layers, index], budget, position)
    values = np.stack([steps.double().mean(0).cpu().numpy() for steps in read])
    columns = {
        "model": [model.info.id] * len(neurons),
        "language": [prompts[0].language] * len(neurons),
        "position": [position] * len(neurons),
        "layer": [layer for layer, _ in neurons],
        "neuron": [neuron for _, neuron in neurons],
        "prompts": [len(prompts)] * len(neurons),
        "mean": values.mean(0),
        "deviation": values.std(0),
        **dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0), strict=True)),
    }
    arrow = schema.arrow("neuron_activation")
    return pa.table([pa.array(columns[field.name]).cast(field.type) for field in arrow], schema=arrow)
