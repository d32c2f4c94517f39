"""Reading a planted model and cutting its neurons: plain hooks, every prompt with cuts of its own."""

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from operator import itemgetter

import torch
from torch import Tensor, nn

from atlas.engine.answers import probability
from atlas.engine.batches import StepBatch, by_shape
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.models import LanguageModel, Position
from atlas.models.hooks import pre_hook
from atlas.models.scaling import Scope

Cuts = Sequence[Collection[Neuron]]


class Readings:
    """The prompts of a planted model, ready to be run; all results are `[prompt, ...]` in the order given.

    Neurons are cut at the query, or everywhere by the `scope` all, as where some work elsewhere.
    """

    def __init__(self, model: LanguageModel, prompts: Sequence[Prompt], scope: Scope = "query") -> None:
        self.model = model
        self.prompts = prompts
        self.scope: Scope = scope
        steps = [(place, model.steps(prompt, "subject")[0]) for place, prompt in enumerate(prompts)]
        self._groups = [
            (torch.tensor([place for place, _ in group]), StepBatch.of(model, [step for _, step in group]))
            for group in by_shape(steps, itemgetter(1))
        ]

    def probabilities(self, cuts: Cuts | None = None) -> Tensor:
        """Return the answer's probability `[prompt]` with each prompt's `cuts` at zero."""
        return self._each(self._run, cuts)

    def neurons(self, cuts: Cuts | None = None, at: Position = "query") -> Tensor:
        """Return the neurons `at` a position, `[prompt, layer, neuron]`, before they are cut."""
        return self.inputs([self.model.down_projection(layer) for layer in range(self.model.info.layers)], cuts, at)

    def inputs(self, modules: Sequence[nn.Module], cuts: Cuts | None = None, at: Position = "query") -> Tensor:
        """Return what each of `modules` reads `at` a position, `[prompt, module, width]`."""
        return self._each(partial(self._read, modules, at), cuts)

    def _each(self, read: Callable[[StepBatch, Tensor], Tensor], cuts: Cuts | None) -> Tensor:
        parts = [(places, read(batch, self._gates(places.tolist(), cuts))) for places, batch in self._groups]
        result = torch.empty(len(self.prompts), *parts[0][1].shape[1:])
        for places, values in parts:
            result[places] = values
        return result

    def _gates(self, places: Sequence[int], cuts: Cuts | None) -> Tensor:
        """Return 1 for every neuron that is kept, `[batch, layer, neuron]`."""
        gates = torch.ones(len(places), self.model.info.layers, self.model.info.neurons)
        for row, place in enumerate(places if cuts else ()):
            for layer, neuron in cuts[place] if cuts else ():
                gates[row, layer, neuron] = 0
        return gates

    @torch.no_grad()
    def _run(self, batch: StepBatch, gates: Tensor) -> Tensor:
        batch = replace(batch, at=batch.query)
        return probability(self.model, batch, gates, scope=self.scope)

    def _read(self, modules: Sequence[nn.Module], at: Position, batch: StepBatch, gates: Tensor) -> Tensor:
        seen: dict[int, Tensor] = {}
        rows, token = torch.arange(len(batch.query)), batch.query if at == "query" else batch.at

        def keep(place: int, values: Tensor) -> Tensor:
            seen[place] = values[rows, token]
            return values

        with ExitStack() as stack:
            for place, module in enumerate(modules):
                stack.enter_context(pre_hook(module, partial(keep, place)))
            self._run(batch, gates)
        return torch.stack([seen[place] for place in range(len(modules))], dim=1)


def log_odds(probability: Tensor) -> Tensor:
    """Return log(p / (1 - p)), kept finite."""
    return torch.logit(probability, eps=1e-7)
