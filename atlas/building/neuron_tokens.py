"""Filling the table `neuron_token` for the knowledge neurons of a run."""

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.building.computing import Workers
    from atlas.store import Writer

_MISSING = """
SELECT DISTINCT layer, neuron FROM knowledge_neuron
WHERE run = $run AND definition = 'default'
    AND (layer, neuron) NOT IN (SELECT (layer, neuron) FROM neuron_token WHERE model = $model)
ORDER BY layer, neuron
"""


def fill_tokens(writer: "Writer", workers: "Workers", run: int) -> int:
    """Load the tokens of the run's knowledge neurons that have none yet; return the number of neurons."""
    missing = writer.sql(_MISSING, {"run": run, "model": workers.workbench.info.id}).to_pylist()
    for layer, group in groupby(missing, key=itemgetter("layer")):
        writer.load("neuron_token", workers.tokens(layer, [row["neuron"] for row in group]))
    return len(missing)
