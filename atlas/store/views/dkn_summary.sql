-- How many facts of a relation have a DKN in a language, against random sets of the same sizes and layers. The control
-- columns are NULL where none were measured.
CREATE OR REPLACE MACRO dkn_summary_of(definitions) AS TABLE
WITH tried AS (
    SELECT
        effect.run, fact.relation, effect.language, count(DISTINCT effect.fact)::INTEGER AS facts,
        bool_or(effect.control) AS controlled
    FROM knockout_effect AS effect JOIN fact ON fact.fact = effect.fact
    GROUP BY effect.run, fact.relation, effect.language
),
counted AS (
    SELECT
        definition, run, relation, language,
        count(DISTINCT fact) FILTER (NOT control)::INTEGER AS with_dkn,
        count(*) FILTER (NOT control)::INTEGER AS sets,
        count(DISTINCT fact) FILTER (control)::INTEGER AS with_control,
        count(*) FILTER (control)::INTEGER AS control_sets
    FROM dkn_or_control_of(definitions)
    GROUP BY definition, run, relation, language
)
SELECT
    chosen.d.definition AS definition, tried.run, tried.relation, tried.language, tried.facts,
    coalesce(counted.with_dkn, 0) AS facts_with_dkn,
    coalesce(counted.with_dkn, 0) / tried.facts AS share,
    coalesce(counted.sets, 0) AS sets,
    CASE WHEN tried.controlled THEN coalesce(counted.with_control, 0) END AS facts_with_control,
    CASE WHEN tried.controlled THEN coalesce(counted.with_control, 0) / tried.facts END AS control_share,
    CASE WHEN tried.controlled THEN coalesce(counted.control_sets, 0) END AS control_sets
FROM tried
CROSS JOIN (SELECT unnest(definitions) AS d) AS chosen
LEFT JOIN counted
    ON counted.definition = chosen.d.definition AND counted.run = tried.run
    AND counted.relation = tried.relation AND counted.language = tried.language;

CREATE OR REPLACE VIEW dkn_summary AS
FROM dkn_summary_of((SELECT list(d) FROM definition AS d));

CREATE OR REPLACE MACRO dkn_summary_at(
    t_low := 0.2, t_high := 0.25, absolute := false, strict := false,
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none'
) AS TABLE
FROM dkn_summary_of(thresholds(
    t_low := t_low, t_high := t_high, absolute := absolute, strict := strict,
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization
));
