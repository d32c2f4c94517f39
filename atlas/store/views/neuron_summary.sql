-- What each neuron serves: facts, languages and relations it is a knowledge neuron in, and facts it is a LIKN of.
CREATE OR REPLACE MACRO neuron_summary_of(definitions) AS TABLE
WITH known_neuron AS MATERIALIZED (FROM knowledge_neuron_of(definitions))
SELECT
    k.definition, k.run, k.layer, k.neuron,
    count(DISTINCT k.fact)::INTEGER AS facts,
    count(DISTINCT k.language)::INTEGER AS languages,
    count(DISTINCT fact.relation)::INTEGER AS relations,
    coalesce(any_value(shared.facts), 0)::INTEGER AS likn_facts,
    avg(k.score)::FLOAT AS score
FROM known_neuron AS k
JOIN fact ON fact.fact = k.fact
LEFT JOIN (
    SELECT definition, run, layer, neuron, count(*) AS facts
    FROM likn_from('known_neuron', definitions)
    GROUP BY definition, run, layer, neuron
) AS shared
    ON shared.definition = k.definition AND shared.run = k.run
    AND shared.layer = k.layer AND shared.neuron = k.neuron
GROUP BY k.definition, k.run, k.layer, k.neuron;

CREATE OR REPLACE VIEW neuron_summary_all AS
FROM neuron_summary_of(every_definition());

CREATE OR REPLACE VIEW neuron_summary AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    found.layer, found.neuron, found.facts, found.languages, found.relations, found.likn_facts, found.score,
    run_name.model, run_name.method, found.definition, found.run
FROM neuron_summary_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run;

CREATE OR REPLACE MACRO neuron_summary_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, min_languages := NULL, normalization := 'none',
    least := NULL, known := false
) AS TABLE
FROM neuron_summary_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share,
    min_languages := min_languages, normalization := normalization, least := least, known := known
));
