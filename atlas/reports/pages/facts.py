"""Fact pages: prompts, knowledge neurons side by side, DKN sets, and what interventions do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from atlas.reports import addresses
from atlas.reports.cells import cell, shown
from atlas.reports.context.fact import FactPage, FactSection
from atlas.reports.context.parts import Cell, Column, Figure, Label, Table
from atlas.reports.context.pictures import Graph, Heat
from atlas.reports.pages.shared import SHARED, Page, by, share, site, usage_warnings
from atlas.reports.pictures import layer_heat, set_graph
from atlas.reports.query import Query, Row, chunks, deal
from atlas.reports.snapshot import DEFINITION, Run, Snapshot
from atlas.reports.tables import Tables, meaning

AT_ONCE = 400
MOST_NEURONS, MOST_SETS, MOST_PROMPTS, MOST_EFFECTS = 60, 40, 120, 150
MOST_SCORES = 700

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
    f"""
SELECT fact, run, observed, expected, p_value, same_relation, other_relations, of_languages, least_languages
FROM likn_control WHERE definition = '{DEFINITION}' AND fact = $fact AND run = $run
""",
    "run",
)
PROMPTS = Query(
    "prompts",
    "Prompts",
    f"""
SELECT
    prompt.fact, probe.run, prompt.language, prompt.text, prompt.answer, probe.probability, probe.rank,
    probe.prediction,
    probe.prediction_text, probe.status, worst.completeness_error, worst.nodes
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
    "the largest over all layers.",
)
NEURONS = Query(
    "neurons",
    "Knowledge neurons",
    f"""
SELECT
    k.fact, k.run, k.layer, k.neuron, k.language, k.score, s.same_relation, s.other_relations,
    s.fact IS NOT NULL AS likn
FROM knowledge_neuron AS k LEFT JOIN likn_specificity AS s USING (definition, run, fact, layer, neuron)
WHERE k.definition = '{DEFINITION}' AND k.fact = $fact AND k.run = $run
""",
    "run, layer, neuron, language",
)
SIDE_BY_SIDE = Query(
    "neurons",
    "Knowledge neurons, side by side",
    f"""
FROM (PIVOT (
    SELECT k.layer, k.neuron, s.fact IS NOT NULL AS likn, k.language, k.score, s.same_relation, s.other_relations
    FROM knowledge_neuron AS k LEFT JOIN likn_specificity AS s USING (definition, run, fact, layer, neuron)
    WHERE k.definition = '{DEFINITION}' AND k.fact = $fact AND k.run = $run
) ON language USING any_value(score) GROUP BY layer, neuron, likn, same_relation, other_relations)
""",
    "likn DESC, layer, neuron",
    note="Scores by language. A language-independent neuron (LIKN) is one in all of the fact's languages; the columns "
    "after it say in how many other facts of the relation, and of other relations, the same neuron is one too.",
)
SETS = Query(
    "dkn",
    "Degenerate sets (DKN)",
    f"""
SELECT
    dkn.fact, run.model, dkn.language, run.method, dkn.layers, dkn.neurons, dkn.prompts, dkn.before, dkn.after,
    dkn.cost, dkn.largest_part_cost, dkn.interaction
FROM dkn JOIN run ON run.run = dkn.run
WHERE dkn.definition = '{DEFINITION}' AND dkn.fact = $fact AND run.model = $model
QUALIFY row_number() OVER (PARTITION BY dkn.fact, run.model, dkn.language ORDER BY dkn.cost DESC, dkn."set")
    <= {MOST_SETS}
""",
    "model, language, cost DESC, layers, neurons",
    hidden=("fact", "model"),
    note="Zeroing the whole set costs more than its largest part does; with an interaction above zero, more than the "
    "sum of its neurons. Costs are shares of the answer's probability.",
)
EFFECTS = Query(
    "effects",
    "Suppressed and enhanced",
    f"""
SELECT
    e.fact, run.model, e.purpose, run.method, e.source, e.languages, e.measured, e.action, e.n_neurons, e.prompts,
    e.change, e.log_odds_change, e.rank_change, e.lost, e.gained, e.log_change_unrelated
FROM intervention_effect AS e JOIN run ON run.run = e.run
WHERE e.fact = $fact AND run.model = $model
QUALIFY row_number() OVER (
    PARTITION BY e.fact, run.model ORDER BY e.purpose DESC, e.measured, e.action DESC, run.method, e.source, e.languages
) <= {MOST_EFFECTS}
""",
    "model, purpose DESC, measured, action DESC, method, source, languages",
    hidden=("fact", "model"),
    note="Means over the fact's prompts in the language measured; log_change_unrelated is the same of facts that the "
    "neurons should leave alone.",
)
QUERIES = (LABELS, EDITS, WARNINGS, CONTROL, PROMPTS, NEURONS, SETS, EFFECTS)


def pages(snapshot: Snapshot) -> Iterator[Page]:
    """Yield the page of every fact shown, in the order of their ids."""
    facts = sorted((identity,) for identity, name in snapshot.facts.items() if name.has_page)
    for chunk in chunks(facts, AT_ONCE):
        for (fact,), rows in zip(chunk, deal(snapshot.source, ("fact",), chunk, QUERIES), strict=True):
            yield _Maker(snapshot, fact, rows).page()


@dataclass
class _Maker:
    """Makes the page of one fact from its rows, by query."""

    snapshot: Snapshot
    fact: int
    rows: dict[str, list[Row]]
    tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        self.address = addresses.fact(self.fact)
        self.tables = Tables(self.snapshot, addresses.root(self.address))

    def page(self) -> Page:
        name = self.snapshot.facts[self.fact]
        context = FactPage(
            site=site(self.snapshot, self.address),
            title=f"{name.subject.text} → {name.object.text}",
            id=str(self.fact),
            subject=name.subject,
            relation=self.tables.relation(name.relation),
            object=name.object,
            labels=tuple(self._label(row) for row in self.rows["labels"]),
            edits=tuple(self.tables.edit(row["edit"]) for row in self.rows["edits"]),
            runs=tuple(self._section(run) for run in self.snapshot.runs if self._probed(run)),
        )
        return Page(self.address, "fact.html", context)

    def _probed(self, run: Run) -> bool:
        return bool(self._of(run, "prompts"))

    def _of(self, run: Run, name: str) -> list[Row]:
        return [row for row in self.rows[name] if row["run"] == run.run]

    def _of_model(self, run: Run, name: str) -> list[Row]:
        return [row for row in self.rows[name] if row["model"] == run.model]

    def _label(self, row: Row) -> Label:
        language = self.snapshot.languages[row["language"]]
        link = self.tables.language(row["language"])
        return Label(link, language.text(row["subject"]), language.text(row["object"]))

    def _section(self, run: Run) -> FactSection:
        bound = {"fact": self.fact, "run": run.run, "model": run.model}
        neurons, sets = self._of(run, "neurons"), self._of_model(run, "dkn")
        table = self.tables.table
        return FactSection(
            run=str(run.run),
            model=run.name,
            method=run.method,
            figures=_figures(self._of(run, "control")),
            warnings=usage_warnings(self._of(run, "warnings"), _languages),
            layers=_heat(neurons, run),
            neurons=_side_by_side(self.tables, neurons, bound),
            prompts=table(PROMPTS, self._of(run, "prompts"), bound),
            graphs=tuple(self._graph(str(code), rows) for code, rows in by("language", sets).items()),
            sets=table(SETS, sets, bound),
            effects=table(EFFECTS, self._of_model(run, "effects"), bound),
        )

    def _graph(self, language: str, rows: Sequence[Row]) -> Graph:
        sets = [
            (
                tuple(zip(row["layers"], row["neurons"], strict=True)),
                row["cost"],
                f"cost {shown(row['cost'])}, largest part {shown(row['largest_part_cost'])}",
            )
            for row in rows
        ]
        return set_graph(self.tables.language(language).text, sets)


def _languages(rows: Sequence[Row]) -> str:
    return ", ".join(row["language"] for row in rows if row["language"])


def _figures(control: Sequence[Row]) -> tuple[Figure, ...]:
    """Return how many LIKN there are beside what chance and other facts give."""
    named = {
        "observed": "LIKN",
        "expected": "expected by chance",
        "p_value": "p-value",
        "same_relation": "in shuffled facts of the relation",
        "other_relations": "in shuffled facts of other relations",
        "of_languages": "languages",
    }
    return tuple(
        Figure(label, shown(row[column]), meaning(f"likn_control.{column}") or meaning(column))
        for row in control
        for column, label in named.items()
    )


def _heat(neurons: Sequence[Row], run: Run) -> tuple[Heat, ...]:
    if not neurons:
        return ()
    counts: dict[str, list[int]] = {}
    shared: dict[tuple[int, int], None] = {}
    for row in neurons:
        counts.setdefault(row["language"], [0] * run.layers)[row["layer"]] += 1
        if row["likn"]:
            shared[row["layer"], row["neuron"]] = None
    counts = {code: counts[code] for code in sorted(counts)}
    if shared:
        counts[SHARED] = [0] * run.layers
        for layer, _ in shared:
            counts[SHARED][layer] += 1
    return (layer_heat("Layers by languages", counts, SHARED, "knowledge neurons"),)


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
    most_rows = max(10, min(MOST_NEURONS, MOST_SCORES // max(len(languages), 1)))
    if len(order) > most_rows:
        note = f"The first {most_rows} of {len(order):,} neurons; the query gives all. {note}"
    cells = tuple(
        (
            *(tables.cell(name, value, about[place]) for name, value in zip(("layer", "neuron"), place, strict=True)),
            Cell(SHARED if about[place]["likn"] else ""),
            *(_bar(scores[place].get(code), most) for code in languages),
            *(cell(name, about[place][name]) for name in ("same_relation", "other_relations")),
        )
        for place in order[:most_rows]
    )
    columns = (
        Column("layer", meaning("layer"), True),
        Column("neuron", meaning("neuron"), True),
        Column("LIKN", "language-independent: in all of the fact's languages", False),
        *(Column(code, f"score in {tables.language(code).text}", True) for code in languages),
        Column("same relation", meaning("likn_specificity.same_relation"), True),
        Column("other relations", meaning("likn_specificity.other_relations"), True),
    )
    return Table(f"neurons-{bound['run']}", SIDE_BY_SIDE.title, columns, cells, SIDE_BY_SIDE.of(bound), note)


def _bar(score: float | None, most: float) -> Cell:
    if score is None:
        return Cell("")
    plain = cell("score", score)
    return Cell(plain.text, plain.value, share=share(score, most))
