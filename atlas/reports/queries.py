"""The SQL behind each part of the page; `$run` is bound, thresholds are those of the definition `default`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """A table of the page: what it is called and where its rows come from."""

    name: str
    title: str
    sql: str


THRESHOLDS = """
SELECT tau, share, coalesce(min_languages::VARCHAR, 'all') AS "languages of a LIKN", normalization
FROM definition WHERE definition = 'default'
"""

FACTS = "SELECT count(*) AS facts FROM fact"

RUNS = """
SELECT run.run, model.name AS model, model.kind, run.method, run.status, run.started, model.layers
FROM run JOIN model USING (model) ORDER BY run.started, run.run
"""

FIGURES = """
SELECT
    count(DISTINCT prompt.fact) AS facts,
    count(DISTINCT prompt.language) AS languages,
    count(*) AS prompts,
    count(*) FILTER (probe.status IN ('ok', 'not_converged')) AS usable,
    (SELECT count(DISTINCT fact) FROM likn WHERE run = $run AND definition = 'default') AS "facts with a LIKN",
    (SELECT count(DISTINCT (layer, neuron)) FROM likn WHERE run = $run AND definition = 'default')
        AS "language-independent neurons"
FROM probe JOIN prompt USING (prompt) WHERE probe.run = $run
"""

LAYERS = Query(
    "layers",
    "Knowledge neurons by layer",
    """
SELECT coalesce(language, 'LIKN') AS language, layer, neurons
FROM layer_distribution
WHERE run = $run AND definition = 'default' AND kind IN ('knowledge neuron', 'likn')
ORDER BY layer_distribution.language NULLS LAST, layer
""",
)

TABLES = (
    Query(
        "languages",
        "Languages",
        """
SELECT
    prompt.language,
    count(DISTINCT prompt.fact) AS facts,
    count(*) AS prompts,
    count(*) FILTER (probe.status IN ('ok', 'not_converged')) AS usable,
    avg((probe.rank = 1)::INTEGER) AS "share ranked first",
    median(probe.mean_probability) AS "median probability",
    median(error.worst) AS "median completeness error",
    avg(error.nodes) AS "mean nodes"
FROM probe JOIN prompt USING (prompt)
LEFT JOIN (
    SELECT prompt, max(completeness_error) AS worst, avg(nodes) AS nodes
    FROM probe_layer WHERE run = $run GROUP BY prompt
) AS error USING (prompt)
WHERE probe.run = $run GROUP BY ALL ORDER BY prompt.language
""",
    ),
    Query(
        "facts",
        "Facts with the most language-independent neurons",
        """
WITH shared AS (
    SELECT fact, count(*) AS neurons, max(score) AS "highest score"
    FROM likn WHERE run = $run AND definition = 'default' GROUP BY fact
), label AS (
    SELECT fact, arg_min(subject, (language <> 'en', language)) AS subject,
        arg_min(object, (language <> 'en', language)) AS object
    FROM fact_label GROUP BY fact
)
SELECT fact.relation, label.subject, label.object, shared.neurons, shared."highest score"
FROM shared JOIN fact USING (fact) JOIN label USING (fact)
ORDER BY shared.neurons DESC, shared."highest score" DESC, fact.fact LIMIT 25
""",
    ),
    Query(
        "neurons",
        "Neurons that most facts share",
        """
SELECT layer, neuron, facts, likn_facts AS "facts as LIKN", languages, relations, score AS "mean score"
FROM neuron_summary WHERE run = $run AND definition = 'default'
ORDER BY facts DESC, score DESC, layer, neuron LIMIT 25
""",
    ),
)
