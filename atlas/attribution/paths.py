"""Integrated gradients of every layer along straight paths from the baselines (METHOD 2, Eq. 2-3).

`Attr_j = (w_j - w'_j) * integral over a in [0,1] of dF(w' + a (w - w')) / dw_j`, one layer at a time, the others at
their values. A *unit* is one path and one layer.

A path is straight in what the neurons write, too, as the down-projection is affine: it is applied to both ends alone,
and its transpose once to the mean gradient with respect to what they wrote.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor

from atlas.attribution.quadrature import Asked, Rule, Scores, integrate, rules
from atlas.attribution.settings import Settings
from atlas.engine.batches import StepBatch, pause, sequence_bytes
from atlas.engine.replay import Entry, gradients_at_values, neurons_from, replay
from atlas.engine.tracing import Trace, trace
from atlas.errors import ModelError
from atlas.models import LanguageModel, Step
from atlas.models.norms import held_norm
from atlas.models.readout import token_probability
from atlas.models.tokens import SEPARATOR

STARTS = 8
"""Places of a causal model's sequence from which on those with a word replaced run, at most so many."""


@dataclass(frozen=True, slots=True)
class Baselines:
    """Baseline neurons `[path, layer, neuron]` and the step that each path belongs to, `owner` [path].

    `held`: along the paths a norm behind the down-projection has the size that it has at their ends (METHOD 2).
    """

    neurons: Tensor
    owner: Tensor
    held: bool = False


def zero_baselines(record: Trace, steps: Sequence[Step], _: int) -> Baselines:
    """Return the zero vector as every step's baseline (Dai et al. 2022).

    A norm behind the down-projection makes a jump of the path from there, as neurons shrunk to a thousandth come out of
    it as large as ever. So it is held.
    """
    zeros = torch.zeros_like(record.neurons)
    return Baselines(zeros, torch.arange(len(steps), device=zeros.device), held=bool(record.model.family.norm))


def word_baselines(record: Trace, steps: Sequence[Step], rows: int, *, every_token: bool = False) -> Baselines:
    """Return one baseline per word: the query with that word's tokens replaced by the filler (Chen et al., Eq. 3).

    The neurons are read where the steps have them, at the filler if it took that place. If `every_token`, each token is
    a word, special ones too. At most `rows` sequences run together, in a causal model from the word on.
    """
    model = record.model
    words = [_every_token(model, step) if every_token else step.words for step in steps]
    owner = torch.tensor([i for i, group in enumerate(words) for _ in group], device=model.device)
    ids = record.ids[owner]
    for row, positions in enumerate(word for group in words for word in group):
        ids[row, list(positions)] = model.filler
    neurons = record.neurons.new_empty(len(ids), *record.neurons.shape[1:])
    for first, part in _by_first_token([min(word) for group in words for word in group], record, rows):
        neurons[part] = neurons_from(record, first, ids[part], owner[part])
    return Baselines(neurons, owner)


def _by_first_token(firsts: Sequence[int], record: Trace, rows: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the rows that may run together, `rows` at most, with the token from which on the first of them differs."""
    width = max(1, record.ids.shape[1] // STARTS) if record.model.kind == "causal" else record.ids.shape[1]
    parts = torch.tensor([first // width for first in firsts], device=record.ids.device)
    for part in parts.unique().tolist():
        for places in (parts == part).nonzero()[:, 0].split(rows):
            yield part * width, places


def mean_baselines(record: Trace, steps: Sequence[Step], rows: int, *, every_token: bool) -> Baselines:
    """Return one baseline per step: the mean over its words, or over all tokens, special ones too, if `every_token`."""
    single = word_baselines(record, steps, rows, every_token=every_token)
    mean = _mean(single.neurons, single.owner, len(steps))
    return Baselines(mean, torch.arange(len(steps), device=mean.device))


def _every_token(model: LanguageModel, step: Step) -> tuple[tuple[int], ...]:
    """Return the position of every token that the query sees; an encoder sees none of its decoder's."""
    seen = step.ids[: step.shape[1]] if model.reads else step.ids
    return tuple((i,) for i, token in enumerate(seen) if token != SEPARATOR)


BASELINES: dict[str, Callable[[Trace, Sequence[Step], int], Baselines]] = {
    "amig": word_baselines,
    "amig-mean": partial(mean_baselines, every_token=False),
    "amig-code": partial(mean_baselines, every_token=True),
    "kn": zero_baselines,
}


def along_paths(model: LanguageModel, batch: StepBatch, settings: Settings, budget: int) -> tuple[Scores, Tensor]:
    """Return the mean over each step's paths, and what the output matrix receives at the query, `[step, hidden]`.

    At most about `budget` bytes of activations at a time. F(w'), too, is the mean over the paths.
    """
    if settings.method == "amig" and not all(step.words for step in batch.steps):
        raise ModelError("A prompt has no word to make a baseline of; use a template with text, or --method kn.")
    rows = max(1, budget // sequence_bytes(model, batch.ids.shape[1]))
    record = trace(model, batch)
    baselines = BASELINES[settings.method](record, batch.steps, 4 * rows)
    integral = _Integral(record, baselines, settings.method != "amig-code", budget)
    paths = integral.ends(next(rules(settings)))
    largest = partial(_largest, owner=baselines.owner, steps=len(batch.steps))
    integrate(paths, integral, largest, settings, torch.finfo(model.dtype).eps)
    return _mean_over_paths(paths, baselines.owner, len(batch.steps)), record.features


def _mean_over_paths(paths: Scores, owner: Tensor, steps: int) -> Scores:
    """Return one row a step; its nodes are the most of any path, and it has converged if all have."""
    every = owner[:, None].expand_as(paths.nodes)
    nodes = paths.nodes.new_zeros(steps, paths.nodes.shape[1]).scatter_reduce_(0, every, paths.nodes, "amax")
    numbers = (paths.scores, paths.f, paths.f_baseline, paths.error, paths.score_error)
    scores, f, f_baseline, error, score_error = (_mean(values, owner, steps) for values in numbers)
    converged = _mean(paths.converged.to(f.dtype), owner, steps) == 1
    return Scores(scores, f, f_baseline, error, score_error, nodes, converged)


def _largest(scores: Tensor, owner: Tensor, steps: int) -> Tensor:
    """Return the largest score of each path's step `[path]`, of the mean over its paths `[path, layer, neuron]`."""
    return _mean(scores, owner, steps).flatten(1).amax(1)[owner]


def _mean(values: Tensor, owner: Tensor, steps: int) -> Tensor:
    """Return the mean of the rows `[path, ...]` of each step, `[step, ...]`."""
    count = torch.bincount(owner, minlength=steps).to(values.dtype)
    sums = values.new_zeros(steps, *values.shape[1:]).index_add_(0, owner, values)
    return sums / count.view(-1, *(1 for _ in values.shape[1:]))


@dataclass
class _Integral:
    """The integrals of units `[unit, (path, layer)]`: mean gradients times the way, w - w', or w if not `less`.

    Copies of about `budget` bytes of activations run together.
    """

    record: Trace
    baselines: Baselines
    less: bool
    budget: int
    asked: Asked = field(init=False)
    at_values: Tensor = field(init=False)  # [step, layer, neuron]

    def ends(self, rule: Rule) -> Scores:
        """Return F at both ends of every path and layer, no scores yet; keep the gradients there if `rule` has them."""
        record, (paths, layers, neurons) = self.record, self.baselines.neurons.shape
        if rule.ends_at_values:
            f, self.at_values = gradients_at_values(record, held=self.baselines.held)
        else:
            f = token_probability(record.model, record.features, record.target)
        start = f.new_zeros(paths, layers)
        units = torch.ones_like(start, dtype=torch.bool).nonzero()
        first = rule.nodes[:1] if rule.ends_at_values and not rule.nodes[0] else ()  # w', which is asked anyway
        width = self._written[0][1].shape[1]
        self.asked = Asked(units, first, record.features.new_empty(len(units), len(first), width))
        for places, entries in self._entered(units, (0.0,), self.budget * (1 if first else 8)):
            if first:
                values, gradients = _differentiated(record, entries)
                self.asked.gradients[places] = torch.cat(list(gradients.values()))
            else:
                values = replay(record, entries)
            start[units[places].unbind(1)] = values.view(-1)
        return Scores.unfinished(f[self.baselines.owner, None].expand_as(start), start, neurons)

    def __call__(self, rule: Rule, units: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield units, their integrals by `rule` and their last coefficients, both `[unit, neuron]`.

        A rule that `ends_at_values` asks at nodes that were not asked before, if gradients at all fit in the budget;
        others at every one; none at w.
        """
        inner = rule.nodes[: len(rule.nodes) - rule.ends_at_values]
        weights = torch.tensor([rule.weights, rule.tail or (torch.nan,) * len(rule.nodes)], dtype=torch.float64)
        known, every = self.asked.gradients, torch.arange(len(units), device=units.device)
        size = len(units) * len(inner) * known.shape[2] * known.element_size()
        found: Iterable[tuple[Tensor, Tensor]]
        if rule.ends_at_values and size <= self.budget:
            found = [(every, self.asked.at(units, inner, self._gradients))]
        else:
            self.asked, found = Asked(units[:0], (), known[:0]), self._gradients(units, inner)
        for places, gradients in found:
            for layer in units[places, 1].unique().tolist():
                own = units[places, 1] == layer
                yield self._weighted(units[places[own]], layer, gradients[own], weights)

    def _weighted(self, units: Tensor, layer: int, gradients: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return units of a layer, and sums by `weights` `[2, node]` of their gradients `[unit, node, hidden]`, and of
        that at w where there is one weight more, times the way.

        They are accumulated in float32 or more.
        """
        (path, _), model = units.unbind(1), self.record.model
        owner, inner = self.baselines.owner[path], weights[:, : gradients.shape[1]]
        wide = torch.promote_types(model.dtype, torch.float32)
        total = torch.einsum("sn,unh->suh", inner.to(gradients.device, wide), gradients.to(wide))
        sums = model.pulled_back(layer, total.to(model.dtype)).to(wide)
        if weights.shape[1] > gradients.shape[1]:
            sums = sums + weights[:, -1, None, None].to(sums) * self.at_values[owner, layer]
        way = self.record.neurons[owner, layer]
        mean, tail = sums * (way - self.baselines.neurons[path, layer] if self.less else way).to(wide)
        return units, mean, tail

    def _gradients(self, units: Tensor, nodes: tuple[float, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        for places, entries in self._entered(units, nodes, self.budget):
            yield places, torch.cat(list(_differentiated(self.record, entries)[1].values()))

    def _entered(
        self, units: Tensor, nodes: tuple[float, ...], budget: int
    ) -> Iterator[tuple[Tensor, dict[int, Entry]]]:
        """Cut units, layer by layer, into parts whose activations fit in `budget` bytes, one unit at least; yield the
        places of each and copies at `nodes`. So all paths enter a layer together, where few make small products.
        """
        kept, work = _copy_bytes(self.record)
        order = torch.argsort(units[:, 1], stable=True)
        cost = (len(nodes) * (kept * (len(self.record.blocks) - units[order, 1]) + work)).cumsum(0)
        start = 0
        while start < len(units):
            pause()
            before = cost[start - 1] if start else 0
            stop = max(start + 1, int(torch.searchsorted(cost, before + budget, right=True)))
            yield order[start:stop], self._entries(units[order[start:stop]], nodes)
            start = stop

    def _entries(self, units: Tensor, nodes: tuple[float, ...]) -> dict[int, Entry]:
        """Return the copies of `units`, in the order of their layers, at `nodes`, by layer."""
        column = torch.tensor(nodes, dtype=self.baselines.neurons.dtype, device=units.device)[:, None]
        entries = {}
        for layer in units[:, 1].unique().tolist():
            path = units[units[:, 1] == layer][:, 0]
            owner = self.baselines.owner[path]
            start, end, held = self._written[layer]
            start, end = start[path, None], end[owner, None]
            entries[layer] = Entry(owner, start + column * (end - start), None if held is None else held[owner])
        return entries

    @cached_property
    def _written(self) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """What neurons write at w', `[path, hidden]`, and at w, `[step, hidden]`, layer by layer.

        And at which factors a norm behind the down-projection is held, `[step, hidden]`.
        """
        found: list[tuple[Tensor, Tensor, Tensor | None]] = []
        for layer in range(len(self.record.blocks)):
            both = torch.cat([self.baselines.neurons[:, layer], self.record.neurons[:, layer]])
            start, end = self.record.model.written(layer, both).split([len(self.baselines.owner), len(self.record.ids)])
            if not self.baselines.held:
                found.append((start, end, None))
                continue
            held = held_norm(self.record.model, layer, end)
            found.append((start * held[self.baselines.owner], end * held, held))
        return found


def _differentiated(record: Trace, entries: dict[int, Entry]) -> tuple[Tensor, dict[int, Tensor]]:
    """Return F of the entries' copies, `[unit, node]`, and dF/d(what their neurons wrote), `[unit, node, hidden]` by
    layer: through a held norm, where there is one.
    """
    leaves = [entry.written.requires_grad_() for entry in entries.values()]
    with torch.enable_grad():
        f = replay(record, entries)
        gradients = torch.autograd.grad(f.sum(), leaves)
    through = {
        layer: gradient if entry.held is None else gradient * entry.held[:, None]
        for (layer, entry), gradient in zip(entries.items(), gradients, strict=True)
    }
    return f.detach().view(-1, leaves[0].shape[1]), through


def _copy_bytes(record: Trace) -> tuple[int, int]:
    """Return about how many bytes a copy keeps for the backward pass of each block, and the block at work takes.

    Measured by what autograd saves: in BERT 5.2 hidden + 1 neurons a token; in GPT-2 7 hidden + 3 neurons, and
    the keys and values of every token. A decoder behind the blocks counts as as many blocks again.
    """
    info, tokens = record.model.info, record.ids.shape[1]
    if record.model.two_way:
        kept, work = tokens * (8 * info.hidden + 2 * info.neurons), tokens * (8 * info.hidden + 4 * info.neurons)
        work += kept * info.layers if record.model.reads else 0
    else:
        prefix = sum(part[0].numel() for part in (record.blocks[0].key, record.blocks[0].value))
        kept, work = prefix + 8 * info.hidden + 4 * info.neurons, 2 * prefix + 8 * info.hidden + 8 * info.neurons
    return kept * record.features.element_size(), work * record.features.element_size()
