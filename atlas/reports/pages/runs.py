"""Run pages: where a run's neurons lie, what its languages share, how exact its scores are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from atlas.reports import addresses, charts
from atlas.reports.context import Link, Picture, RunPage, Section, Warning
from atlas.reports.pages.shared import COUNTS, SHARED, Draft, counted, figures, heats, of_facts, section, usage_warnings
from atlas.reports.query import Query, Row
from atlas.reports.snapshot import LIKN_CURVE, Run, Snapshot
from atlas.reports.svg import svg
from atlas.reports.tables import Tables
from atlas.schema import usable

MOST, MOST_IN_SUMMARY = 50, 12

FIGURES = Query(
    "figures",
    "In short",
    f"""
SELECT
    count(DISTINCT prompt.fact) AS facts,
    count(*) FILTER ({usable("probe.status")}) AS usable,
    avg((probe.rank = 1)::INTEGER) AS "share ranked first",
    (SELECT count(DISTINCT (layer, neuron)) FROM knowledge_neuron_all
     WHERE definition = $definition AND run = $run) AS "knowledge neurons",
    (SELECT count(DISTINCT (layer, neuron)) FROM likn_all WHERE definition = $definition AND run = $run) AS "LIKN",
    (SELECT count(DISTINCT fact) FROM likn_all WHERE definition = $definition AND run = $run) AS "facts with a LIKN",
    CASE WHEN $run IN (SELECT run FROM dkn_summary_all WHERE definition = $definition)
        THEN (SELECT count(DISTINCT fact) FROM dkn_all WHERE definition = $definition AND run = $run)
    END AS "facts with a DKN"
FROM probe JOIN prompt USING (prompt) WHERE probe.run = $run
""",
    "ALL",
    means=COUNTS,
)
WARNINGS = Query(
    "warnings",
    "Warnings",
    """
SELECT warning, count(DISTINCT fact) AS facts, count(*) AS places
FROM usage_warning WHERE run = $run GROUP BY warning
""",
    "warning",
)
LAYERS = Query(
    "layers",
    "Neurons by layer",
    """
SELECT kind, coalesce(language, 'all') AS language, layer, pairs, neurons, share
FROM layer_distribution_all WHERE definition = $definition AND run = $run
""",
    "kind = 'likn', kind DESC, language, layer",
    note="neurons counts different neurons, pairs facts with their neurons; share is of the pairs.",
    about="layer_distribution",
    means={"language": "language of the neurons; all for LIKNs"},
)
PROOF = Query(
    "proof",
    "How well languages are known, and how exact the scores are",
    f"""
SELECT
    prompt.language, count(DISTINCT prompt.fact) AS facts, count(*) AS prompts,
    count(*) FILTER ({usable("probe.status")}) AS usable,
    avg((probe.rank = 1)::INTEGER) AS ranked_first,
    median(probe.mean_probability) AS median_probability,
    median(worst.completeness_error) AS median_error, quantile_cont(worst.completeness_error, 0.95) AS error_95,
    avg(worst.nodes) AS mean_nodes, max(worst.nodes) AS most_nodes
FROM probe JOIN prompt USING (prompt)
LEFT JOIN (
    SELECT prompt, max(completeness_error) AS completeness_error, max(nodes) AS nodes
    FROM probe_layer WHERE run = $run GROUP BY prompt
) AS worst ON worst.prompt = probe.prompt
WHERE probe.run = $run
GROUP BY prompt.language
""",
    "prompt.language",
    note="Errors are the largest completeness error of any layer, over prompts; nodes the most that a layer took.",
    means={
        **COUNTS,
        "language": "language of the prompts",
        "ranked_first": "share of prompts whose answer's first token is the model's own choice",
        "median_probability": "median of the geometric mean of the answer tokens' probabilities",
        "median_error": "median of the largest completeness error of a layer",
        "error_95": "95 % quantile of the largest completeness error of a layer",
        "mean_nodes": "mean of the most nodes that a layer took",
        "most_nodes": "most nodes that any layer took",
    },
)
OVERLAP = Query(
    "overlap",
    "What languages share",
    """
SELECT
    language_a, language_b, facts, overlap, in_exchanged_facts, in_exchanged_facts_own, twin_overlap, p_exchange, q,
    jaccard, expected, same_relation, other_relations
FROM language_overlap_all WHERE definition = $definition AND run = $run
""",
    "language_a, language_b",
    note="Common knowledge neurons of the same fact, mean over facts, beside what random sets of the same sizes have "
    "in common, and the sets of different facts of the relation and of other relations.",
    about="language_overlap",
)
CONTROL = Query(
    "control",
    "Language-independent neurons and their controls",
    """
SELECT
    relation, count(*) AS facts, avg(observed) AS observed, avg(across_scripts) AS across_scripts,
    avg(in_exchanged_facts) AS in_exchanged_facts, avg(twin_likn) AS twin_likn, avg(expected) AS expected,
    avg(same_relation) AS same_relation, avg(other_relations) AS other_relations
FROM likn_control_all WHERE definition = $definition AND run = $run
GROUP BY relation
""",
    "relation",
    note="LIKN of a fact, mean over the facts of each relation. The number means something as far as it exceeds what "
    "the sets of different facts give: the rest is the relation's, or chance.",
    about="likn_control",
    means={"facts": "facts of the relation that count in several languages"},
)
CURVE = Query(
    "curve",
    "Language-independent neurons by how many languages are asked for",
    f"""
SELECT * EXCLUDE (run) FROM ({LIKN_CURVE.format(definitions="definition_of($definition, $run)")}) WHERE run = $run
""",
    "min_languages",
    note="LIKN of a fact, mean over the facts that count in as many languages, beside what different facts and chance "
    "give: the fewer languages are asked for, the more neurons are found, of the relation's and of chance's too.",
    about="likn_control",
    means={"min_languages": "languages that a neuron must be found in", "facts": "facts that count in as many"},
)
HELD = {CURVE: replace(CURVE, sql="SELECT * EXCLUDE (run) FROM likn_curve WHERE run = $run")}
"""What is asked in place of a query of the snapshot, which holds its rows."""
FACTS = Query(
    "facts",
    "Facts with the most language-independent neurons",
    f"""
SELECT
    c.fact, c.relation, c.of_languages, c.observed, c.in_exchanged_facts, c.twin_likn, c.across_scripts, c.p_exchange,
    c.q, c.same_relation, c.other_relations
FROM likn_control_all AS c WHERE c.definition = $definition AND c.run = $run AND c.observed > 0
QUALIFY row_number() OVER (ORDER BY c.observed DESC, c.p_exchange, c.fact) <= {MOST}
""",
    "observed DESC, p_exchange, fact",
    note=f"At most {MOST}; relation pages list all facts.",
    about="likn_control",
)
NEURONS = Query(
    "neurons",
    "Neurons that most facts share",
    f"""
SELECT layer, neuron, facts, likn_facts, languages, relations, score
FROM neuron_summary_all WHERE definition = $definition AND run = $run
QUALIFY row_number() OVER (ORDER BY facts DESC, score DESC, layer, neuron) <= {MOST}
""",
    "facts DESC, score DESC, layer, neuron",
    note=f"At most {MOST}; the search box finds the others by layer and number.",
    about="neuron_summary",
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of a query's rows."""

    query: Query
    draw: Callable[[list[Row]], Any]
    title: str
    caption: str


CHARTS = (
    Chart(
        OVERLAP,
        charts.language_overlap,
        "What languages share",
        "Knowledge neurons in common, of the same fact and of controls, mean over facts; one scale for all squares.",
    ),
    Chart(
        CONTROL,
        charts.likn_control,
        "Language-independent neurons (LIKN) of a fact",
        "Found, and what controls give, mean over the facts of each relation.",
    ),
)


_LAYERS = {
    "Knowledge neurons and LIKN": ("knowledge neuron", "likn"),
    "Neurons of degenerate sets (DKN)": ("dkn",),
}
_FIRST_FACTS = f"At most {MOST_IN_SUMMARY}; the run's page has up to {MOST}, relation pages list all facts."


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page of every run shown."""
    for run in snapshot.runs:
        yield Draft(_address(run), partial(_page, snapshot, run))


def summary(snapshot: Snapshot) -> Iterator[Callable[[], Section]]:
    """Yield what the overview shows of each run: its pictures and first facts, and the way to its page."""
    tables = Tables(snapshot, addresses.OVERVIEW)
    for run in snapshot.runs:
        yield partial(_section, snapshot, tables, run, (FACTS,), _address(run))


def _address(run: Run) -> str:
    return addresses.page("runs", run.run)


def _page(snapshot: Snapshot, run: Run) -> RunPage:
    tables = Tables(snapshot, _address(run))
    shown = (FACTS, NEURONS, CONTROL, CURVE, OVERLAP, PROOF, LAYERS)
    sections = (_section(snapshot, tables, run, shown, ""),)
    return RunPage(tables.site, f"{run.name}, {run.scorer}", sections, str(run.run))


def _section(snapshot: Snapshot, tables: Tables, run: Run, shown: Sequence[Query], more: str) -> Section:
    """Return a run with the tables `shown`, all of them unless `more`, an address, has the rest."""
    bound = {"run": run.run}
    asked = (*shown, *(chart.query for chart in CHARTS), LAYERS)
    rows = {query: snapshot.rows(HELD.get(query, query), bound) for query in asked}
    drawings = (_picture(tables, chart, run, rows[chart.query], more) for chart in CHARTS if rows[chart.query])
    if more:
        rows[FACTS] = rows[FACTS][:MOST_IN_SUMMARY]
    return section(
        run,
        more=Link("All tables of this run", more),
        figures=figures(FIGURES, snapshot.rows(FIGURES, bound)[0]),
        warnings=_warnings(snapshot, run),
        pictures=(*_layers(rows[LAYERS], run), *drawings),
        tables=tuple(tables.table(query, rows[query], bound, note=_FIRST_FACTS if more else "") for query in shown),
    )


def _picture(tables: Tables, chart: Chart, run: Run, rows: list[Row], page: str) -> Picture:
    identity, numbers = f"{chart.query.name}-picture-{run.run}", f"{page}#{chart.query.id({'run': run.run})}"
    named = [row | {"relation": tables.labelled(row["relation"])} if "relation" in row else row for row in rows]
    text = svg(chart.draw(named), identity, f"{chart.title}, {run.name}")
    return Picture(chart.title, text, id=identity, caption=chart.caption, numbers=numbers)


def _warnings(snapshot: Snapshot, run: Run) -> tuple[Warning, ...]:
    found = usage_warnings(snapshot.rows(WARNINGS, {"run": run.run}), _where)
    if run.status == "done":
        return found
    return (*found, Warning("run not finished", "The run was cut off: the same atlas build goes on.", run.status))


def _where(rows: Sequence[Row]) -> str:
    (row,) = rows
    return of_facts(row["facts"]) if row["facts"] else ""


def _layers(rows: list[Row], run: Run) -> tuple[Picture, ...]:
    """Return where knowledge neurons and LIKN are, and where the neurons of degenerate sets are."""
    pictures: list[Picture] = []
    for title, kinds in _LAYERS.items():
        of_kinds = (row for row in rows if row["kind"] in kinds)
        counts = counted(of_kinds, run.layers, lambda row: SHARED if row["kind"] == "likn" else row["language"])
        pictures += heats(title, counts, "different neurons")
    return tuple(pictures)
