-- How many facts of a relation have a DKN in a language, against random sets of the same sizes and layers, out of those
-- that count (`known`) and were knocked out and those without a knowledge neuron to knock out. The control columns are NULL where none were
-- measured; `untried_neurons` and `untried_sets` are what the definition asks for and was not tried.
CREATE OR REPLACE MACRO dkn_summary_of(definitions) AS TABLE
WITH every_cost AS MATERIALIZED (FROM knockout_cost_of(definitions)),
known_neuron AS MATERIALIZED (FROM cut_neuron_of(definitions)),
known_set AS MATERIALIZED (FROM knowledge_set_from('known_neuron')),
-- The facts that count, and whether they have a knowledge neuron.
meant AS (
    SELECT counted.definition, origin.run, counted.fact, counted.language, count(found.fact) = 0 AS empty
    FROM knockout_source AS origin
    JOIN counted_language_of(definitions) AS counted ON counted.run = origin.source
    LEFT JOIN known_neuron AS found
        ON found.definition = counted.definition AND found.run = counted.run AND found.fact = counted.fact
        AND found.language = counted.language
    GROUP BY counted.definition, origin.run, counted.fact, counted.language
),
cut AS (
    SELECT definition, run, fact, language, any_value(replace) AS replace, bool_or(control) AS controlled
    FROM every_cost
    GROUP BY definition, run, fact, language
),
tried AS (
    SELECT
        meant.definition, meant.run, fact.relation, meant.language, any_value(cut.replace) AS replace,
        count(*)::INTEGER AS facts, bool_or(cut.controlled) AS controlled
    FROM meant
    LEFT JOIN cut USING (definition, run, fact, language)
    JOIN fact ON fact.fact = meant.fact
    WHERE meant.empty OR cut.fact IS NOT NULL
    GROUP BY meant.definition, meant.run, fact.relation, meant.language
    HAVING count(cut.fact) > 0
),
untried AS (
    SELECT
        u.definition, u.run, fact.relation, u.language,
        sum(u.untried_neurons)::INTEGER AS neurons, sum(u.untried_sets)::INTEGER AS sets
    FROM dkn_untried_from('every_cost', 'known_neuron', 'known_set') AS u JOIN fact ON fact.fact = u.fact
    GROUP BY u.definition, u.run, fact.relation, u.language
),
asked AS (
    SELECT
        tried.*, coalesce(untried.neurons, 0) AS untried_neurons, coalesce(untried.sets, 0) AS untried_sets
    FROM tried
    LEFT JOIN untried
        ON untried.definition = tried.definition AND untried.run = tried.run
        AND untried.relation = tried.relation AND untried.language = tried.language
),
counted AS (
    SELECT
        definition, run, relation, language,
        count(DISTINCT fact) FILTER (NOT control)::INTEGER AS with_dkn,
        count(*) FILTER (NOT control)::INTEGER AS sets,
        count(DISTINCT fact) FILTER (control)::INTEGER AS with_control,
        count(*) FILTER (control)::INTEGER AS control_sets
    FROM dkn_or_control_from('every_cost', 'known_set')
    GROUP BY definition, run, relation, language
)
SELECT
    asked.definition, asked.run, asked.relation, asked.language, asked.facts,
    coalesce(counted.with_dkn, 0) AS facts_with_dkn,
    coalesce(counted.with_dkn, 0) / asked.facts AS share,
    coalesce(counted.sets, 0) AS sets,
    CASE WHEN asked.controlled THEN coalesce(counted.with_control, 0) END AS facts_with_control,
    CASE WHEN asked.controlled THEN coalesce(counted.with_control, 0) / asked.facts END AS control_share,
    CASE WHEN asked.controlled THEN coalesce(counted.control_sets, 0) END AS control_sets,
    asked.untried_neurons, asked.untried_sets, asked.replace
FROM asked
LEFT JOIN counted
    ON counted.definition = asked.definition AND counted.run = asked.run
    AND counted.relation = asked.relation AND counted.language = asked.language;

CREATE OR REPLACE VIEW dkn_summary_all AS
FROM dkn_summary_of(every_definition());

CREATE OR REPLACE VIEW dkn_summary AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    relation.name AS relation_name, found.relation, found.language, found.facts, found.facts_with_dkn, found.share,
    found.sets, found.facts_with_control, found.control_share, found.control_sets, found.untried_neurons,
    found.untried_sets, found.replace, run_name.model, run_name.method, found.definition, found.run
FROM dkn_summary_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN relation ON relation.relation = found.relation;

CREATE OR REPLACE MACRO dkn_summary_at(
    t_low := 0.2, t_high := 0.25, absolute := false, strict := false,
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none', least := NULL, known := false,
    replace := 'zero'
) AS TABLE
FROM dkn_summary_of(thresholds(
    t_low := t_low, t_high := t_high, absolute := absolute, strict := strict,
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization,
    least := least, known := known, replace := replace
));

-- `dkn_summary` for every way of cutting that was measured, side by side: what a cut neuron becomes is `replace`.
CREATE OR REPLACE MACRO dkn_by_replace_of(definitions) AS TABLE
SELECT * REPLACE (definition[strpos(definition, ':') + 1:] AS definition)
FROM dkn_summary_of(replaced_in_each_way(definitions));

CREATE OR REPLACE VIEW dkn_by_replace_all AS
FROM dkn_by_replace_of(every_definition());

CREATE OR REPLACE VIEW dkn_by_replace AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    relation.name AS relation_name, found.relation, found.language, found.facts, found.facts_with_dkn, found.share,
    found.sets, found.facts_with_control, found.control_share, found.control_sets, found.untried_neurons,
    found.untried_sets, found.replace, run_name.model, run_name.method, found.definition, found.run
FROM dkn_by_replace_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN relation ON relation.relation = found.relation;
