"""`peel`: attribute, cut the neurons that carry the answer, attribute what is left again (METHOD 2).

A backup that acts only once another neuron is gone gets its credit in the round in which it works. Each round is
`amig-mean` on the model as it is then: the neurons cut so far are zero at the run's position, in the baselines too.
Where the first round finds nothing, it is `amig`, word by word.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from atlas.attribution.paths import along_paths
from atlas.attribution.quadrature import ROUNDING, Scores
from atlas.attribution.settings import Settings
from atlas.engine.answers import probability
from atlas.engine.batches import StepBatch
from atlas.models import LanguageModel
from atlas.models.scaling import Change, changed

ROUNDS = 4
"""Rounds at most, so that it costs at most as much as four attributions."""
CUT = 0.2
"""What carries the answer scores above this share of its round's largest."""
NOISE = 0.03
"""And moves the answer's log-odds by more than this. Planted (`benchmarks.peeling`), neurons that carry something move
them by 0.04 and more; where none is left, the largest is 0.002 in a weak background and 0.02 in a strong one."""
CLEAR = 20
"""How many times the noise a round's largest score must be to count in full."""
LOST = 0.1
"""The answer is lost below this share of its probability in the unmodified model."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round: the steps that it is about, by their place in the batch, and what `amig-mean` found of them.

    `credit` and `carrying`, which neurons carry the answer, are `[step, layer, neuron]`; `features` what the output
    matrix receives at the query, `[step, hidden]`.
    """

    steps: Tensor
    found: Scores
    credit: Tensor
    carrying: Tensor
    features: Tensor


def peel(model: LanguageModel, batch: StepBatch, settings: Settings, budget: int) -> tuple[Scores, Tensor]:
    """Return each neuron's credit in the round that it was cut after, in the first if in none, and which round.

    F, F(w') and the error of the sum are those of the first round, nodes, score error and convergence the worst of all.
    Also returns what the output matrix receives at the query in the unmodified model, `[step, hidden]`.
    """
    first, *later = rounds(model, batch, settings, budget)
    cut = first.carrying.to(torch.uint8)
    scores = first.credit
    for number, one in enumerate(later, 2):
        row, layer, neuron = one.carrying.nonzero(as_tuple=True)
        scores[one.steps[row], layer, neuron] = one.credit[row, layer, neuron]
        cut[one.steps[row], layer, neuron] = number
        _worsen(first.found, one)
    return replace(first.found, scores=scores, rounds=cut), first.features


def rounds(model: LanguageModel, batch: StepBatch, settings: Settings, budget: int) -> Iterator[Round]:
    """Yield the rounds: of all steps, then of those that keep their answer with what carried it cut."""
    settings = settings.model_copy(update={"method": "amig-mean"})
    steps = torch.arange(len(batch.steps), device=model.device)
    keep = torch.ones(len(steps), model.info.layers, model.info.neurons, device=model.device)
    whole: Tensor | None = None
    for left in reversed(range(ROUNDS)):
        with changed(model, _zeroed(keep[steps])):
            one = _round(model, batch.select(steps), steps, settings, budget)
            if whole is None:
                one, whole = _word_by_word(model, batch, one, settings, budget), one.found.f[:, 0]
        yield one
        keep[steps] = keep[steps].masked_fill(one.carrying, 0)
        if not left or not len(steps := _going_on(model, batch, steps[one.carrying.flatten(1).any(1)], keep, whole)):
            break


def _word_by_word(model: LanguageModel, batch: StepBatch, one: Round, settings: Settings, budget: int) -> Round:
    """Return the first round with `amig` in place of `amig-mean` in the steps in which nothing carries the answer.

    The mean of the baselines keeps of a neuron what all words but one leave of it. Where F is flat from there on, as
    where each of several neurons is enough, only the path of the one word leads off the plateau.
    """
    idle = (~one.carrying.flatten(1).any(1)).nonzero()[:, 0]
    idle = idle[[bool(batch.steps[place].words) for place in idle.tolist()]]
    if len(idle):
        by_word = settings.model_copy(update={"method": "amig"})
        again = _round(model, batch.select(idle), idle, by_word, budget)
        for name in ("scores", "f", "f_baseline", "error", "score_error", "nodes", "converged"):
            getattr(one.found, name)[idle] = getattr(again.found, name)
        one.credit[idle], one.carrying[idle] = again.credit, again.carrying
    return one


@torch.no_grad()
def _going_on(model: LanguageModel, batch: StepBatch, steps: Tensor, keep: Tensor, whole: Tensor) -> Tensor:
    """Return those of `steps` [step] that keep the answer, whose probability was `whole`, with what is cut at zero."""
    if not len(steps):
        return steps
    return steps[probability(model, batch.select(steps), keep[steps]) >= LOST * whole[steps]]


def _round(model: LanguageModel, batch: StepBatch, steps: Tensor, settings: Settings, budget: int) -> Round:
    """Attribute with the model as it is now, and say what carries the answer.

    Credit is the share of the round's largest score, times F. A score of NOISE times F (1 - F), by which F moves when
    the log-odds move by NOISE, is noise, and so is what log-odds and F are not known better than; a round whose largest
    score is below CLEAR times that gives credit in proportion.
    """
    found, features = along_paths(model, batch, settings, budget)
    f = found.f[:, 0]
    known, odds = (ROUNDING * torch.finfo(dtype).eps for dtype in (f.dtype, model.dtype))
    noise = torch.maximum(max(NOISE, odds) * f * (1 - f), known * f)[:, None, None]
    largest = found.scores.flatten(1).amax(1)[:, None, None]
    carrying = found.scores > torch.maximum(CUT * largest, noise)
    least = torch.finfo(f.dtype).tiny  # of an F that rounds to 0 every credit is 0
    unit = f[:, None, None] / torch.maximum(largest, CLEAR * noise).clamp_min(least)
    found = replace(found, score_error=found.score_error * unit[:, :, 0])
    return Round(steps, found, unit * found.scores, carrying, features)


def _zeroed(keep: Tensor) -> dict[int, Change]:
    """Return the changes that zero the neurons where `keep` `[step, layer, neuron]` is 0, of the layers with any."""
    layers = (keep == 0).flatten(2).any(2).any(0).nonzero()[:, 0].tolist()
    return {layer: Change(keep[:, layer], torch.zeros_like(keep[:, layer])) for layer in layers}


def _worsen(result: Scores, later: Round) -> None:
    """Let nodes, score error and convergence of the round's steps be the worst of what they are and what it found."""
    steps, found = later.steps, later.found
    result.nodes[steps] = torch.maximum(result.nodes[steps], found.nodes)
    result.score_error[steps] = torch.maximum(result.score_error[steps], found.score_error)
    result.converged[steps] &= found.converged
