"""What a model says about claims: attribution at given neurons, and its own probability (METHOD 6)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from atlas.attribution import PromptAttribution, Settings, attribute
from atlas.engine.answers import put
from atlas.engine.batches import steps_of
from atlas.facts import Prompt
from atlas.ids import Neuron
from atlas.models import LanguageModel
from atlas.models.readout import of_tokens, output_matrix, token_logits
from atlas.schema import USABLE_STATUSES

Name = tuple[str, str]
Sets = Mapping[Name, Sequence[Neuron]]
"""Sets of neurons by evidence and language."""

BATCH = 48
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Asked:
    """One claim as it is put: its prompts, the claimed object as their answer, and the neurons to be read.

    `spoken`: what each of the neurons says is asked for, too, not their mean alone.
    """

    prompts: Sequence[Prompt]
    sets: Sets = field(default_factory=dict)
    spoken: bool = False


@dataclass(frozen=True, slots=True)
class Signals:
    """Means over a claim's usable prompts; `status` is `ok` or says why there are none.

    `score` is the mean attribution at each set of neurons, NaN for an empty set, and `neurons` that of each member,
    where it was asked for. `log_probability` is that of all tokens of the object, `margin` their summed log-probability
    less that of the model's own first choices, `argmax` the share of prompts where the object is those first choices.
    `elsewhere` is the mean `log_probability` of the same claim in other languages, where it was put in several.
    """

    status: str
    log_probability: float = NAN
    margin: float = NAN
    argmax: float = NAN
    elsewhere: float = NAN
    score: Mapping[Name, float] = field(default_factory=dict)
    neurons: Mapping[Name, Mapping[Neuron, float]] = field(default_factory=dict)


def batches(claims: Sequence[Asked]) -> Iterator[list[Asked]]:
    """Yield the claims in batches of BATCH prompts or a few more, in order."""
    batch: list[Asked] = []
    for claim in claims:
        batch.append(claim)
        if sum(len(other.prompts) for other in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def read_signals(
    model: LanguageModel, batch: Sequence[Asked], settings: Settings, budget: int | None = None
) -> list[Signals]:
    """Return the signals of each claim of a batch."""
    prompts = [prompt for claim in batch for prompt in claim.prompts]
    results = iter(zip(attribute(model, prompts, settings, budget), own_answers(model, prompts), strict=True))
    return [_signals(claim, [next(results) for _ in claim.prompts]) for claim in batch]


def _signals(claim: Asked, results: Sequence[tuple[PromptAttribution, "Own | None"]]) -> Signals:
    usable = [
        (found.scores, own)
        for found, own in results
        if found.status in USABLE_STATUSES and found.scores is not None and own is not None
    ]
    if not usable:
        return Signals(results[0][0].status if results else "no template")
    scores = np.mean([found for found, _ in usable], axis=0)
    own = np.mean([(own.log_probability, own.margin, own.argmax) for _, own in usable], axis=0)
    neurons = {name: {neuron: float(scores[neuron]) for neuron in members} for name, members in claim.sets.items()}
    means = {name: float(np.mean(list(found.values()))) if found else NAN for name, found in neurons.items()}
    spoken = neurons if claim.spoken else {}
    return Signals("ok", float(own[0]), float(own[1]), float(own[2]), score=means, neurons=spoken)


@dataclass(frozen=True, slots=True)
class Own:
    """What a model makes of one prompt's answer, over its teacher-forced steps; see `Signals`."""

    log_probability: float
    margin: float
    argmax: bool


def own_answers(model: LanguageModel, prompts: Sequence[Prompt]) -> list[Own | None]:
    """Return the model's own view of each answer, None for prompts that it cannot take or whose output is NaN."""
    steps, _ = steps_of(model, prompts)
    return [_own(pairs) if pairs else None for pairs in put(model, steps, partial(_gold_and_best, model))]


def _own(pairs: Sequence[tuple[float, float]]) -> Own | None:
    gold, best = map(sum, zip(*pairs, strict=True))
    if not np.isfinite(gold + best):
        return None
    return Own(gold, gold - best, all(own >= top for own, top in pairs))


def _gold_and_best(model: LanguageModel, features: Tensor, target: Tensor) -> list[tuple[float, float]]:
    """Return the log-probability of the gold token and of the most probable one for steps of one length."""
    logs = torch.log_softmax(token_logits(features, *output_matrix(model), target), dim=-1)
    gold = logs.gather(1, target[:, None])[:, 0]
    return list(zip(gold.tolist(), of_tokens(model, logs).amax(1).tolist(), strict=True))
