-- Where scorers agree and differ (METHOD 2): each knowledge neuron of a fact in a language, the scorers that find it, those
-- that were put to the fact there and do not, and the round of `peel`. Of every definition; runs of one position alone
-- are compared, and of several runs of a scorer one that finds it is enough. `random`, whose sets are most of the model,
-- is left out.
CREATE OR REPLACE VIEW scorer_agreement AS
WITH meant AS MATERIALIZED (
    SELECT of_runs(every_definition(), (
        SELECT coalesce(list(DISTINCT run), []) FROM asked_run_of(every_definition()) WHERE method <> 'random'
    )) AS asked
),
scored AS (
    SELECT run, model, method, coalesce(settings ->> 'at', 'query') AS at FROM run WHERE method <> 'random'
),
asked AS (
    SELECT scored.model, scored.at, prompt.fact, prompt.language, list(DISTINCT scored.method) AS methods
    FROM probe JOIN scored ON scored.run = probe.run JOIN prompt ON prompt.prompt = probe.prompt
    WHERE usable(probe.status)
    GROUP BY ALL
),
found AS (
    SELECT
        k.definition, scored.model, scored.at, k.fact, k.language, k.layer, k.neuron,
        list_sort(list(DISTINCT scored.method)) AS found_by, min(r.first_round) AS first_round
    FROM knowledge_neuron_of((SELECT asked FROM meant)) AS k
    JOIN scored ON scored.run = k.run
    LEFT JOIN neuron_round AS r
        ON r.definition = k.definition AND r.run = k.run AND r.fact = k.fact AND r.language = k.language
        AND r.layer = k.layer AND r.neuron = k.neuron
    GROUP BY k.definition, scored.model, scored.at, k.fact, k.language, k.layer, k.neuron
)
SELECT
    found.definition, found.model, found.at, found.fact, found.language, found.layer, found.neuron, found.found_by,
    list_sort(list_filter(asked.methods, lambda method: NOT list_contains(found.found_by, method))) AS missed_by,
    found.first_round
FROM found
JOIN asked
    ON asked.model = found.model AND asked.at = found.at AND asked.fact = found.fact
    AND asked.language = found.language;
