"""The scorers of METHOD 2: each turns a batch of steps into scores of every neuron."""

from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.attribution.batch import Baselines, StepBatch, mean_baselines, word_baselines, zero_baselines
from atlas.attribution.gated import control, greedy, joint
from atlas.attribution.paths import PathScores, integrate
from atlas.attribution.settings import Settings
from atlas.engine.tracing import trace
from atlas.errors import ModelError
from atlas.models import LanguageModel
from atlas.models.readout import features_of_ids

START_NODES = {"amig": 2, "amig-mean": 2, "amig-code": 20, "kn": 4, "joint": 8}
"""Gauss-Legendre nodes of the first rule: the word baselines' paths are short."""


@dataclass(frozen=True, slots=True)
class StepScores:
    """Scores `[step, layer, neuron]` and, `[step, layer]`: F(w), F(w'), completeness error, nodes; converged [step].

    `features` `[step, hidden]` is what the output matrix receives at the query.

    With several baselines a score is their mean, and so are F(w') and the error: the mean of the errors, not the
    error of the mean, so that they cannot cancel.
    """

    scores: Tensor
    f: Tensor
    f_baseline: Tensor
    error: Tensor
    nodes: Tensor
    converged: Tensor
    features: Tensor


def score_steps(model: LanguageModel, batch: StepBatch, settings: Settings, budget: int) -> StepScores:
    """Score a batch of steps with the method of `settings`; at most about `budget` bytes of activations at a time."""
    rows = max(1, budget // sequence_bytes(model, batch.ids.shape[1]))
    if settings.method == "joint":
        return _joint(model, batch, settings, rows)
    if settings.method == "greedy":
        return _without_path(model, batch, *greedy(model, batch, settings.cuts, rows))
    if settings.method in ("gradient", "activation", "random"):
        return _without_path(model, batch, *control(model, batch, settings, rows))
    return _along_paths(model, batch, settings, budget, rows)


def sequence_bytes(model: LanguageModel, tokens: int) -> int:
    """Return about how many bytes one sequence keeps for a backward pass through the whole model."""
    info = model.info
    return int(info.layers * tokens * (16 * info.hidden + 5 * info.neurons) * model.dtype.itemsize)


def _along_paths(model: LanguageModel, batch: StepBatch, settings: Settings, budget: int, rows: int) -> StepScores:
    baselines = _baselines(model, batch, settings, 4 * rows)
    record = trace(model, batch.ids, batch.query, batch.target)
    paths = integrate(record, baselines, settings, START_NODES[settings.method], budget)
    return _mean_over_paths(paths, baselines, record.features)


def _baselines(model: LanguageModel, batch: StepBatch, settings: Settings, rows: int) -> Baselines:
    if settings.method == "kn":
        return zero_baselines(model, batch)
    if settings.method == "amig":
        if not all(step.words for step in batch.steps):
            raise ModelError("A prompt has no word to make a baseline of; use a template with text, or --method kn.")
        return word_baselines(model, batch, rows)
    return mean_baselines(model, batch, rows, every_token=settings.method == "amig-code")


def _mean_over_paths(paths: PathScores, baselines: Baselines, features: Tensor) -> StepScores:
    steps = len(features)
    count = torch.bincount(baselines.owner, minlength=steps)

    def mean(values: Tensor) -> Tensor:
        sums = values.new_zeros(steps, *values.shape[1:]).index_add_(0, baselines.owner, values)
        return sums / count.to(values.dtype).view(-1, *(1 for _ in values.shape[1:]))

    done = paths.converged.all(1).to(paths.f.dtype)
    owner = baselines.owner[:, None].expand_as(paths.nodes)
    nodes = paths.nodes.new_zeros(steps, paths.nodes.shape[1]).scatter_reduce_(0, owner, paths.nodes, "amax")
    f = mean(paths.f)[:, None].expand(-1, paths.error.shape[1])
    f_baseline, error = mean(paths.f_baseline), mean(paths.error)
    return StepScores(mean(paths.scores), f, f_baseline, error, nodes, mean(done) == 1, features)


def _joint(model: LanguageModel, batch: StepBatch, settings: Settings, rows: int) -> StepScores:
    """One path for all layers: its ends, error and nodes stand beside every layer."""
    result = joint(model, batch, settings, START_NODES["joint"], rows)

    def beside(value: Tensor) -> Tensor:
        return value[:, None].expand(-1, model.info.layers)

    f, f_baseline, error, nodes = map(beside, (result.f, result.f_baseline, result.error, result.nodes))
    return StepScores(result.scores, f, f_baseline, error, nodes, result.converged, _features(model, batch))


def _without_path(model: LanguageModel, batch: StepBatch, scores: Tensor, f: Tensor) -> StepScores:
    nothing = torch.full(scores.shape[:2], torch.nan, dtype=f.dtype, device=f.device)
    nodes = torch.zeros(scores.shape[:2], dtype=torch.int32, device=f.device)
    every = f[:, None].expand_as(nothing)
    converged = torch.ones_like(f, dtype=torch.bool)
    return StepScores(scores, every, nothing, nothing, nodes, converged, _features(model, batch))


@torch.no_grad()
def _features(model: LanguageModel, batch: StepBatch) -> Tensor:
    return features_of_ids(model, batch.ids, batch.query)
