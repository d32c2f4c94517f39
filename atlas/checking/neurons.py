"""What fact checking asks an atlas: facts, templates, the neurons of relations, thresholds. No model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atlas.checking.cases import World
from atlas.facts import Fact, Label, Template
from atlas.ids import Neuron, stable_id

if TYPE_CHECKING:
    from atlas.store.atlas import Atlas


@dataclass(frozen=True)
class RelationNeurons:
    """The neurons of one relation by evidence and language; a set that does not exist is empty."""

    sets: dict[tuple[str, str], tuple[Neuron, ...]]

    def of(self, evidence: str, language: str) -> tuple[Neuron, ...]:
        """Return a set, empty if there is none."""
        return self.sets.get((evidence, language), ())


def read_world(atlas: "Atlas") -> World:
    """Return all facts, templates and the split of an atlas."""
    facts = []
    split = {}
    for row in atlas.sql(_FACTS).to_pylist():
        labels = {item["language"]: Label(item["subject"], item["object"]) for item in row["labels"]}
        fact = Fact(row["relation"], row["subject"], row["object"], labels)
        facts.append(fact)
        split[fact.id] = row["split"]
    templates = [Template(**row) for row in atlas.sql(_TEMPLATES).to_pylist()]
    return World(facts, templates, split)


def relation_neurons(
    atlas: "Atlas", run: int, definition: str, layers: int, width: int, seed: int
) -> dict[str, RelationNeurons]:
    """Return each relation's neurons, found on training facts: DKN, knowledge neurons and LIKN, and random ones.

    `dkn-or-kn` are the knowledge neurons where a relation has no DKN in a language, and `dkn-languages` those of all
    languages together. Random neurons are as many as the former, anywhere in the model's `layers` of `width` neurons.
    """
    relations: dict[str, dict[tuple[str, str], tuple[Neuron, ...]]] = {}
    for row in atlas.sql(_NEURONS, {"run": run, "definition": definition}).to_pylist():
        neurons = tuple((item["layer"], item["neuron"]) for item in row["members"])
        relations.setdefault(row["relation"], {})[row["evidence"], row["language"]] = neurons
    return {
        relation: RelationNeurons(sets | _derived(sets, relation, layers, width, seed))
        for relation, sets in sorted(relations.items())
    }


def _derived(
    sets: dict[tuple[str, str], tuple[Neuron, ...]], relation: str, layers: int, width: int, seed: int
) -> dict[tuple[str, str], tuple[Neuron, ...]]:
    derived = {}
    languages = sorted({language for _, language in sets})
    found = {language: sets.get(("dkn", language)) or sets.get(("kn", language), ()) for language in languages}
    everywhere = tuple(sorted({neuron for neurons in found.values() for neuron in neurons}))
    for language, either in found.items():
        derived["dkn-or-kn", language] = either
        derived["dkn-languages", language] = everywhere
        generator = np.random.default_rng(stable_id("random-neurons", seed, relation, language))
        drawn = generator.choice(layers * width, size=min(len(either), layers * width), replace=False).tolist()
        derived["random", language] = tuple((place // width, place % width) for place in drawn)
    return derived


_FACTS = """
SELECT
    fact.relation, fact.subject, fact.object, fact_split.split,
    list({language: label.language, subject: label.subject, object: label.object} ORDER BY label.language) AS labels
FROM fact
JOIN fact_split ON fact_split.fact = fact.fact
JOIN fact_label AS label ON label.fact = fact.fact
GROUP BY fact.fact, fact.relation, fact.subject, fact.object, fact_split.split
ORDER BY fact.relation, fact.fact
"""

_TEMPLATES = "SELECT relation, language, text, held_out FROM template ORDER BY template"

_NEURONS = """
WITH found AS (
    SELECT 'dkn' AS evidence, relation, language, layer, neuron FROM relation_dkn
    WHERE run = $run AND definition = $definition
    UNION ALL
    SELECT 'kn' AS evidence, k.relation, k.language, k.layer, k.neuron
    FROM relation_kn AS k JOIN knockout_source AS origin ON origin.source = k.run
    WHERE origin.run = $run AND k.definition = $definition
    UNION ALL
    SELECT 'likn' AS evidence, l.relation, language.language, l.layer, l.neuron
    FROM (
        SELECT
            fact_split.relation, likn.layer, likn.neuron, count(DISTINCT likn.fact) AS facts,
            max(count(DISTINCT likn.fact)) OVER (PARTITION BY fact_split.relation) AS most_facts
        FROM likn
        JOIN knockout_source AS origin ON origin.source = likn.run
        JOIN fact_split ON fact_split.fact = likn.fact
        WHERE origin.run = $run AND likn.definition = $definition AND fact_split.split = 'train'
        GROUP BY fact_split.relation, likn.layer, likn.neuron
    ) AS l
    CROSS JOIN (SELECT DISTINCT language FROM template) AS language
    WHERE l.facts > (SELECT relation_share FROM definition WHERE definition = $definition) * l.most_facts
)
SELECT evidence, relation, language, list({layer: layer, neuron: neuron} ORDER BY layer, neuron) AS members
FROM (SELECT DISTINCT * FROM found)
GROUP BY evidence, relation, language
ORDER BY evidence, relation, language
"""
