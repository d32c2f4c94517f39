-- How much a LIKN is the fact's own: in how many other facts of its relation, and of other relations, the same
-- neuron is one too (METHOD 3). Apart from `likn`, since it has to look at all facts.
CREATE OR REPLACE MACRO likn_specificity_of(definitions) AS TABLE
WITH row_of AS (
    SELECT likn.definition, likn.run, fact.relation, likn.fact, likn.layer, likn.neuron
    FROM likn_of(definitions) AS likn JOIN fact USING (fact)
)
SELECT
    row_of.*,
    (count(*) OVER (PARTITION BY definition, run, layer, neuron, relation) - 1)::INTEGER AS same_relation,
    (
        count(*) OVER (PARTITION BY definition, run, layer, neuron)
        - count(*) OVER (PARTITION BY definition, run, layer, neuron, relation)
    )::INTEGER AS other_relations
FROM row_of;

CREATE OR REPLACE VIEW likn_specificity_all AS
FROM likn_specificity_of(every_definition());

CREATE OR REPLACE VIEW likn_specificity AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.relation, found.layer, found.neuron,
    found.same_relation, found.other_relations, run_name.model, run_name.method, found.definition, found.run,
    found.fact
FROM likn_specificity_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO likn_specificity_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, min_languages := NULL, normalization := 'none',
    least := NULL, known := false
) AS TABLE
FROM likn_specificity_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share,
    min_languages := min_languages, normalization := normalization, least := least, known := known
));
