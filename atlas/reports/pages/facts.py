"""Fact pages: prompts, knowledge neurons side by side, DKN sets, and what interventions do."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atlas.reports import addresses
from atlas.reports.cells import cell, cut, shown
from atlas.reports.context import Cell, Column, FactPage, Figure, Label, Picture, Section, Table
from atlas.reports.pages.positions import AT_BOTH, AT_BOTH_SHOWN
from atlas.reports.pages.shared import (
    PROMPT,
    SHARED,
    Draft,
    by,
    counted,
    dealt,
    heats,
    of_run,
    section,
    share,
    usage_warnings,
)
from atlas.reports.pictures import set_graph
from atlas.reports.query import Key, Query, Row
from atlas.reports.snapshot import Run, Snapshot
from atlas.reports.tables import Tables

AT_ONCE, MOST_SCORES = 400, 700
MOST_NEURONS, MOST_SETS, MOST_PROMPTS, MOST_EFFECTS, MOST_COMPARED = 60, 40, 120, 150, 30

LABELS = Query(
    "labels",
    "Names",
    "SELECT fact, language, subject, object FROM fact_label WHERE fact = $fact",
    "language",
)
EDITS = Query("edits", "Edits", "SELECT edit, fact FROM edit WHERE fact = $fact", "created, edit")
WARNINGS = Query(
    "warnings",
    "Warnings",
    "SELECT fact, run, language, warning FROM usage_warning WHERE fact = $fact AND run = $run",
    "run, warning, language",
)
CONTROL = Query(
    "control",
    "LIKN and controls",
    """
SELECT
    fact, run, observed, in_exchanged_facts, twin_likn, p_exchange, q, across_scripts, expected, same_relation,
    other_relations, of_languages, least_languages
FROM likn_control_all WHERE definition = $definition AND fact = $fact AND run = $run
""",
    "run",
    about="likn_control",
)
PROMPTS = Query(
    "prompts",
    "Prompts",
    f"""
SELECT
    prompt.fact, probe.run, prompt.language, prompt.text, prompt.answer, probe.probability, probe.rank,
    probe.prediction, probe.prediction_text, probe.status, worst.completeness_error, worst.nodes
FROM probe JOIN prompt USING (prompt)
LEFT JOIN (
    SELECT run, prompt, max(completeness_error) AS completeness_error, max(nodes) AS nodes
    FROM probe_layer GROUP BY run, prompt
) AS worst ON worst.run = probe.run AND worst.prompt = probe.prompt
WHERE prompt.fact = $fact AND probe.run = $run
QUALIFY row_number() OVER (PARTITION BY probe.run, prompt.fact ORDER BY prompt.language, prompt.text)
    <= {MOST_PROMPTS}
""",
    "run, language, text",
    hidden=("fact", "run", "answer"),
    note="The answer, which the model was asked for, is marked. Rank 1 is the model's own choice; error and nodes are "
    f"the largest over all layers. At most {MOST_PROMPTS}.",
    about="probe",
    means=PROMPT
    | {"completeness_error": "largest completeness error of a layer", "nodes": "most nodes that a layer took"},
)
NEURONS = Query(
    "neurons",
    "Knowledge neurons",
    """
SELECT
    k.fact, k.run, k.layer, k.neuron, k.language, k.score, s.same_relation, s.other_relations,
    s.fact IS NOT NULL AS likn
FROM knowledge_neuron_all AS k LEFT JOIN likn_specificity_all AS s USING (definition, run, fact, layer, neuron)
WHERE k.definition = $definition AND k.fact = $fact AND k.run = $run
""",
    "run, layer, neuron, language",
)
SIDE_BY_SIDE = Query(
    "neurons",
    "Knowledge neurons, side by side",
    """
FROM (PIVOT (
    SELECT k.layer, k.neuron, s.fact IS NOT NULL AS likn, k.language, k.score, s.same_relation, s.other_relations
    FROM knowledge_neuron_all AS k LEFT JOIN likn_specificity_all AS s USING (definition, run, fact, layer, neuron)
    WHERE k.definition = $definition AND k.fact = $fact AND k.run = $run
) ON language USING any_value(score) GROUP BY layer, neuron, likn, same_relation, other_relations)
""",
    "likn DESC, layer, neuron",
    note="Scores by language. A language-independent neuron (LIKN) is one in all of the fact's languages, or in as "
    "many as the definition asks for; the columns after it say in how many other facts of the relation, and of other "
    "relations, the same neuron is one too.",
    about="likn_specificity",
)
SETS = Query(
    "dkn",
    "Degenerate sets (DKN)",
    f"""
SELECT
    dkn.fact, run.model, dkn.language, run.method, dkn.layers, dkn.neurons, dkn.prompts, dkn.before, dkn.after,
    dkn.cost, dkn.largest_part_cost, dkn.interaction
FROM dkn_all AS dkn JOIN run ON run.run = dkn.run
WHERE dkn.definition = $definition AND dkn.fact = $fact AND run.model = $model
QUALIFY row_number() OVER (PARTITION BY dkn.fact, run.model, dkn.language ORDER BY dkn.cost DESC, dkn."set", dkn.run)
    <= {MOST_SETS}
""",
    "model, language, cost DESC, layers, neurons, dkn.run",
    hidden=("fact", "model"),
    note="Zeroing the whole set costs more than its largest part does; with an interaction above zero, more than the "
    f"sum of its neurons. Costs are shares of the answer's probability. At most {MOST_SETS} of a language.",
    about="dkn",
)
EFFECTS = Query(
    "effects",
    "Suppressed and enhanced",
    f"""
SELECT
    e.fact, run.model, e.purpose, run.method, e.source, e.languages, e.measured, e.action, e.replace, e.n_neurons,
    e.prompts, e.change, e.log_odds_change, e.rank_change, e.lost, e.gained, e.log_change_unrelated
FROM intervention_effect AS e JOIN run ON run.run = e.run
WHERE e.fact = $fact AND run.model = $model
QUALIFY row_number() OVER (
    PARTITION BY e.fact, run.model ORDER BY purpose DESC, measured, action DESC, method, source, languages, replace
) <= {MOST_EFFECTS}
""",
    "model, purpose DESC, measured, action DESC, method, source, languages, replace",
    hidden=("fact", "model"),
    note="Means over the fact's prompts in the language measured; log_change_unrelated is the same of facts that the "
    f"neurons should leave alone. At most {MOST_EFFECTS}.",
    about="intervention_effect",
    means={"method": "scorer of the run"},
)
SCORERS = Query(
    "scorers",
    "Where scorers agree and differ",
    f"""
SELECT a.fact, a.model, a.language, a.layer, a.neuron, a.found_by, a.missed_by, a.first_round
FROM scorer_agreement AS a
WHERE a.definition = $definition AND a.fact = $fact AND a.model = $model AND a.at = 'query'
    AND len(a.found_by) + len(a.missed_by) > 1
QUALIFY row_number() OVER (
    PARTITION BY a.fact, a.model, a.language ORDER BY len(a.found_by) DESC, a.layer, a.neuron
) <= {MOST_COMPARED}
""",
    "model, language, len(found_by) DESC, layer, neuron",
    hidden=("fact", "model"),
    note=f"Knowledge neurons by any scorer, at most {MOST_COMPARED} of a language, those that most scorers find first; "
    "first_round above 1 says that peel found it only once others were cut.",
    about="scorer_agreement",
)
QUERIES = (LABELS, EDITS, WARNINGS, CONTROL, PROMPTS, NEURONS, AT_BOTH, SETS, EFFECTS, SCORERS)


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page of every fact shown, in the order of their ids."""
    facts = sorted((identity,) for identity, name in snapshot.facts.items() if name.has_page)
    yield from dealt(snapshot, ("fact",), facts, QUERIES, addresses.fact, _page, at_once=AT_ONCE)


def _page(snapshot: Snapshot, key: Key, rows: Mapping[str, list[Row]]) -> FactPage:
    (fact,) = key
    name, tables = snapshot.facts[fact], Tables(snapshot, addresses.fact(fact))
    return FactPage(
        site=tables.site,
        title=name.title,
        runs=tuple(_section(tables, fact, run, rows) for run in snapshot.runs if of_run(run, rows["prompts"])),
        id=str(fact),
        subject=name.subject,
        relation=tables.relation(name.relation),
        object=name.object,
        labels=tuple(_label(snapshot, tables, row) for row in rows["labels"]),
        edits=tuple(tables.edit(row["edit"]) for row in rows["edits"]),
    )


def _label(snapshot: Snapshot, tables: Tables, row: Row) -> Label:
    language = snapshot.languages[row["language"]]
    return Label(tables.language(language.code), language.text(row["subject"]), language.text(row["object"]))


def _section(tables: Tables, fact: int, run: Run, every: Mapping[str, list[Row]]) -> Section:
    bound = {"fact": fact, "run": run.run, "model": run.model}
    asked = (WARNINGS, CONTROL, PROMPTS, NEURONS, AT_BOTH, SETS, EFFECTS, SCORERS)
    rows = {query.name: of_run(run, every[query.name]) for query in asked}
    graphs = tuple(_graph(tables.language(str(code)).text, sets) for code, sets in by("language", rows["dkn"]).items())
    return section(
        run,
        figures=_figures(rows["control"]),
        warnings=usage_warnings(rows["warnings"], _languages),
        pictures=_heat(rows["neurons"], run),
        tables=(
            _side_by_side(tables, rows["neurons"], bound),
            *((tables.table(AT_BOTH_SHOWN, rows["positions"], bound),) if rows["positions"] else ()),
            tables.table(PROMPTS, rows["prompts"], bound),
            *((tables.table(SETS, rows["dkn"], bound, pictures=graphs),) if tables.was_cut(run.model, fact) else ()),
            tables.table(EFFECTS, rows["effects"], bound),
            *((tables.table(SCORERS, rows["scorers"], bound),) if rows["scorers"] else ()),
        ),
    )


def _graph(language: str, rows: Sequence[Row]) -> Picture:
    sets = [
        (
            tuple(zip(row["layers"], row["neurons"], strict=True)),
            row["cost"],
            f"cost {shown(row['cost'])}, largest part {shown(row['largest_part_cost'])}",
        )
        for row in rows
    ]
    return set_graph(language, sets)


def _languages(rows: Sequence[Row]) -> str:
    return cut(", ".join(row["language"] for row in rows if row["language"]))


def _figures(control: Sequence[Row]) -> tuple[Figure, ...]:
    """Return how many LIKN there are beside what other facts, the untrained twin and chance give."""
    return tuple(
        Figure(label, shown(row[column]), CONTROL.meaning(column))
        for row in control
        for column, label in _LABELS.items()
    )


_LABELS = {
    "observed": "LIKN", "in_exchanged_facts": "in exchanged facts", "twin_likn": "in the untrained twin",
    "p_exchange": "p", "q": "q", "across_scripts": "across scripts", "expected": "expected by chance",
    "same_relation": "in shuffled facts of the relation", "other_relations": "in shuffled facts of other relations",
    "of_languages": "languages",
}  # fmt: skip
"""What a fact's page calls the columns of `likn_control`."""


def _heat(neurons: Sequence[Row], run: Run) -> tuple[Picture, ...]:
    """Return the layers of the knowledge neurons of each language, and of those that are language-independent."""
    places = Counter((row["language"], row["layer"]) for row in neurons)
    shared = Counter(layer for layer, _ in {(row["layer"], row["neuron"]) for row in neurons if row["likn"]})
    rows = [
        *({"name": code, "layer": layer, "neurons": count} for (code, layer), count in sorted(places.items())),
        *({"name": SHARED, "layer": layer, "neurons": count} for layer, count in shared.items()),
    ]
    counts = counted(rows, run.layers, lambda row: str(row["name"]))
    return heats("Layers by languages", counts, "knowledge neurons")


def _side_by_side(tables: Tables, rows: Sequence[Row], bound: dict[str, Any]) -> Table:
    """Return the neurons as rows and the languages as columns; LIKN first, then those of most languages."""
    scores: dict[tuple[int, int], dict[str, float]] = {}
    about: dict[tuple[int, int], Row] = {}
    for row in rows:
        place = (row["layer"], row["neuron"])
        scores.setdefault(place, {})[row["language"]] = row["score"]
        about[place] = row
    languages = sorted({row["language"] for row in rows})
    most = max((row["score"] for row in rows), default=0.0)
    order = sorted(scores, key=lambda n: (not about[n]["likn"], -len(scores[n]), -max(scores[n].values()), n))
    note = SIDE_BY_SIDE.note
    others = ("same_relation", "other_relations")
    most_rows = max(10, min(MOST_NEURONS, MOST_SCORES // max(len(languages), 1)))
    if len(order) > most_rows:
        note = f"The first {most_rows} of {len(order):,} neurons; the query gives all. {note}"
    cells = tuple(
        (
            *(tables.cell(name, value, about[place]) for name, value in zip(("layer", "neuron"), place, strict=True)),
            Cell(SHARED if about[place]["likn"] else ""),
            *(_bar(scores[place].get(code), most) for code in languages),
            *(cell(name, about[place][name]) for name in others),
        )
        for place in order[:most_rows]
    )
    columns = (
        *(Column(name, SIDE_BY_SIDE.meaning(name), True) for name in ("layer", "neuron")),
        Column("LIKN", "language-independent: in as many of the fact's languages as the definition asks for", False),
        *(Column(cut(code), f"score in {tables.language(code).text}", True) for code in languages),
        *(Column(name.replace("_", " "), SIDE_BY_SIDE.meaning(name), True) for name in others),
    )
    return Table(SIDE_BY_SIDE.id(bound), SIDE_BY_SIDE.title, columns, cells, tables.sql(SIDE_BY_SIDE, bound), note)


def _bar(score: float | None, most: float) -> Cell:
    if score is None:
        return Cell("")
    plain = cell("score", score)
    return Cell(plain.text, plain.value, share=share(score, most))
