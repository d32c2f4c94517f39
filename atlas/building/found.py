"""What the atlas holds of a run at the end of its build: what counts, with examples by name."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlas.ids import Neuron
from atlas.schema import usable
from atlas.store.naming import fact_names

if TYPE_CHECKING:
    from atlas.store import Writer

EXAMPLES = 3
"""Facts that are shown with their neurons."""
MOST_EXCHANGED = 400
"""Facts up to which a build exchanges them with each other; of more, that takes longer than a look at the end may."""


@dataclass(frozen=True)
class Example:
    """A fact in words, the neurons that all its languages share, and how many languages these are."""

    name: tuple[str, str, str]
    neurons: tuple[Neuron, ...]
    languages: int


@dataclass(frozen=True)
class Found:
    """Counts of a whole run under the default definition (METHOD 3).

    `facts` have a usable prompt, `shareable` in two languages or more. `likn` are distinct neurons,
    `likn_across_scripts` those of languages that share no token of the fact's names. Where another fact
    of the relation could stand in for each language, in `exchangeable` facts, `observed` are the LIKN of each fact
    added up, and `exchanged` those that are left then (METHOD 3b); `exchanged` is None if that was not counted.
    `known` is the share of usable prompts whose answer is the model's own choice, by language.
    """

    facts: int = 0
    shareable: int = 0
    facts_with_likn: int = 0
    likn: int = 0
    likn_across_scripts: int = 0
    exchangeable: int = 0
    observed: int = 0
    exchanged: float | None = None
    known: Mapping[str, float] | None = None
    examples: tuple[Example, ...] = ()


def look(writer: "Writer", run: int, *, whole: bool) -> Found:
    """Count what a run has found; facts are exchanged only if it is `whole`."""
    counts = writer.sql(_COUNTS, {"run": run}).to_pylist()[0]
    rows = writer.sql(_LIKN, {"run": run}).to_pylist()
    by_fact: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_fact[row["fact"]].append(row)
    exchanged = whole and rows and counts["shareable"] <= MOST_EXCHANGED
    return Found(
        **counts,
        facts_with_likn=len(by_fact),
        likn=len({(row["layer"], row["neuron"]) for row in rows}),
        likn_across_scripts=len({(row["layer"], row["neuron"]) for row in rows if row["across_scripts"]}),
        **(writer.sql(_EXCHANGED, {"run": run}).to_pylist()[0] if exchanged else {}),
        known={row["language"]: row["known"] for row in writer.sql(_KNOWN, {"run": run}).to_pylist()},
        examples=tuple(_examples(writer, by_fact)),
    )


def _examples(writer: "Writer", by_fact: Mapping[int, list[dict[str, Any]]]) -> Iterable[Example]:
    """Yield the facts with the highest scores, of different relations as far as there are any."""
    best: dict[str, list[int]] = defaultdict(list)
    for fact, rows in by_fact.items():  # in the order of their best neurons
        best[rows[0]["relation"]].append(fact)
    turns = sorted((turn, place, fact) for place, own in enumerate(best.values()) for turn, fact in enumerate(own))
    chosen = [fact for _, _, fact in turns[:EXAMPLES]]
    names = fact_names(writer, chosen)
    for fact in chosen:
        rows = by_fact[fact]
        neurons = tuple((row["layer"], row["neuron"]) for row in rows)
        yield Example(names[fact], neurons, rows[0]["n_languages"])


_COUNTS = """
SELECT count(*) FILTER (n_languages > 0) AS facts, count(*) FILTER (n_languages > 1) AS shareable
FROM fact_coverage WHERE run = $run
"""

_LIKN = """
SELECT found.fact, fact.relation, found.layer, found.neuron, found.n_languages, found.across_scripts
FROM likn_spelled_of((SELECT definition_of('default', $run))) AS found JOIN fact ON fact.fact = found.fact
ORDER BY max(found.score) OVER (PARTITION BY found.fact) DESC, found.fact, found.score DESC, found.layer, found.neuron
"""

_EXCHANGED = """
SELECT count(*) AS exchangeable, coalesce(sum(observed), 0)::INTEGER AS observed,
    coalesce(sum(in_exchanged_facts), 0)::DOUBLE AS exchanged
FROM likn_exchange_of((SELECT definition_of('default', $run)), NULL, false)
WHERE control = 'same relation' AND in_exchanged_facts IS NOT NULL
"""

_KNOWN = f"""
SELECT prompt.language, avg(is_own_choice(probe.argmax, probe.rank)::DOUBLE) AS known
FROM probe JOIN prompt USING (prompt)
WHERE probe.run = $run AND {usable("probe.status")}
GROUP BY prompt.language ORDER BY prompt.language
"""
