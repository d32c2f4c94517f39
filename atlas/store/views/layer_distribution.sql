-- Where the neurons lie: per layer, how many (fact, neuron) pairs and how many different neurons there are, of
-- knowledge neurons and DKNs in each language and of LIKNs over all (language NULL). `share` is of the pairs.
CREATE OR REPLACE MACRO layer_distribution_of(definitions) AS TABLE
WITH known_neuron AS MATERIALIZED (FROM knowledge_neuron_of(definitions)),
pair AS (
    SELECT definition, run, 'knowledge neuron' AS kind, language, fact, layer, neuron
    FROM known_neuron
    UNION ALL
    SELECT definition, run, 'likn' AS kind, NULL AS language, fact, layer, neuron
    FROM likn_from('known_neuron', definitions)
    UNION ALL
    SELECT DISTINCT definition, run, 'dkn' AS kind, language, fact, member[1] AS layer, member[2] AS neuron
    FROM (SELECT *, unnest(list_zip(layers, neurons)) AS member FROM dkn_from('known_neuron', definitions))
)
SELECT
    definition, run, kind, language, layer,
    count(*) AS pairs, count(DISTINCT neuron) AS neurons,
    count(*) / sum(count(*)) OVER (PARTITION BY definition, run, kind, language) AS share
FROM pair
GROUP BY definition, run, kind, language, layer;

CREATE OR REPLACE VIEW layer_distribution_all AS
FROM layer_distribution_of(every_definition());

CREATE OR REPLACE VIEW layer_distribution AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    found.kind, found.language, found.layer, found.pairs, found.neurons, found.share, run_name.model,
    run_name.method, found.definition, found.run
FROM layer_distribution_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run;

CREATE OR REPLACE MACRO layer_distribution_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, min_languages := NULL, normalization := 'none',
    least := NULL, known := false,
    t_low := 0.2, t_high := 0.25, absolute := false, strict := false
) AS TABLE
FROM layer_distribution_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share, min_languages := min_languages,
    normalization := normalization,
    least := least, known := known, t_low := t_low, t_high := t_high, absolute := absolute, strict := strict
));
