"""The queries behind the methods of `Atlas`: SQL text and bound parameters, nothing run."""

from collections.abc import Mapping, Sequence

from atlas.schema import usable

THRESHOLDS: Mapping[str, Sequence[str]] = {
    "knowledge_neuron": ("tau", "tau_by_language", "share", "normalization", "least", "known"),
    "likn": ("tau", "tau_by_language", "share", "min_languages", "normalization", "least", "known"),
    "likn_specificity": ("tau", "tau_by_language", "share", "min_languages", "normalization", "least", "known"),
    "dkn": ("t_low", "t_high", "absolute", "strict", "replace"),
}
"""The thresholds that the `..._at` macro of a view takes."""

RUNS = f"""
SELECT
    run.run, model.name AS model, model.kind, run.method, coalesce(run.settings ->> 'at', 'query') AS position,
    run.seed, run.status, count(probe.prompt) AS prompts,
    count(probe.prompt) FILTER ({usable("probe.status")}) AS usable,
    count(probe.prompt) FILTER (probe.status = 'not_converged') AS not_converged,
    run.started, run.finished, run.settings, run.versions, model.revision, model.digest,
    run.twin_of
FROM run JOIN model USING (model) LEFT JOIN probe ON probe.run = run.run
GROUP BY ALL
ORDER BY run.started, run.run
"""

HOLDS = """
SELECT
    (SELECT count(*) FROM fact) AS facts, (SELECT count(*) FROM relation) AS relations,
    (SELECT count(*) FROM language) AS languages, (SELECT count(*) FROM model) AS models,
    (SELECT count(*) FROM run) AS runs, (SELECT count(*) FROM edit) AS edits
"""

RUNS_IN_SHORT = """
SELECT run.run, model.name AS model, run.method, run.status, run.started
FROM run JOIN model USING (model) ORDER BY run.started, run.run
"""

FACTS = """
SELECT
    fact.fact, fact.relation, relation.name AS relation_name,
    fact_label.language, fact_label.subject, fact_label.object, fact.subject AS subject_key, fact.object AS object_key
FROM fact JOIN fact_label USING (fact) JOIN relation USING (relation)
WHERE ($text IS NULL OR contains(lower(nfc_normalize(concat_ws(chr(10),
        fact_label.subject, fact_label.object, fact.subject, fact.object))), lower(nfc_normalize($text))))
    AND ($relations IS NULL OR list_contains($relations::VARCHAR[], fact.relation))
    AND ($languages IS NULL OR list_contains($languages::VARCHAR[], fact_label.language))
ORDER BY fact.relation, fact_label.subject, fact.fact, fact_label.language
LIMIT $limit
"""

NAMES = "SELECT fact.fact, subject, relation_name AS relation, object FROM fact_name AS fact"
"""What facts are called: the view `fact_name`."""

CARRIED = """
WITH held AS (
    SELECT definition, run, fact, language, layer, neuron, score
    FROM (SELECT * FROM knowledge_neuron_of(every_definition()) WHERE definition = $definition) {clause}
),
shared AS (
    SELECT run, fact, layer, neuron
    FROM (SELECT * FROM likn_of(every_definition()) WHERE definition = $definition) {clause}
)
SELECT
    names.subject, names.relation, names.object, held.layer, held.neuron,
    list(held.language ORDER BY held.language) AS languages, count(*)::INTEGER AS n_languages,
    any_value(covered.n_languages) AS of_languages, any_value(shared.neuron) IS NOT NULL AS likn,
    avg(held.score)::FLOAT AS score, any_value(token.writes) AS writes,
    model.name AS model, model.kind, run.method, coalesce(run.settings ->> 'at', 'query') AS position,
    held.definition, held.run, held.fact
FROM held
JOIN run ON run.run = held.run
JOIN model ON model.model = run.model
JOIN ({names}) AS names ON names.fact = held.fact
JOIN coverage_of(every_definition()) AS covered
    ON covered.definition = held.definition AND covered.run = held.run AND covered.fact = held.fact
LEFT JOIN shared
    ON shared.run = held.run AND shared.fact = held.fact AND shared.layer = held.layer AND shared.neuron = held.neuron
LEFT JOIN (
    SELECT model, layer, neuron, list(coalesce(text, token) ORDER BY rank) AS writes
    FROM neuron_token WHERE direction = 'promotes' AND rank <= 3 GROUP BY model, layer, neuron
) AS token ON token.model = run.model AND token.layer = held.layer AND token.neuron = held.neuron
GROUP BY ALL
ORDER BY likn DESC, n_languages DESC, score DESC, held.run, subject, relation, object, held.layer, held.neuron
"""


IN_COMMON = """
SELECT
    expected_in_common(
        layers::BIGINT * neurons, list_resize($sizes::INTEGER[], $languages, 0), coalesce(min_languages, $languages)
    ) AS expected
FROM run JOIN model USING (model) CROSS JOIN definition
WHERE run = $run AND definition = $definition
"""
"""The LIKNs expected of random sets of these sizes, and empty ones in what is left of the `languages` that count."""


def named(rows: str, view: str) -> str:
    """Return the query of `rows` of a view with the names of facts in front and those of runs behind."""
    if view == "neuron_summary":
        return f"SELECT found.*, model, method FROM {rows} AS found JOIN run_name USING (run)"
    return (
        "SELECT names.subject, names.relation_name, names.object, found.*, model, method\n"
        f"FROM {rows} AS found\nJOIN run_name USING (run)\n"
        "JOIN (SELECT fact, subject, relation_name, object FROM fact_name) AS names USING (fact)"
    )


class Filter:
    """Conditions of a WHERE clause with their parameters, gathered one by one."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.params: dict[str, object] = {}

    def equal(self, column: str, value: object) -> None:
        """Ask for `column` to be `value`; None asks for nothing."""
        if value is not None:
            self.conditions.append(f"{column} = ${column}")
            self.params[column] = value

    def one_of(self, column: str, values: Sequence[object]) -> None:
        """Ask for `column` to be one of `values`, written out to reach scans: `=`, for one alone, reaches joins too."""
        names = [f"{column}_{number}" for number in range(len(values))]
        listed = ", ".join("$" + name for name in names)
        self.conditions.append(f"{column} = {listed}" if len(names) == 1 else f"{column} IN ({listed})")
        self.params |= dict(zip(names, values, strict=True))

    def of_relations(self, relations: Sequence[str] | None) -> None:
        """Ask for facts of `relations`; None asks for nothing."""
        if relations is not None:
            names = {f"relation_{number}": relation for number, relation in enumerate(relations)}
            listed = ", ".join(f"${name}" for name in names)
            self.conditions.append(f"fact IN (SELECT fact FROM fact WHERE relation IN ({listed}))")
            self.params |= names

    def clause(self) -> str:
        """Return the WHERE clause, empty without conditions."""
        return "WHERE " + " AND ".join(self.conditions) if self.conditions else ""


def carried(definition: str, wanted: Filter, limit: int | None) -> tuple[str, dict[str, object]]:
    """Return the query of `Atlas.carried` and its parameters."""
    query = CARRIED.format(clause=wanted.clause(), names=NAMES)
    params = {"definition": definition} | wanted.params
    return (query, params) if limit is None else (f"{query}\nLIMIT $limit", params | {"limit": limit})


def source(view: str, definition: str, thresholds: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return what to put after FROM, and its parameters beside `run`.

    `thresholds` is empty for `..._all` narrowed to `definition`; otherwise it holds all that the macro takes.
    """
    if view in ("neuron_summary", "dkn"):
        # They gather all neurons before a filter reaches them, so they are asked of the definition and the run alone.
        return f"{view}_of(definition_of($definition, $run))", {"definition": definition}
    if not thresholds:
        return f"(SELECT * FROM {view}_all WHERE definition = $definition)", {"definition": definition}
    arguments: list[str] = []
    params: dict[str, object] = {}
    for name in THRESHOLDS[view]:
        if name == "tau_by_language":
            arguments.append(f"{name} := map($at_languages, $at_taus)")
            pairs = list(thresholds[name])  # type: ignore[call-overload]
            params |= {"at_languages": [key for key, _ in pairs], "at_taus": [value for _, value in pairs]}
        else:
            arguments.append(f"{name} := $at_{name}")
            params[f"at_{name}"] = thresholds[name]
    return f"{view}_at({', '.join(arguments)})", params


NEW_OBJECT = """
coalesce((
    SELECT min(named.object) FROM fact AS like_it JOIN fact_name AS named ON named.fact = like_it.fact
    WHERE like_it.relation = names.relation AND like_it.object = edit.object
), edit.object) AS object
"""
"""What the new object of an `edit` of the fact `names` is called: the name of its key in the relation, or its text."""

EDITS = f"""
SELECT summary.* REPLACE (
    names.subject AS subject, names.relation_name AS relation, names.object AS old_object, {NEW_OBJECT}
)
FROM edit_summary AS summary JOIN edit USING (edit) JOIN fact_name AS names ON names.fact = edit.fact
ORDER BY summary.created, edit
"""
"""What `edit list` shows: the edits, with the names of their facts and of the new objects."""

EDITED = f"""
FROM (
    SELECT
        names.subject, names.relation_name AS relation, names.object AS old_object, {NEW_OBJECT},
        edit.method, edit.status, outcome.measure, prompt.language, count(outcome.prompt)::INTEGER AS prompts,
        avg(outcome.argmax_before::INTEGER) AS argmax_before, avg(outcome.argmax_after::INTEGER) AS argmax_after,
        avg(outcome.same_argmax::INTEGER) AS same_argmax,
        avg(outcome.probability_before) AS probability_before, avg(outcome.probability_after) AS probability_after,
        avg(outcome.kl) AS kl, edit.edit
    FROM edit
    JOIN fact_name AS names ON names.fact = edit.fact
    LEFT JOIN edit_outcome AS outcome ON outcome.edit = edit.edit
    LEFT JOIN prompt ON prompt.prompt = outcome.prompt
    WHERE (edit.edit = $number::HUGEINT OR list_contains($facts::BIGINT[], edit.fact))
        AND (outcome.measure IS DISTINCT FROM 'paraphrase' OR outcome.known)
    GROUP BY ALL
)
ORDER BY
    edit, list_position(['efficacy', 'paraphrase', 'transfer', 'neighbour', 'locality'], measure), measure, language
"""
"""Of an edit, or of the edits of some facts: before and after by measure and language; one without has its status."""
