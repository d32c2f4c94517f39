"""What a demo model knows and where, as `atlas build` would find it: every number on its model card.

A fact's knowledge neurons follow METHOD 3 with its default thresholds; the same definition serves every number here.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from atlas.attribution import Settings, attribute
from atlas.facts import Fact, FactSet, Prompt
from atlas.facts.bundled import LANGUAGES
from atlas.models.hooks import neurons_edited
from atlas.models.model import LanguageModel

TAU, SHARE = 0.2, 0.5
SHUFFLES = 20

Mask = NDArray[np.bool_]  # [layer, neuron]
Neurons = Mapping[tuple[int, str], Mask]  # by fact id and language


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The share of fact-languages and of prompts whose answer is the argmax at every token, and mean probability."""

    fact_languages: float
    prompts: float
    mean_probability: float


@dataclass(frozen=True, slots=True)
class Localisation:
    """What one method finds: sizes, what zeroing costs (mean relative drop of probability), LIKN and its control.

    `own` zeroes a fact's knowledge neurons in its own prompts, `other` those of a fact of another relation and another
    object. `likn_*` are shares of facts; `shuffled_*` the same with facts shuffled within a relation, per language.
    """

    method: str
    neurons_per_fact_language: float
    neurons_by_layer: tuple[float, ...]
    own: float
    other: float
    ratio: float
    likn_all: float
    likn_all_but_one: float
    shuffled_all: float
    shuffled_all_but_one: float
    completeness: float


def measure_knowledge(model: LanguageModel, facts: FactSet, *, held_out: bool) -> Knowledge:
    """Ask every usable prompt; a fact-language is known if the answer is the argmax in most of its templates."""
    prompts = _usable(model, facts, held_out=held_out)
    probability, right = _answers(model, prompts, None)
    groups: dict[tuple[int, str], list[bool]] = defaultdict(list)
    for prompt, known in zip(prompts, right, strict=True):
        groups[prompt.fact.id, prompt.language].append(bool(known))
    most = [np.mean(known) > SHARE for known in groups.values()]
    return Knowledge(float(np.mean(most)), float(right.mean()), float(probability.mean()))


def measure_localisation(model: LanguageModel, facts: FactSet, method: str, seed: int = 0) -> Localisation:
    """Attribute every trained prompt with `method` and measure the knowledge neurons that follow."""
    prompts = _usable(model, facts, held_out=False)
    neurons, completeness = knowledge_neurons(model, prompts, method)
    before, _ = _answers(model, prompts, None)
    rng = random.Random(seed)
    strangers = [_stranger(prompt.fact, facts.facts, rng) for prompt in prompts]
    own = _cost(model, prompts, before, [neurons[p.fact.id, p.language] for p in prompts])
    other = _cost(model, prompts, before, [neurons[s.id, p.language] for s, p in zip(strangers, prompts, strict=True)])
    layers = np.sum([mask.sum(axis=1) for mask in neurons.values()], axis=0)
    likn = _likn(neurons, facts.facts, lambda fact, _: fact.id)
    shuffled = np.mean([_likn(neurons, facts.facts, _shuffled(facts.facts, rng)) for _ in range(SHUFFLES)], axis=0)
    return Localisation(
        method=method,
        neurons_per_fact_language=float(layers.sum() / len(neurons)),
        neurons_by_layer=tuple((layers / max(1, layers.sum())).tolist()),
        own=own,
        other=other,
        ratio=own / max(other, 1e-9),
        likn_all=float(likn[0]),
        likn_all_but_one=float(likn[1]),
        shuffled_all=float(shuffled[0]),
        shuffled_all_but_one=float(shuffled[1]),
        completeness=completeness,
    )


def knowledge_neurons(model: LanguageModel, prompts: Sequence[Prompt], method: str) -> tuple[Neurons, float]:
    """Return each fact-language's knowledge neurons (Eq. 6-7) and the share of layers whose integral converged."""
    votes: dict[tuple[int, str], list[Mask]] = defaultdict(list)
    errors = []
    for prompt, result in zip(prompts, attribute(model, prompts, Settings(method=method)), strict=True):
        if result.scores is None or result.layers is None:
            continue
        votes[prompt.fact.id, prompt.language].append(result.scores > TAU * result.scores.max())
        span = np.abs(result.layers.f - result.layers.f_baseline)
        errors.append(result.layers.completeness_error <= np.maximum(0.01 * span, 1e-4))
    return {key: np.mean(masks, axis=0) > SHARE for key, masks in votes.items()}, float(np.mean(errors))


def as_json(knowledge: Mapping[str, Knowledge], found: Iterable[Localisation]) -> dict[str, Any]:
    """Return all numbers, rounded to four digits."""
    numbers = {name: asdict(value) for name, value in knowledge.items()}
    numbers["localisation"] = {value.method: asdict(value) for value in found}
    rounded: dict[str, Any] = _rounded(numbers)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def _usable(model: LanguageModel, facts: FactSet, *, held_out: bool) -> list[Prompt]:
    prompts = facts.prompts(held_out=held_out)
    return [prompt for prompt in prompts if model.kind == "masked" or prompt.template.ends_in_object]


def _answers(
    model: LanguageModel, prompts: Sequence[Prompt], silent: Sequence[Mask] | None
) -> tuple[NDArray[np.float64], Mask]:
    """Return each prompt's probability, and whether the answer is the argmax at every step, `silent` neurons zeroed."""
    probability, right = np.ones(len(prompts)), np.ones(len(prompts), dtype=bool)
    steps = [(i, step) for i, prompt in enumerate(prompts) for step in model.steps(prompt)]
    by_length: dict[int, list[Any]] = defaultdict(list)
    for item in steps:
        by_length[len(item[1].ids)].append(item)
    for group in by_length.values():
        for start in range(0, len(group), 256):
            batch = group[start : start + 256]
            logits = _logits(model, batch, silent)
            target = torch.tensor([step.target for _, step in batch])
            shares = torch.softmax(logits, dim=-1).gather(1, target[:, None])[:, 0].tolist()
            hits = (logits.argmax(-1) == target).tolist()
            for (i, _), share, hit in zip(batch, shares, hits, strict=True):
                probability[i] *= share
                right[i] &= hit
    return probability, right


@torch.no_grad()
def _logits(model: LanguageModel, batch: Sequence[Any], silent: Sequence[Mask] | None) -> torch.Tensor:
    """Return the logits `[step, word]` at the query of each step."""
    ids = torch.tensor([step.ids for _, step in batch])
    query = torch.tensor([step.query for _, step in batch])
    rows = torch.arange(len(batch))
    if silent is None:
        return model.run(ids)[rows, query]
    kept = torch.tensor(~np.stack([silent[i] for i, _ in batch]))  # [step, layer, neuron]

    def zero(layer: int) -> Callable[[torch.Tensor], torch.Tensor]:
        def edit(neurons: torch.Tensor) -> torch.Tensor:
            changed = neurons.clone()
            changed[rows, query] *= kept[:, layer]
            return changed

        return edit

    with neurons_edited(model, {layer: zero(layer) for layer in range(model.info.layers)}):
        return model.run(ids)[rows, query]


def _cost(
    model: LanguageModel, prompts: Sequence[Prompt], before: NDArray[np.float64], silent: Sequence[Mask]
) -> float:
    """Return the mean relative drop of probability when `silent` neurons are zeroed at the query."""
    after, _ = _answers(model, prompts, silent)
    return float(np.mean(1 - after / before))


def _stranger(fact: Fact, facts: Sequence[Fact], rng: random.Random) -> Fact:
    """Return a fact of another relation and another object (METHOD 4)."""
    others = [other for other in facts if other.relation != fact.relation and other.object != fact.object]
    return rng.choice(others)


def _likn(neurons: Neurons, facts: Sequence[Fact], pick: Callable[[Fact, str], int]) -> NDArray[np.float64]:
    """Return the shares of facts with a neuron in all languages, and in all but one."""
    counts = [np.sum([neurons[pick(fact, language), language] for language in LANGUAGES], axis=0) for fact in facts]
    most = np.array([count.max() for count in counts])
    return np.array([np.mean(most >= len(LANGUAGES)), np.mean(most >= len(LANGUAGES) - 1)])


def _shuffled(facts: Sequence[Fact], rng: random.Random) -> Callable[[Fact, str], int]:
    """Return a choice that puts, per language, another fact of the same relation in each fact's place."""
    relations: dict[str, list[int]] = defaultdict(list)
    for fact in facts:
        relations[fact.relation].append(fact.id)
    placed: dict[tuple[int, str], int] = {}
    for ids in relations.values():
        for language in LANGUAGES:
            order = rng.sample(ids, len(ids))
            placed.update({(old, language): new for old, new in zip(ids, order, strict=True)})
    return lambda fact, language: placed[fact.id, language]
