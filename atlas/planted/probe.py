"""Reading a planted model and cutting its neurons: plain hooks, every prompt with cuts of its own."""

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.models import LanguageModel
from atlas.models.gates import gated_probability
from atlas.models.hooks import pre_hook

Cuts = Sequence[Collection[Neuron]]


@dataclass(frozen=True, slots=True)
class _Group:
    """Prompts of one length: their places in the list, ids `[batch, token]`, queries and targets `[batch]`."""

    places: Tensor
    ids: Tensor
    query: Tensor
    target: Tensor


class Probe:
    """The prompts of a planted model, ready to be run; all results are `[prompt, ...]` in the order given."""

    def __init__(self, model: LanguageModel, prompts: Sequence[Prompt]) -> None:
        self.model = model
        self.prompts = prompts
        steps = [model.steps(prompt)[0] for prompt in prompts]
        self._groups = [
            _Group(
                torch.tensor([i for i, step in enumerate(steps) if len(step.ids) == length]),
                torch.tensor([step.ids for step in steps if len(step.ids) == length]),
                torch.tensor([step.query for step in steps if len(step.ids) == length]),
                torch.tensor([step.target for step in steps if len(step.ids) == length]),
            )
            for length in sorted({len(step.ids) for step in steps})
        ]

    def probabilities(self, cuts: Cuts | None = None) -> Tensor:
        """Return the answer's probability `[prompt]` with each prompt's `cuts` at zero at its query position."""
        return self._each(lambda group, gates: self._run(group, gates), cuts)

    def neurons(self, cuts: Cuts | None = None) -> Tensor:
        """Return the neurons at the query positions, `[prompt, layer, neuron]`, before they are cut."""
        return self.inputs([self.model.down_projection(layer) for layer in range(self.model.info.layers)], cuts)

    def inputs(self, modules: Sequence[nn.Module], cuts: Cuts | None = None) -> Tensor:
        """Return what each of `modules` reads at the query positions, `[prompt, module, width]`."""
        return self._each(lambda group, gates: self._read(modules, group, gates), cuts)

    def _each(self, read: Callable[[_Group, Tensor], Tensor], cuts: Cuts | None) -> Tensor:
        parts = [(group.places, read(group, self._gates(group, cuts))) for group in self._groups]
        whole = torch.empty(len(self.prompts), *parts[0][1].shape[1:])
        for places, values in parts:
            whole[places] = values
        return whole

    def _gates(self, group: _Group, cuts: Cuts | None) -> Tensor:
        """Return 1 for every neuron that is kept, `[batch, layer, neuron]`."""
        gates = torch.ones(len(group.places), self.model.info.layers, self.model.info.neurons)
        for row, place in enumerate(group.places.tolist() if cuts else ()):
            for layer, neuron in cuts[place] if cuts else ():
                gates[row, layer, neuron] = 0
        return gates

    def _run(self, group: _Group, gates: Tensor) -> Tensor:
        with torch.no_grad():
            return gated_probability(self.model, group.ids, group.query, group.target, gates)

    def _read(self, modules: Sequence[nn.Module], group: _Group, gates: Tensor) -> Tensor:
        seen: dict[int, Tensor] = {}
        rows = torch.arange(len(group.query))

        def keep(place: int, values: Tensor) -> Tensor:
            seen[place] = values[rows, group.query]
            return values

        with ExitStack() as stack:
            for place, module in enumerate(modules):
                stack.enter_context(pre_hook(module, partial(keep, place)))
            self._run(group, gates)
        return torch.stack([seen[place] for place in range(len(modules))], dim=1)


def log_odds(probability: Tensor) -> Tensor:
    """Return log(p / (1 - p)), kept finite."""
    return torch.logit(probability, eps=1e-7)
