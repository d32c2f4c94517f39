"""What a demo model knows and where, as `atlas build` would find it: every number on its model card.

Knowledge neurons and LIKN are what the views of an atlas of the model's scores say, under the default definition.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import atlas
from atlas.attribution import Settings
from atlas.engine.answers import Case, Measured, measure, usable
from atlas.facts import Fact, FactSet, Prompt
from atlas.facts.bundled import LANGUAGES
from atlas.ids import Neuron
from atlas.models.model import LanguageModel
from atlas.running.scores import fill_run
from atlas.store.stored import neuron_sets

SHUFFLES = 20

Neurons = Mapping[tuple[int, str], Sequence[Neuron]]
"""The knowledge neurons of a fact in a language; those without any are left out."""


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
    prompts = usable(model, list(facts.prompts(held_out=held_out)))
    found = measure(model, [Case(prompt) for prompt in prompts])
    groups: dict[tuple[int, str], list[bool]] = defaultdict(list)
    for prompt, measured in zip(prompts, found, strict=True):
        groups[prompt.pair].append(measured.argmax)
    most = [fmean(known) > 0.5 for known in groups.values()]
    return Knowledge(fmean(most), fmean(each.argmax for each in found), fmean(each.probability for each in found))


def measure_localisation(model: LanguageModel, facts: FactSet, method: str) -> Localisation:
    """Attribute every trained prompt with `method` and measure the knowledge neurons that follow."""
    prompts = usable(model, list(facts.prompts(held_out=False)))
    with TemporaryDirectory() as folder, atlas.open(Path(folder) / "demo.duckdb", "w") as writer:
        writer.add_facts(facts)
        fill_run(writer, model, [prompts], Settings(method=method))
        found = _find(writer, model.info.layers)
    before = measure(model, [Case(prompt) for prompt in prompts])
    rng = random.Random(0)
    strangers = [_stranger(prompt.fact, facts.facts, rng) for prompt in prompts]
    own = _cost(model, prompts, before, [found.neurons.get(p.pair, ()) for p in prompts])
    away = zip(strangers, prompts, strict=True)
    other = _cost(model, prompts, before, [found.neurons.get((fact.id, p.language), ()) for fact, p in away])
    shuffles = [_shared(found.neurons, facts.facts, _shuffled(facts.facts, rng)) for _ in range(SHUFFLES)]
    shuffled = [fmean(shares) for shares in zip(*shuffles, strict=True)]
    total = sum(found.by_layer)
    return Localisation(
        method=method,
        neurons_per_fact_language=total / found.fact_languages,
        neurons_by_layer=tuple(count / max(1, total) for count in found.by_layer),
        own=own,
        other=other,
        ratio=own / max(other, 1e-9),
        likn_all=found.likn[0] / len(facts.facts),
        likn_all_but_one=found.likn[1] / len(facts.facts),
        shuffled_all=shuffled[0],
        shuffled_all_but_one=shuffled[1],
        completeness=found.completeness,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What the views say of the run: knowledge neurons, and facts with a LIKN in all languages and in all but one."""

    neurons: Neurons
    by_layer: list[int]
    fact_languages: int
    likn: tuple[int, int]
    completeness: float


def _find(opened: atlas.Atlas, layers: int) -> _Found:
    neurons = neuron_sets(opened, _KNOWLEDGE)
    counts = Counter(layer for found in neurons.values() for layer, _ in found)
    least = len(LANGUAGES), len(LANGUAGES) - 1
    likn = (opened.likn(min_languages=languages, specificity=False) for languages in least)
    with_all, with_most = (len(set(found.table["fact"].to_pylist())) for found in likn)
    (row,) = opened.sql(_RUN).to_pylist()
    return _Found(neurons, [counts[layer] for layer in range(layers)], likn=(with_all, with_most), **row)


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


def _cost(
    model: LanguageModel, prompts: Sequence[Prompt], before: Sequence[Measured], zeroed: Sequence[Sequence[Neuron]]
) -> float:
    """Return the mean relative drop of probability when each prompt's `zeroed` neurons are 0 at the query."""
    cases = [Case(prompt, tuple(neurons), 0.0) for prompt, neurons in zip(prompts, zeroed, strict=True)]
    pairs = zip(before, measure(model, cases), strict=True)
    return fmean(1 - after.probability / first.probability for first, after in pairs)


def _stranger(fact: Fact, facts: Sequence[Fact], rng: random.Random) -> Fact:
    """Return a fact of another relation and another object (METHOD 4)."""
    others = [other for other in facts if other.relation != fact.relation and other.object != fact.object]
    return rng.choice(others)


def _shared(neurons: Neurons, facts: Sequence[Fact], pick: Callable[[Fact, str], int]) -> tuple[float, float]:
    """Return the shares of facts with a neuron in all languages, and in all but one, each with the sets picked."""
    counts = [Counter(chain.from_iterable(neurons.get((pick(f, code), code), ()) for code in LANGUAGES)) for f in facts]
    most = [max(count.values(), default=0) for count in counts]
    return fmean(n >= len(LANGUAGES) for n in most), fmean(n >= len(LANGUAGES) - 1 for n in most)


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


_KNOWLEDGE = "SELECT fact, language, layer, neuron FROM knowledge_neuron_all WHERE definition = 'default' ORDER BY ALL"

_RUN = """
SELECT
    (SELECT count(*) FROM fact_language WHERE usable > 0) AS fact_languages,
    (SELECT avg((completeness_error <= greatest(0.01 * abs(f - f_baseline), 1e-4))::INTEGER) FROM probe_layer)
        AS completeness
"""
