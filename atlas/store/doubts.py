"""What speaks against the neurons that a job stands on, in sentences with their remedy (METHOD 3b)."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from atlas.errors import counted

if TYPE_CHECKING:
    from atlas.store.reader import Reader

SIGNIFICANT = 0.05
MOST_FACTS = 1000
"""Facts of a run up to which exchanged facts are asked, some seconds of work."""


def doubts(atlas: "Reader", run: int, definition: str, facts: Collection[int] | None = None) -> Iterator[str]:
    """Yield a sentence for each doubt about the knowledge neurons of `facts`, all of the run if None.

    That the model does not know them; that the untrained twin has the neurons too; that exchanged facts have as many
    in common.
    """
    bound = {"run": run, "definition": definition, "facts": None if facts is None else sorted(facts)}
    total, unknown = atlas.sql(_KNOWN, {"run": run, "facts": bound["facts"]}).to_pylist()[0].values()
    if unknown:
        yield (
            f"the model does not know {unknown:,} of {counted(total, 'fact')}: its first choice is another answer in "
            "half of their prompts or more; leave them out, or go by a definition with `known`"
        )
    in_twin = atlas.one(_IN_TWIN, bound)
    if in_twin:
        yield (
            f"the untrained twin has knowledge neurons of {in_twin:,} of {counted(total, 'fact')} too, which are no "
            "knowledge; go by a definition of a larger `least` or `tau`"
        )
    yield from _exchanged(atlas, bound)


def _exchanged(atlas: "Reader", bound: dict[str, object]) -> Iterator[str]:
    asked = atlas.one(_ASKED, {"run": bound["run"]})
    if asked > MOST_FACTS:
        yield (
            f"whether exchanged facts have as many LIKN in common was not asked of {asked:,} facts; the view "
            "likn_exchange says"
        )
        return
    if not asked:
        return
    found, doubtful = atlas.sql(_EXCHANGED, bound).to_pylist()[0].values()
    if doubtful:
        yield (
            f"the LIKN of {doubtful:,} of {counted(found, 'fact')} say little: exchanged facts have as many in common "
            f"(q of {SIGNIFICANT} or more, or none); the view likn_exchange names the others"
        )


_KNOWN = """
SELECT count(*) AS facts, count(*) FILTER (2 * argmax <= usable) AS unknown
FROM (
    SELECT fact, sum(argmax) AS argmax, sum(usable) AS usable
    FROM fact_language
    WHERE run IN (SELECT source FROM knockout_source WHERE run = $run) AND usable > 0
        AND ($facts::BIGINT[] IS NULL OR list_contains($facts::BIGINT[], fact))
    GROUP BY fact
)
"""

_IN_TWIN = """
SELECT count(DISTINCT fact) AS facts
FROM judged_neuron_of(definition_of($definition, $run))
WHERE in_twin AND ($facts::BIGINT[] IS NULL OR list_contains($facts::BIGINT[], fact))
"""

_ASKED = "SELECT count(*) AS facts FROM fact_coverage WHERE run = $run AND n_languages > 1"

_EXCHANGED = f"""
SELECT count(*) AS found, count(*) FILTER (q IS NULL OR q >= {SIGNIFICANT}) AS doubtful
FROM likn_exchange_of(definition_of($definition, $run), NULL, false)
WHERE control = 'same relation' AND observed > 0
    AND ($facts::BIGINT[] IS NULL OR list_contains($facts::BIGINT[], fact))
"""
