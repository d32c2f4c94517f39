"""What the pages show, computed once: which facts and runs, and the views that all pages read.

Temporary tables take the place of views of the same name, so that a page's query reads what it says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from atlas.reports.addresses import tag
from atlas.reports.cells import cut
from atlas.reports.context import Name
from atlas.reports.query import Query, Row
from atlas.store import naming
from atlas.store.runs import runs_of_models

if TYPE_CHECKING:
    import atlas


@dataclass(frozen=True, slots=True)
class Selection:
    """What a report is about: at most `facts` facts, in turn from every relation; only some relations, by code or name.

    `runs` None are those of each model that are meant where that model is; an empty `definition` is the one in use.
    """

    facts: int | None = None
    relations: Sequence[str] | None = None
    runs: Sequence[int] | None = None
    definition: str = naming.IN_USE


@dataclass(frozen=True, slots=True)
class Run:
    """The run of a model that the pages show."""

    run: int
    model: int
    name: str
    kind: str
    method: str
    status: str
    layers: int
    neurons: int
    at: str

    @property
    def scorer(self) -> str:
        """Its method, and its position where that is not the query."""
        return cut(self.method) if self.at == "query" else f"{cut(self.method)} at the {self.at}"


@dataclass(frozen=True, slots=True)
class FactName:
    """What a fact is called in pages in English: by its English labels, or by those of its first language."""

    relation: str
    subject: Name
    object: Name
    has_page: bool

    @property
    def title(self) -> str:
        """Subject and object."""
        return f"{self.subject.text} → {self.object.text}"


@dataclass(frozen=True, slots=True)
class Language:
    """A language of the atlas."""

    code: str
    name: str
    rtl: bool

    def text(self, text: str) -> Name:
        """Return a text in the language."""
        return Name(cut(text), tag(self.code), self.rtl)


@dataclass(frozen=True)
class Snapshot:
    """An atlas with its views computed for the facts that the report shows."""

    source: "atlas.Atlas"
    definition: str
    runs: tuple[Run, ...]
    languages: dict[str, Language]
    relations: dict[str, str]
    facts: dict[int, FactName]
    neurons: frozenset[tuple[int, int]]
    edits: frozenset[int]

    @cached_property
    def with_page(self) -> frozenset[str]:
        """The relations that have a page: those of the facts shown."""
        return frozenset(name.relation for name in self.facts.values() if name.has_page)

    @cached_property
    def cut(self) -> frozenset[tuple[int, int]]:
        """The models and facts with neurons cut to what the definition reads, in which sets may have been found."""
        rows = self.source.sql(_CUT, {"definition": self.definition}).to_pylist()
        return frozenset((row["model"], row["fact"]) for row in rows)

    def bound(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return a page's `values` with those that all pages have."""
        return {"definition": self.definition, **values}

    def rows(self, query: Query, bound: Mapping[str, object]) -> list[Row]:
        """Return the rows of the query of one page."""
        found: list[Row] = self.source.sql(query.text, query.asked(self.bound(bound))).to_pylist()
        return found


def take(source: "atlas.Atlas", selection: Selection) -> Snapshot:
    """Compute what the pages of `source` show; raises UsageError for a relation that the atlas does not have."""
    relations = {row["relation"]: cut(row["name"]) for row in source.sql("FROM relation ORDER BY relation").to_pylist()}
    chosen = naming.codes(source, selection.relations, naming.relation_of)
    definition = naming.definition_of(source, selection.definition)
    runs = list(runs_of_models(source)) if selection.runs is None else list(selection.runs)
    source.scratch(_RUNS, {"runs": runs, "definition": definition})
    placed = bool(len(source.sql("SELECT run FROM run WHERE settings ->> 'at' = 'subject' LIMIT 1")))
    for statement in (_ASKED_OF_MODELS, *(each if placed else f"{each} LIMIT 0" for each in _POSITIONS), *_VIEWS):
        source.scratch(statement, {"definition": definition} if "$definition" in statement else ())
    bound = {"facts": selection.facts, "relations": list(chosen or relations)}
    source.scratch(_FACTS, bound)
    languages = {
        row["language"]: Language(row["language"], cut(row["name"]), row["rtl"])
        for row in source.sql("FROM language ORDER BY language").to_pylist()
    }
    return Snapshot(
        source=source,
        definition=definition,
        runs=tuple(_run(**row) for row in source.sql(_SHOWN_RUNS).to_pylist()),
        languages=languages,
        relations=relations,
        facts={row.pop("fact"): _fact_name(row, languages) for row in source.sql(_NAMES).to_pylist()},
        neurons=frozenset((row["layer"], row["neuron"]) for row in source.sql(_NEURONS).to_pylist()),
        edits=frozenset(source.sql("SELECT edit FROM edit WHERE fact IN (FROM shown_fact)")["edit"].to_pylist()),
    )


def _run(name: str, digest: str | None, **row: Any) -> Run:
    """Return a run; `digest` tells a model from another one of its name."""
    return Run(name=cut(name) + (f" ({cut(digest)})" if digest else ""), **row)


def _fact_name(row: dict[str, Any], languages: dict[str, Language]) -> FactName:
    language = languages.get(row["language"], Language("", "", rtl=False))
    return FactName(row["relation"], language.text(row["subject"]), language.text(row["object"]), row["shown"])


_RUNS = """
CREATE OR REPLACE TEMP TABLE shown_run AS
SELECT
    run.run, run.model, model.name, model.kind, run.method, run.status, model.layers, model.neurons,
    coalesce(run.settings ->> 'at', 'query') AS at, $definition::VARCHAR AS definition
FROM run JOIN model USING (model)
WHERE list_contains($runs::BIGINT[], run.run)
"""

_SHOWN_RUNS = """
SELECT
    shown_run.* EXCLUDE (definition),
    CASE WHEN count(DISTINCT model) OVER (PARTITION BY shown_run.name) > 1 THEN model.digest END AS digest
FROM shown_run JOIN model USING (model)
ORDER BY shown_run.name, digest, run
"""

_ASKED = """
CREATE OR REPLACE TEMP MACRO every_definition() AS (
    SELECT list(d) FROM (
        SELECT definition.*, NULL::BIGINT AS run, (
            SELECT coalesce(list(own.run), [])
            FROM run AS own LEFT JOIN run AS original ON original.run = own.twin_of
            WHERE coalesce(original.{column}, own.{column}) IN (SELECT {column} FROM shown_run)
        ) AS sources, NULL::BIGINT[] AS facts
        FROM definition WHERE definition IN (SELECT definition FROM shown_run)
    ) AS d
)"""
"""What the views are asked of: the definition shown, of the runs shown, or of the models shown, and untrained twins."""
_ASKED_OF_MODELS, _ASKED_OF_RUNS = (_ASKED.format(column=column) for column in ("model", "run"))

LIKN_CURVE = """
SELECT
    run, definition::INTEGER AS min_languages, count(*) AS facts, avg(observed) AS observed,
    avg(twin_likn) AS twin_likn, avg(expected) AS expected, avg(same_relation) AS same_relation,
    avg(other_relations) AS other_relations
FROM likn_control_of((
    SELECT list(d) FROM (
        SELECT meant.* REPLACE (least.number::VARCHAR AS definition, least.number::INTEGER AS min_languages)
        FROM (SELECT unnest({definitions}, max_depth := 2)) AS meant
        CROSS JOIN (SELECT unnest(range(2, 1 + (SELECT max(n_languages) FROM fact_coverage))) AS number) AS least
    ) AS d
), 0)
WHERE of_languages >= definition::INTEGER
GROUP BY run, definition
"""
"""How many LIKN facts have by the languages asked for, under `definitions`, which are SQL."""

_SHOWN = "run IN (SELECT run FROM shown_run UNION ALL SELECT twin FROM twin WHERE run IN (SELECT run FROM shown_run))"

_POSITIONS = (
    """
CREATE OR REPLACE TEMP TABLE position_neuron AS
SELECT k.fact, shown.model, coalesce(run.settings ->> 'at', 'query') AS position, k.language, k.layer,
    k.neuron, k.score
FROM knowledge_neuron_all AS k JOIN run ON run.run = k.run
JOIN shown_run AS shown ON shown.model = run.model AND shown.method = run.method
WHERE k.definition = $definition AND run.twin_of IS NULL""",
    """
CREATE OR REPLACE TEMP TABLE position_profile AS
SELECT found.*, run_name.model, run_name.method
FROM position_profile_of(of_runs(every_definition(), (
    SELECT list(run.run) FROM run
    WHERE run.twin_of IS NULL AND (run.model, run.method) IN (SELECT (model, method) FROM shown_run)
))) AS found JOIN run_name ON run_name.run = found.run""",
)
"""What is asked where some run is at the subject; the others are filled with nothing."""

_OF_RUNS = (
    "knowledge_neuron", "likn", "likn_specificity", "likn_control", "layer_distribution", "language_overlap",
    "neuron_summary",
)  # fmt: skip
_VIEWS = (
    """
CREATE OR REPLACE TEMP TABLE scorer_agreement AS
SELECT * FROM scorer_agreement
WHERE definition = $definition AND model IN (SELECT model FROM shown_run)""",
    *(
        f"""
CREATE OR REPLACE TEMP TABLE {view}_all AS
SELECT * FROM {view}_all WHERE definition = $definition"""
        for view in ("dkn", "dkn_summary", "relation_dkn")
    ),
    "CREATE OR REPLACE TEMP MACRO dkn_of(definitions) AS TABLE FROM dkn_all",
    _ASKED_OF_RUNS,
    f"CREATE OR REPLACE TEMP TABLE likn_curve AS {LIKN_CURVE.format(definitions='every_definition()')}",
    # With the untrained twins of the runs shown, which no page shows and other views look up.
    f"""
CREATE OR REPLACE TEMP TABLE fact_language AS
SELECT * FROM fact_language WHERE {_SHOWN}
""",
    f"""
CREATE OR REPLACE TEMP TABLE held_neuron AS
SELECT * EXCLUDE (share, share_interval, in_twin) FROM knowledge_neuron_all
WHERE definition = $definition AND {_SHOWN}
""",
    "CREATE OR REPLACE TEMP MACRO knowledge_neuron_of(definitions) AS TABLE FROM held_neuron",
    f"""
CREATE OR REPLACE TEMP TABLE held_likn AS
SELECT * EXCLUDE (across_scripts) FROM likn_all WHERE definition = $definition AND {_SHOWN}
""",
    "CREATE OR REPLACE TEMP MACRO likn_of(definitions) AS TABLE FROM held_likn",
    *(
        f"""
CREATE OR REPLACE TEMP TABLE {view}_all AS
SELECT * FROM {view}_all WHERE definition = $definition AND run IN (SELECT run FROM shown_run)"""
        for view in _OF_RUNS
    ),
    "CREATE OR REPLACE TEMP TABLE intervention_effect AS FROM intervention_effect",
    "CREATE OR REPLACE TEMP TABLE intervention_summary AS FROM intervention_summary",
)

_FACTS = """
CREATE OR REPLACE TEMP TABLE shown_fact AS
SELECT fact.fact
FROM fact LEFT JOIN (SELECT fact, count(*) AS neurons FROM likn_all GROUP BY fact) AS shared USING (fact)
LEFT JOIN (SELECT DISTINCT fact FROM fact_language) AS asked ON asked.fact = fact.fact -- by the runs shown
WHERE list_contains($relations::VARCHAR[], fact.relation)
ORDER BY
    asked.fact IS NULL,
    row_number() OVER (
        PARTITION BY fact.relation, asked.fact IS NULL ORDER BY shared.neurons DESC NULLS LAST, fact.fact
    ),
    fact.relation
LIMIT $facts
"""

_NAMES = """
SELECT
    fact.fact, fact.relation, fact.fact IN (FROM shown_fact) AS shown,
    coalesce(arg_min(fact_label.subject, (fact_label.language <> 'en', fact_label.language)), fact.subject) AS subject,
    coalesce(arg_min(fact_label.object, (fact_label.language <> 'en', fact_label.language)), fact.object) AS object,
    coalesce(arg_min(fact_label.language, (fact_label.language <> 'en', fact_label.language)), '') AS language
FROM fact LEFT JOIN fact_label USING (fact)
GROUP BY fact.fact, fact.relation, fact.subject, fact.object
"""

_CUT = """
SELECT DISTINCT run.model, prompt.fact
FROM knockout JOIN prompt ON prompt.prompt = knockout.prompt JOIN run ON run.run = knockout.run
WHERE knockout.replace = (SELECT replace FROM definition WHERE definition = $definition)
"""

_NEURONS = "SELECT DISTINCT layer, neuron FROM knowledge_neuron_all WHERE fact IN (FROM shown_fact)"
