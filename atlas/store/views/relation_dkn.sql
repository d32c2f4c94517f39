-- Relation DKN of a language (METHOD 3): neurons in the DKNs of more than `relation_share` of the largest count,
-- counted in facts of the relation. Facts that claims of the test split are made from do not count.
CREATE OR REPLACE MACRO relation_dkn_of(definitions) AS TABLE
WITH member AS (
    SELECT DISTINCT
        set_of.definition, set_of.run, fact.relation, set_of.language, set_of.fact, set_of.neuron[1] AS layer,
        set_of.neuron[2] AS neuron
    FROM (
        SELECT definition, run, fact, language, unnest(list_zip(layers, neurons)) AS neuron
        FROM dkn_of(definitions, false)
    ) AS set_of
    JOIN fact ON fact.fact = set_of.fact
    WHERE set_of.fact NOT IN (SELECT claim.fact FROM claim WHERE claim.split = 'test' AND claim.fact IS NOT NULL)
),
counted AS (
    SELECT *, max(facts) OVER (PARTITION BY definition, run, relation, language) AS most_facts
    FROM (
        SELECT definition, run, relation, language, layer, neuron, count(*)::INTEGER AS facts
        FROM member
        GROUP BY definition, run, relation, language, layer, neuron
    )
)
SELECT counted.*
FROM counted JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = counted.definition
WHERE counted.facts > chosen.d.relation_share * counted.most_facts;

CREATE OR REPLACE VIEW relation_dkn AS
FROM relation_dkn_of((SELECT list(d) FROM definition AS d));

CREATE OR REPLACE MACRO relation_dkn_at(
    t_low := 0.2, t_high := 0.25, absolute := false, strict := false, relation_share := 0.7
) AS TABLE
FROM relation_dkn_of(thresholds(
    t_low := t_low, t_high := t_high, absolute := absolute, strict := strict, relation_share := relation_share
));
