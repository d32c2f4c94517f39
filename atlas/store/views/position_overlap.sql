-- Which neurons carry a fact in a language at both positions (METHOD 2): knowledge neurons of a run at the query and of the
-- run of the same settings at the subject. Of every definition, each asked where it is meant alone: hence no join of two.
CREATE OR REPLACE VIEW position_overlap AS
WITH meant AS MATERIALIZED (
    SELECT of_runs(every_definition(), (
        SELECT coalesce(list(run), []) FROM (SELECT unnest([run_query, run_subject]) AS run FROM position_pair)
    )) AS asked
)
SELECT
    k.definition, pair.model, pair.method, k.fact, k.language, k.layer, k.neuron,
    max(k.score) FILTER (k.run = pair.run_query) AS score_query,
    max(k.score) FILTER (k.run = pair.run_subject) AS score_subject, pair.run_query, pair.run_subject
FROM knowledge_neuron_of((SELECT asked FROM meant)) AS k
JOIN position_pair AS pair ON k.run IN (pair.run_query, pair.run_subject)
GROUP BY
    k.definition, pair.model, pair.method, k.fact, k.language, k.layer, k.neuron, pair.run_query, pair.run_subject
HAVING count(*) = 2;
