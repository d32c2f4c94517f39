"""What a build stores of neurons once its run is whole: what they write, and what they are in its prompts."""

from collections import defaultdict
from collections.abc import Callable, Collection
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from atlas.building.computing import Worker
from atlas.building.ray import Cluster
from atlas.facts import Prompt
from atlas.store.stored import neuron_sets, usable_prompts

if TYPE_CHECKING:
    from atlas.store import Writer

SEED = 0
"""Draws the prompts that stored neurons are read in."""


def name_neurons(writer: "Writer", workers: Worker | Cluster, run: int) -> None:
    """Store the tokens that the run's knowledge neurons write, of those that have none yet, no more of former ones."""
    writer.sql(_FORMER, {"model": workers.workbench.info.id})
    missing = writer.sql(_UNNAMED, {"run": run, "model": workers.workbench.info.id}).to_pylist()
    for layer, group in groupby(missing, key=itemgetter("layer")):
        writer.load("neuron_token", workers.tokens(layer, [row["neuron"] for row in group]))


def describe_neurons(
    writer: "Writer",
    workers: Worker | Cluster,
    run: int,
    at: str,
    tell: Callable[[str], None],
    added: Collection[tuple[int, str]] = (),
) -> None:
    """Store what the run's stored neurons are in its prompts `at` a position, where none or fewer were read before.

    Where one was not read, all of the language are: those read before may be of other prompts, of as many. So they are
    of languages in which prompts were `added`, given by their fact and language.
    """
    from atlas.engine.replacing import sample

    read: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in sample(usable_prompts(writer, [run], tell), SEED):
        read[prompt.language].append(prompt)
    asked = {"run": run, "model": workers.workbench.info.id, "position": at}
    grown = {language for _, language in added}
    for language, prompts in read.items():
        wanted = {**asked, "language": language, "prompts": len(prompts)}
        if language not in grown and not neuron_sets(writer, _UNREAD, wanted):
            continue
        for neurons in neuron_sets(writer, _STORED, {"run": run, "language": language}).values():
            writer.renew("neuron_activation", workers.activations(prompts, neurons))


# A run whose floor is above tau, which an older version may have left, cannot be asked for its neurons.
_FORMER = """
DELETE FROM neuron_token WHERE model = $model AND (layer, neuron) NOT IN (
    SELECT (layer, neuron) FROM knowledge_neuron_of((SELECT list(d) FROM (
        SELECT definition.*, NULL::BIGINT AS run, (
            SELECT list(run.run) FROM run
            WHERE model = $model AND coalesce((settings ->> 'floor')::DOUBLE, 0) <= definition.tau
        ) AS sources, NULL::BIGINT[] AS facts
        FROM definition WHERE definition = 'default'
    ) AS d))
)
"""

_UNNAMED = """
SELECT DISTINCT layer, neuron FROM knowledge_neuron_all
WHERE run = $run AND definition = 'default'
    AND (layer, neuron) NOT IN (SELECT (layer, neuron) FROM neuron_token WHERE model = $model)
ORDER BY layer, neuron
"""

_STORED = """
SELECT DISTINCT a.layer, a.neuron
FROM attribution AS a JOIN prompt ON prompt.prompt = a.prompt
WHERE a.run = $run AND prompt.language = $language
ORDER BY a.layer, a.neuron
"""

_UNREAD = """
SELECT DISTINCT a.layer, a.neuron
FROM attribution AS a JOIN prompt ON prompt.prompt = a.prompt
WHERE a.run = $run AND prompt.language = $language AND (a.layer, a.neuron) NOT IN (
    SELECT (layer, neuron) FROM neuron_activation
    WHERE model = $model AND language = $language AND position = $position AND prompts >= $prompts
)
ORDER BY a.layer, a.neuron
"""
