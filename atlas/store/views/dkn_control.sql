-- What passes as a DKN by chance: random sets of the sizes and layers of the sets tried (METHOD 3).
CREATE OR REPLACE MACRO dkn_control_of(definitions) AS TABLE
SELECT * EXCLUDE (control) FROM dkn_or_control_of(definitions) WHERE control;

CREATE OR REPLACE VIEW dkn_control_all AS
FROM dkn_control_of(every_definition());

CREATE OR REPLACE VIEW dkn_control AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.relation, found.language, found."set",
    found.size, found.layers, found.neurons, found.prompts, found.before, found.after, found.cost,
    found.largest_part_cost, found.interaction, found.replace, run_name.model, run_name.method, found.definition,
    found.run, found.fact
FROM dkn_control_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO dkn_control_at(
    t_low := 0.2, t_high := 0.25, absolute := false, strict := false,
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none', least := NULL, known := false,
    replace := 'zero'
) AS TABLE
FROM dkn_control_of(thresholds(
    t_low := t_low, t_high := t_high, absolute := absolute, strict := strict,
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization,
    least := least, known := known, replace := replace
));
