-- Neurons that are knowledge neurons in a single language of a run, with the number of facts that they serve there.
CREATE OR REPLACE MACRO language_specific_neuron_of(definitions) AS TABLE
SELECT definition, run, any_value(language) AS language, layer, neuron, count(*)::INTEGER AS facts
FROM knowledge_neuron_of(definitions)
GROUP BY definition, run, layer, neuron
HAVING min(language) = max(language);

CREATE OR REPLACE VIEW language_specific_neuron_all AS
FROM language_specific_neuron_of(every_definition());

CREATE OR REPLACE VIEW language_specific_neuron AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    found.language, found.layer, found.neuron, found.facts, run_name.model, run_name.method, found.definition,
    found.run
FROM language_specific_neuron_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run;

CREATE OR REPLACE MACRO language_specific_neuron_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none', least := NULL, known := false
) AS TABLE
FROM language_specific_neuron_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization,
    least := least, known := known
));
