"""Checks of what the engine computes against the model's own run and the hook-based reference."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from atlas.attribution.engine import score_steps
from atlas.attribution.quadrature import gauss_legendre, gauss_radau
from atlas.attribution.reference import reference_baselines, reference_cut, reference_neurons, reference_scores
from atlas.attribution.settings import Settings
from atlas.doctor.outcome import Outcome, relative, tolerance
from atlas.engine.batches import StepBatch
from atlas.engine.cutting import replay_cut
from atlas.engine.replay import Entry, replay, rerun
from atlas.engine.tracing import trace
from atlas.ids import Neuron
from atlas.models import LanguageModel, Step
from atlas.models.readout import output_matrix, token_logits, token_probability
from atlas.models.scaling import changed, multiplied

BUDGET = 1 << 28
NODES = 2


def logits(model: LanguageModel, step: Step) -> Outcome:
    """The traced run's logits at the query are the model's own."""
    record = trace(model, StepBatch.of(model, [step]))
    with torch.no_grad():
        wanted = model.at_answer(model.run(torch.tensor([step.ids], device=model.device)), step.query)[0]
        found = token_logits(record.features, *output_matrix(model))[0]
    return Outcome("logits", relative(found, wanted), tolerance(model), "traced run against the model")


def replayed(model: LanguageModel, step: Step, layers: Sequence[int]) -> Outcome:
    """Replays with unchanged neurons, and reruns from a block's input, give the probability of the traced run."""
    record = trace(model, StepBatch.of(model, [step]))
    with torch.no_grad():
        wanted = token_probability(model, record.features, record.target)
        first = record.query.new_zeros(1)
        entries = {layer: Entry(first, model.written(layer, record.neurons[:, layer, None])) for layer in layers}
        found = [replay(record, entries)]
        found += [token_probability(model, rerun(record, layer), record.target) for layer in layers]
    values = torch.cat(found)
    return Outcome("replay", relative(values, wanted.expand_as(values)), tolerance(model), "unchanged neurons")


def scored(model: LanguageModel, steps: Sequence[Step], layers: Sequence[int], kind: str, method: str) -> Outcome:
    """The engine's scores are the reference's: against zero (`kn`) or each word's baseline (`amig`)."""
    error = max(_score_error(model, step, layers, method) for step in steps)
    return Outcome(f"scores, {method}", error, tolerance(model), f"{kind} answer, {NODES} nodes, against hooks")


def complete(model: LanguageModel, step: Step, layers: Sequence[int]) -> Outcome:
    """The scores of a layer sum to F(w) - F(w'), both taken from plain runs; kinks, as of ReLU, take many nodes."""
    settings = Settings(method="kn", max_nodes=1024)
    found, _ = score_steps(model, StepBatch.of(model, [step]), settings, BUDGET)
    errors = []
    for layer in layers:
        _, f, f_baseline = reference_scores(model, step, layer, _zero(model)[layer], gauss_legendre(1))
        missed = float(found.scores[0, layer].sum()) - (f - f_baseline)
        errors.append(abs(missed) / max(abs(f - f_baseline), 0.01 * f))
    return Outcome("completeness", max(errors), settings.tolerance + 10 * tolerance(model), "sum of a layer's scores")


def cut(model: LanguageModel, step: Step, layers: Sequence[int]) -> Outcome:
    """Knock-outs of one neuron and of several layers' neurons together give what plain hooks give."""
    first, *_, last = every = loudest(model, step, layers)
    sets = [(first,), tuple(every), (last,)]
    found = replay_cut(trace(model, StepBatch.of(model, [step])), [(0, own) for own in sets])
    wanted = torch.stack([_cut_by_hand(model, step, own) for own in sets])
    return Outcome("knock-outs", relative(found, wanted), tolerance(model), "sets in one and in several layers")


def scored_without(model: LanguageModel, step: Step, layers: Sequence[int]) -> Outcome:
    """The engine's scores where neurons of several layers are cut, as `peel` does, are the reference's."""
    mask = _mask(model, loudest(model, step, layers))
    settings = Settings(method="amig-mean", nodes=NODES, max_nodes=NODES)
    keep = torch.stack([torch.ones_like(mask), ~mask]).float()
    batch = StepBatch.of(model, [_another(model, step), step])
    with changed(model, multiplied(model, keep)):
        found, _ = score_steps(model, batch, settings, BUDGET)
    with reference_cut(model, step, mask):
        baseline = torch.stack(reference_baselines(model, step)).mean(0)
        own = [reference_scores(model, step, layer, baseline[layer], gauss_radau(NODES))[0] for layer in layers]
    error = relative(found.scores[1, list(layers)], torch.stack(own))
    return Outcome("scores, neurons cut", error, tolerance(model), "a neuron of each layer at zero, against hooks")


def loudest(model: LanguageModel, step: Step, layers: Sequence[int]) -> list[Neuron]:
    """Return the neuron `(layer, neuron)` of largest magnitude of each layer, which cannot be zero already."""
    plain = reference_neurons(model, step.ids, step.at)
    return [(layer, int(plain[layer].abs().argmax())) for layer in layers]


def _zero(model: LanguageModel) -> Tensor:
    return torch.zeros(model.info.layers, model.info.neurons, dtype=model.dtype, device=model.device)


def _score_error(model: LanguageModel, step: Step, layers: Sequence[int], method: str) -> float:
    """Return how far the engine's scores of `step`, in a batch behind another, are from the reference's."""
    settings = Settings(method=method, nodes=NODES, max_nodes=NODES)
    found, _ = score_steps(model, StepBatch.of(model, [_another(model, step), step]), settings, BUDGET)
    held = method == "kn"
    baselines = [_zero(model)] if held else reference_baselines(model, step)
    wanted = []
    for layer in layers:
        rule = gauss_radau(NODES)
        paths = [reference_scores(model, step, layer, own[layer], rule, held=held)[0] for own in baselines]
        wanted.append(torch.stack(paths).mean(0))
    return relative(found.scores[1, list(layers)], torch.stack(wanted))


def _another(model: LanguageModel, step: Step) -> Step:
    """Return a step to run beside `step`: its first word replaced by the filler, and longer in a causal model."""
    ids = tuple(model.filler if i in step.words[0] else token for i, token in enumerate(step.ids))
    if model.kind != "causal":
        return replace(step, ids=ids)
    return replace(step, ids=(*ids, step.target), query=len(ids))


@torch.no_grad()
def _cut_by_hand(model: LanguageModel, step: Step, neurons: Sequence[Neuron]) -> Tensor:
    with reference_cut(model, step, _mask(model, neurons)):
        found = model.run(torch.tensor([step.ids], device=model.device))
    return model.at_answer(found, step.query)[0].softmax(-1)[step.target]


def _mask(model: LanguageModel, neurons: Sequence[Neuron]) -> Tensor:
    """Return True at `neurons`, `[layer, neuron]`."""
    mask = torch.zeros(model.info.layers, model.info.neurons, dtype=torch.bool, device=model.device)
    mask[tuple(zip(*neurons, strict=True))] = True
    return mask
