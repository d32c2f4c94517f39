"""Neurons read and overwritten by hooks written by hand, one whole forward pass a step."""

import numpy as np
import torch


def hooked(model, step, change):
    """The logits at the query, with `change(layer, neurons at the step's position)` done to every layer's neurons."""
    handles = []
    for layer in range(model.info.layers):

        def hook(_, args, layer=layer):
            values = args[0].clone()
            change(layer, values[0, step.at])
            return (values,)

        handles.append(model.down_projection(layer).register_forward_pre_hook(hook))
    with torch.no_grad():
        logits = model.run(torch.tensor([step.ids]))[0, step.query]
    for handle in handles:
        handle.remove()
    return logits


def read_by_hand(model, prompt, at="query"):
    """The neurons of every layer at a position of each step, `[step, layer, neuron]`."""
    steps = model.steps(prompt, at)
    found = np.zeros((len(steps), model.info.layers, model.info.neurons))
    for nth, step in enumerate(steps):
        hooked(model, step, lambda layer, values, nth=nth: found[nth].__setitem__(layer, values.numpy()))
    return found


def put_by_hand(model, prompt, neurons, values, at="query"):
    """The product of the gold tokens' probabilities with `neurons` at a position `values` `[step, layer, neuron]`."""
    product = 1.0
    for nth, step in enumerate(model.steps(prompt, at)):

        def change(layer, found, nth=nth):
            for own, neuron in neurons:
                if own == layer:
                    found[neuron] = float(values[min(nth, len(values) - 1), layer, neuron])

        product *= hooked(model, step, change).softmax(-1)[step.target].item()
    return product
