"""Language pages: how well a language is known, where its neurons lie, what it shares."""

from collections.abc import Iterator
from functools import partial

from atlas.reports import addresses
from atlas.reports.cells import cut
from atlas.reports.context import LanguagePage, Section
from atlas.reports.pages.shared import (
    COUNTS,
    PROMPTS_CHOSEN,
    Draft,
    counted,
    figures,
    heats,
    of_facts,
    section,
    usage_warnings,
)
from atlas.reports.query import Query
from atlas.reports.snapshot import Language, Run, Snapshot
from atlas.reports.tables import Tables
from atlas.schema import usable

MOST = 50

FIGURES = Query(
    "figures",
    "In short",
    f"""
SELECT
    count(DISTINCT prompt.fact) AS facts, count(*) AS prompts,
    count(*) FILTER ({usable("probe.status")}) AS usable,
    avg((probe.rank = 1)::INTEGER) AS "share ranked first",
    median(probe.mean_probability) AS "median probability",
    median(worst.completeness_error) AS "median completeness error",
    max(worst.nodes) AS "most nodes"
FROM probe JOIN prompt USING (prompt)
LEFT JOIN (
    SELECT run, prompt, max(completeness_error) AS completeness_error, max(nodes) AS nodes
    FROM probe_layer GROUP BY run, prompt
) AS worst ON worst.run = probe.run AND worst.prompt = probe.prompt
WHERE probe.run = $run AND prompt.language = $language
""",
    "ALL",
    means=COUNTS,
)
WARNINGS = Query(
    "warnings",
    "Warnings",
    """
SELECT warning, count(*) AS facts FROM usage_warning WHERE run = $run AND language = $language GROUP BY warning
""",
    "warning",
)
LAYERS = Query(
    "layers",
    "Neurons by layer",
    """
SELECT kind, layer, pairs, neurons, share FROM layer_distribution_all
WHERE definition = $definition AND run = $run AND language = $language
""",
    "kind DESC, layer",
    about="layer_distribution",
)
OVERLAP = Query(
    "overlap",
    "Shared with other languages",
    """
SELECT
    CASE WHEN language_a = $language THEN language_b ELSE language_a END AS language,
    facts, overlap, jaccard, expected, same_relation, other_relations
FROM language_overlap_all
WHERE definition = $definition AND run = $run AND $language IN (language_a, language_b)
""",
    "overlap DESC, language",
    note="Common knowledge neurons of the same fact, mean over facts, beside what random sets of the same sizes and "
    "the sets of different facts have in common.",
    about="language_overlap",
    means={"language": "the other language"},
)
RELATIONS = Query(
    "relations",
    "Relations",
    """
SELECT
    fact.relation, count(*) AS facts, sum(usable)::INTEGER AS usable, sum(argmax)::INTEGER AS argmax,
    avg(mean_probability) AS mean_probability
FROM fact_language JOIN fact USING (fact)
WHERE run = $run AND language = $language
GROUP BY fact.relation
""",
    "relation",
    about="fact_language",
    means={**COUNTS, "relation": "the relation", "argmax": PROMPTS_CHOSEN},
)
OWN = Query(
    "own",
    "Neurons of this language alone",
    f"""
SELECT layer, neuron, facts FROM language_specific_neuron_all
WHERE definition = $definition AND run = $run AND language = $language
QUALIFY row_number() OVER (ORDER BY facts DESC, layer, neuron) <= {MOST}
""",
    "facts DESC, layer, neuron",
    note=f"Knowledge neurons in no other language of the run, those of most facts first, at most {MOST}.",
    about="language_specific_neuron",
)


_KINDS = {"knowledge neuron": "KN", "dkn": "DKN"}


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page of every language."""
    for code, language in snapshot.languages.items():
        yield Draft(addresses.language(code), partial(_page, snapshot, language))


def _page(snapshot: Snapshot, language: Language) -> LanguagePage:
    tables = Tables(snapshot, addresses.language(language.code))
    sections = (_section(snapshot, tables, run, language.code) for run in snapshot.runs)
    return LanguagePage(
        site=tables.site,
        title=language.name,
        code=cut(language.code),
        direction="right to left" if language.rtl else "left to right",
        runs=tuple(found for found in sections if found is not None),
    )


def _section(snapshot: Snapshot, tables: Tables, run: Run, code: str) -> Section | None:
    bound = {"run": run.run, "language": code}
    (summary,) = snapshot.rows(FIGURES, bound)
    if not summary["prompts"]:
        return None
    counts = counted(snapshot.rows(LAYERS, bound), run.layers, lambda row: _KINDS[row["kind"]])
    return section(
        run,
        figures=figures(FIGURES, summary),
        warnings=usage_warnings(snapshot.rows(WARNINGS, bound), lambda rows: of_facts(rows[0]["facts"])),
        pictures=heats("Neurons by layer", counts, "different neurons"),
        tables=tuple(tables.asked(query, bound) for query in (OVERLAP, RELATIONS, OWN, LAYERS)),
    )
