"""Neurons read and overwritten by hooks written by hand, one whole forward pass a step; and `peel`, layer by layer."""

import numpy as np
import torch

from atlas.attribution import peeling
from atlas.attribution.reference import reference_baselines, reference_cut, reference_scores


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


def peel_by_hand(model, step, rule):
    """The credit `[layer, neuron]` of `peel` and the round that each neuron was cut after, 0 for none."""
    credit = torch.zeros(model.info.layers, model.info.neurons, dtype=model.dtype, device=model.device)
    rounds, whole = torch.zeros_like(credit, dtype=torch.uint8), 0.0
    for number in range(1, peeling.ROUNDS + 1):
        with reference_cut(model, step, rounds > 0):
            words = torch.stack(reference_baselines(model, step))
            scores, f = _mean_scores(model, step, words.mean(0, keepdim=True), rule)
            whole = whole or f
            carrying = _carrying(scores, f, whole)
            if number == 1 and not carrying.any():
                scores, f = _mean_scores(model, step, words, rule)
                carrying = _carrying(scores, f, whole)
        new = carrying if number > 1 else torch.ones_like(carrying)
        least = max(torch.finfo(scores.dtype).tiny, peeling.CLEAR * peeling.NOISE * f * (1 - f))
        credit[new] = (f * scores / max(float(scores.max()), least))[new]
        rounds[carrying] = number
    return credit, rounds


def _mean_scores(model, step, baselines, rule):
    """The mean over `baselines` `[word, layer, neuron]` of the scores `[layer, neuron]`, and F(w)."""
    parts = [[reference_scores(model, step, i, own, rule) for i, own in enumerate(each)] for each in baselines]
    return torch.stack([torch.stack([scores for scores, *_ in part]) for part in parts]).mean(0), parts[0][0][1]


def _carrying(scores, f, whole):
    noise = peeling.NOISE * f * (1 - f)
    return (scores > peeling.CUT * scores.max()) & (scores > noise) & (f >= peeling.LOST * whole)
