"""The slow and obvious path: one layer, one baseline, one step at a time, by hooks on the whole model.

It shares no code with the replay and is the oracle that the fast path is tested against.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from atlas.attribution import peeling
from atlas.attribution.quadrature import Rule
from atlas.models import LanguageModel, Step
from atlas.models.hooks import neurons_replaced


def reference_scores(
    model: LanguageModel, step: Step, layer: int, baseline: Tensor, rule: Rule, *, held: bool = False
) -> tuple[Tensor, float, float]:
    """Return the scores `[neuron]` of one layer against `baseline` `[neuron]`, F(w) and F(w') (Chen et al., Eq. 2).

    `held`: a norm behind the down-projection multiplies at the step's position as it does there in the plain run.
    """
    value = reference_neurons(model, step.ids, step.at)[layer]
    nodes = torch.tensor(rule.nodes, dtype=value.dtype, device=value.device)[:, None]
    weights = torch.tensor(rule.weights, dtype=value.dtype, device=value.device)
    points = torch.cat([baseline + nodes * (value - baseline), value[None], baseline[None]]).requires_grad_()
    with torch.enable_grad():
        found = _probability(model, step, layer, points, held=held)
        gradients = torch.autograd.grad(found[:-2].sum(), points)[0][:-2]
    first, last = found.detach()[-2:].tolist()
    return (weights @ gradients) * (value - baseline), first, last


def reference_baselines(model: LanguageModel, step: Step) -> list[Tensor]:
    """Return the neurons `[layer, neuron]` at the step's position, each word replaced by the filler in turn (Eq. 3)."""
    taken = ([model.filler if i in word else token for i, token in enumerate(step.ids)] for word in step.words)
    return [reference_neurons(model, ids, step.at) for ids in taken]


@torch.no_grad()
def reference_neurons(model: LanguageModel, ids: Sequence[int], at: int) -> Tensor:
    """Return the neurons of every layer at position `at`, `[layer, neuron]`."""
    seen: list[Tensor] = []

    def keep(neurons: Tensor) -> Tensor:
        seen.append(neurons[0, at].clone())
        return neurons

    with neurons_replaced(model, dict.fromkeys(range(model.info.layers), keep)):
        model.run(torch.tensor([list(ids)], device=model.device))
    return torch.stack(seen)


def reference_peel(model: LanguageModel, step: Step, rule: Rule) -> tuple[Tensor, Tensor]:
    """Return the credit `[layer, neuron]` of `peel` and the round that each neuron was cut after, 0 for none."""
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


def _mean_scores(model: LanguageModel, step: Step, baselines: Tensor, rule: Rule) -> tuple[Tensor, float]:
    """Return the mean over `baselines` `[word, layer, neuron]` of the scores `[layer, neuron]`, and F(w)."""
    parts = [[reference_scores(model, step, i, own, rule) for i, own in enumerate(each)] for each in baselines]
    return torch.stack([torch.stack([scores for scores, *_ in part]) for part in parts]).mean(0), parts[0][0][1]


def _carrying(scores: Tensor, f: float, whole: float) -> Tensor:
    noise = peeling.NOISE * f * (1 - f)
    return (scores > peeling.CUT * scores.max()) & (scores > noise) & (f >= peeling.LOST * whole)


@contextmanager
def reference_cut(model: LanguageModel, step: Step, cut: Tensor) -> Iterator[None]:
    """Zero the neurons of `cut` `[layer, neuron]` at the step's position inside the block."""

    def zero(own: Tensor, neurons: Tensor) -> Tensor:
        changed = neurons.clone()
        changed[:, step.at, own] = 0
        return changed

    with neurons_replaced(model, {layer: partial(zero, own) for layer, own in enumerate(cut)}):
        yield


def _probability(model: LanguageModel, step: Step, layer: int, values: Tensor, *, held: bool) -> Tensor:
    """Return F `[copy]` with the neurons of `layer` at the step's position replaced by `values` `[copy, neuron]`."""

    def put(neurons: Tensor) -> Tensor:
        return neurons.index_copy(1, torch.tensor([step.at], device=values.device), values[:, None])

    ids = torch.tensor([step.ids], device=model.device).expand(len(values), -1)
    with _norm_held(model, step, layer) if held else nullcontext(), neurons_replaced(model, {layer: put}):
        logits = model.run(ids)
    return model.at_answer(logits, step.query).softmax(-1)[:, step.target]


@contextmanager
def _norm_held(model: LanguageModel, step: Step, layer: int) -> Iterator[None]:
    """Let the norm behind the down-projection multiply at the step's position as in a plain run, inside the block."""
    norm = model.norm(layer)
    if norm is None:
        yield
        return
    factor: list[Tensor] = []

    def hold(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
        if not factor:
            factor.append(out[0, step.at] / args[0][0, step.at])
            return out
        return out.index_copy(1, place, args[0][:, step.at, None] * factor[0])

    place, handle = torch.tensor([step.at], device=model.device), norm.register_forward_hook(hold)
    try:
        with torch.no_grad():
            model.run(torch.tensor([step.ids], device=model.device))
        yield
    finally:
        handle.remove()
