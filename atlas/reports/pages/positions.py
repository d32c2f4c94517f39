"""What pages show of both positions: the profile of the overview, and the neurons of a fact."""

from dataclasses import replace

from atlas.reports.query import Query

MOST = 30

PROFILE = Query(
    "positions",
    "Where neurons are at each position",
    """
SELECT
    model, method, position, layer, knowledge_neurons, likn, same_relation, other_relations, across_scripts,
    same_relation_across
FROM position_profile WHERE language IS NULL
""",
    "model, method, position, layer",
    note="At the query and at the subject's last token: pairs of a fact and a knowledge neuron over all languages, "
    "of a fact and a LIKN, and as many LIKN as exchanged facts of the relation, and of others, have there.",
    about="position_profile",
)
PROFILE_SHOWN = replace(
    PROFILE,
    sql=PROFILE.sql.replace(
        "FROM position_profile",
        """FROM position_profile_of(of_runs(definition_of($definition, NULL), (
    SELECT list(run) FROM run
    WHERE twin_of IS NULL AND (model, method) IN (SELECT (model, method) FROM run WHERE run IN $runs)
))) JOIN run_name USING (run)""",
    ),
)
"""The same of an atlas, whose `position_profile` is of the run in use alone: what the page shows."""
AT_BOTH = Query(
    "positions",
    "At the query and at the subject",
    f"""
FROM (
    SELECT
        fact, model, language, layer, neuron,
        max(score) FILTER (position = 'query') AS at_query, max(score) FILTER (position = 'subject') AS at_subject
    FROM position_neuron
    WHERE fact = $fact AND model = $model AND model IN (SELECT model FROM position_neuron WHERE position = 'subject')
    GROUP BY ALL
)
QUALIFY row_number() OVER (
    PARTITION BY fact, model, language
    ORDER BY at_query IS NULL OR at_subject IS NULL, greatest(at_query, at_subject) DESC, layer, neuron
) <= {MOST}
""",
    "model, language, at_query IS NULL OR at_subject IS NULL, greatest(at_query, at_subject) DESC, layer, neuron",
    hidden=("fact", "model"),
    note="Scores of the knowledge neurons where the answer is asked and at the subject's last token, at most "
    f"{MOST} of a language; those found at both come first.",
    about="knowledge_neuron",
    means={"at_query": "its score at the query", "at_subject": "its score at the subject's last token"},
)
AT_BOTH_SHOWN = replace(
    AT_BOTH,
    sql=f"""
WITH position_neuron AS (
    SELECT
        k.fact, run.model, coalesce(run.settings ->> 'at', 'query') AS position, k.language, k.layer, k.neuron, k.score
    FROM knowledge_neuron_all AS k JOIN run ON run.run = k.run
    WHERE k.definition = $definition AND run.twin_of IS NULL AND run.model = $model
        AND run.method = (SELECT method FROM run WHERE run = $run)
)
{AT_BOTH.sql.strip()}
""",
)
"""The same of an atlas, which has no `position_neuron`: what the page shows."""
