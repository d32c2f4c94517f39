-- Suppressing neurons of a fact in a language (METHOD 2): score below minus tau times the prompt's largest, and below
-- minus
-- `least` times the answer's mean probability, in more than `share` of its usable prompts. Runs of before schema 4
-- stored
-- no negative scores.
CREATE OR REPLACE MACRO suppressing_neuron_of(definitions) AS TABLE
SELECT
    found.definition, found.run, found.fact, found.language, found.layer, found.neuron,
    found.found, probed.usable, found.score
FROM (
    SELECT
        p.definition, p.run, p.fact, p.language, a.layer, a.neuron,
        count(*)::INTEGER AS found, avg(a.score)::FLOAT AS score
    FROM usable_probe_of(definitions) AS p
    JOIN attribution AS a
        ON a.place = p.place AND a.score < -greatest(p.share_of_largest * p.max_score, p.lowest_score)
    GROUP BY p.definition, p.run, p.fact, p.language, a.layer, a.neuron
) AS found
JOIN counted_language_of(definitions) AS probed
    ON probed.definition = found.definition AND probed.run = found.run AND probed.fact = found.fact
    AND probed.language = found.language
JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = found.definition
WHERE found.found / probed.usable > chosen.d.share;

CREATE OR REPLACE VIEW suppressing_neuron_all AS
FROM suppressing_neuron_of(every_definition());

CREATE OR REPLACE VIEW suppressing_neuron AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.language, found.layer, found.neuron,
    found.found, found.usable, found.score, fact_name.relation, run_name.model, run_name.method, found.definition,
    found.run, found.fact
FROM suppressing_neuron_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO suppressing_neuron_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, least := NULL, known := false
) AS TABLE
FROM suppressing_neuron_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share, least := least, known := known
));
