"""What fact checking asks an atlas: facts, templates, the neurons of relations, thresholds. No model."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from atlas.checking.known_claims import World
from atlas.drawing import random_neurons
from atlas.ids import Neuron
from atlas.store.stored import neuron_sets, stored_facts

if TYPE_CHECKING:
    from atlas.store.atlas import Atlas


Sets = dict[tuple[str, str], tuple[Neuron, ...]]
"""The neurons of one relation by evidence and language."""
EVIDENCE = ("dkn", "dkn-or-kn", "dkn-languages", "kn", "likn", "random")
"""The kinds of neurons that claims are judged by."""


def read_world(atlas: "Atlas") -> World:
    """Return all facts, templates and the split of an atlas."""
    every = stored_facts(atlas)
    named = [fact for fact in every.facts if fact.labels]
    split = {row["fact"]: row["split"] for row in atlas.sql("SELECT fact, split FROM fact_split").to_pylist()}
    return World(sorted(named, key=lambda fact: fact.relation), every.templates, split)


def relation_neurons(
    atlas: "Atlas", run: int, definition: str, layers: int, width: int, seed: int, replace: str | None = None
) -> dict[str, Sets]:
    """Return each relation's neurons, found on training facts: DKN, knowledge neurons and LIKN, and random ones.

    `dkn-or-kn` are the knowledge neurons where a relation has no DKN in a language, and `dkn-languages` those of all
    languages together; DKN are of knock-outs by `replace`, None for the definition's. Random ones are anywhere.
    """
    relations: dict[str, Sets] = {}
    found = neuron_sets(atlas, _NEURONS, {"run": run, "definition": definition, "replace": replace})
    for (evidence, relation, language), neurons in found.items():
        relations.setdefault(relation, {})[evidence, language] = tuple(neurons)
    return {name: sets | _derived(sets, name, layers, width, seed) for name, sets in sorted(relations.items())}


def without_neurons(atlas: "Atlas", run: int, known: Collection[str], languages: Collection[str]) -> dict[str, int]:
    """Return how many facts in a language, of `languages` or all, the run was asked of relations that are not among the
    `known` ones, by the reason.
    """
    rows = [row for row in atlas.sql(_ASKED, [run]).to_pylist() if row["relation"] not in known]
    bare = [row for row in rows if not languages or row["language"] in languages]
    names = ", ".join(sorted({row["relation"] for row in bare}))
    why = f"no training fact of their relation ({names}) has neurons"
    return {why: sum(row["facts"] for row in bare)} if bare else {}


def _derived(sets: Sets, relation: str, layers: int, width: int, seed: int) -> Sets:
    derived: Sets = {}
    languages = sorted({language for _, language in sets})
    found = {language: sets.get(("dkn", language)) or sets.get(("kn", language), ()) for language in languages}
    everywhere = tuple(sorted({neuron for neurons in found.values() for neuron in neurons}))
    for language, either in found.items():
        derived["dkn-or-kn", language] = either
        derived["dkn-languages", language] = everywhere
        drawn = random_neurons(
            min(len(either), layers * width), layers, width, "random-neurons", seed, relation, language
        )
        derived["random", language] = tuple(drawn)
    return derived


_ASKED = """
SELECT relation, language, count(DISTINCT fact) AS facts
FROM fact_language JOIN fact USING (fact) JOIN knockout_source AS origin ON origin.source = fact_language.run
WHERE origin.run = ?
GROUP BY relation, language
"""

_NEURONS = """
WITH found AS (
    SELECT 'dkn' AS evidence, relation, language, layer, neuron
    FROM relation_dkn_of(replaced(definition_of($definition, $run), $replace))
    WHERE run = $run
    UNION ALL
    SELECT 'kn' AS evidence, k.relation, k.language, k.layer, k.neuron
    FROM relation_kn_of(definition_of($definition, $run)) AS k JOIN knockout_source AS origin ON origin.source = k.run
    WHERE origin.run = $run
    UNION ALL
    SELECT 'likn' AS evidence, l.relation, language.language, l.layer, l.neuron
    FROM (
        SELECT
            fact_split.relation, likn.layer, likn.neuron, count(DISTINCT likn.fact) AS facts,
            max(count(DISTINCT likn.fact)) OVER (PARTITION BY fact_split.relation) AS most_facts
        FROM likn_of(definition_of($definition, $run)) AS likn
        JOIN knockout_source AS origin ON origin.source = likn.run
        JOIN fact_split ON fact_split.fact = likn.fact
        WHERE origin.run = $run AND fact_split.split = 'train'
        GROUP BY fact_split.relation, likn.layer, likn.neuron
    ) AS l
    CROSS JOIN (SELECT DISTINCT language FROM template) AS language
    WHERE l.facts / l.most_facts > (SELECT relation_share FROM definition WHERE definition = $definition)
)
SELECT DISTINCT evidence, relation, language, layer, neuron
FROM found
ORDER BY ALL
"""
