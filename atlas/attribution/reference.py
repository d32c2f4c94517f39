"""The slow and obvious path: one layer, one baseline, one step at a time, by hooks on the whole model.

It shares no code with the replay and is the oracle that the fast path is tested against.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

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
