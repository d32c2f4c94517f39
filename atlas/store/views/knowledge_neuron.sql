-- The macros that end in `_of` take a list of definitions; they qualify every threshold's name, since a bare one
-- would mean the parameter of the `..._at` macro around them.

-- The share of the answer's probability below which a scorer's scores are noise, measured on planted models
-- (docs/evidence.md): what a definition's `least` is where it is NULL.
CREATE OR REPLACE MACRO own_least(method) AS CASE method WHEN 'amig' THEN 0.00006 WHEN 'peel' THEN 0.05 ELSE 0.0 END;

-- Where the largest score of a prompt in absolute value is below zero, scores below this share of it are noise as well.
CREATE OR REPLACE MACRO own_part(method) AS CASE method WHEN 'amig' THEN 0.05 ELSE 0.0 END;

-- The usable probes, each with the score that it asks for under each definition.
CREATE OR REPLACE MACRO usable_probe_of(definitions) AS TABLE
WITH usable AS NOT MATERIALIZED (
    SELECT probe.run, prompt.fact, prompt.language, probe.place, probe.max_score, probe.mean_probability AS probability
    FROM probe JOIN prompt USING (prompt)
    WHERE usable(probe.status)
),
-- Joined to attribution here, and by run and fact too, so that what is asked of reaches the scan.
against AS (
    SELECT usable.run, usable.fact, usable.place, own_part(any_value(run.method)) * max(-a.score) AS part
    FROM usable
    JOIN run ON run.run = usable.run AND own_part(run.method) > 0
    JOIN attribution AS a ON a.place = usable.place AND a.score < 0 AND a.score < -usable.max_score
    GROUP BY usable.run, usable.fact, usable.place
),
asked AS (
    SELECT
        usable.*, chosen.floor, chosen.method, chosen.d,
        coalesce(chosen.d.tau_by_language[usable.language], chosen.d.tau) AS tau, against.part
    FROM usable
    JOIN asked_fact_of(definitions) AS meant ON meant.fact = usable.fact
    JOIN asked_run_of(definitions) AS chosen ON chosen.run = usable.run AND chosen.d.definition = meant.definition
    LEFT JOIN against
        ON against.run = usable.run AND against.fact = usable.fact AND against.place = usable.place
        AND chosen.d.least IS NULL
)
SELECT
    asked.d.definition AS definition, asked.run, asked.fact, asked.language, asked.place, asked.max_score,
    asked.d.normalization AS divided_by, asked.floor * asked.max_score AS unstored,
    CASE
        WHEN asked.tau < asked.floor THEN error(format(
            'of definition {}, tau {} is below {}, the floor of run {}: lower scores were not stored; raise tau, build with '
            'a lower --floor, or ask another definition or run alone, by --run or `atlas use` and views without `_all`',
            asked.d.definition, asked.tau, asked.floor, asked.run
        ))
        ELSE asked.tau
    END AS share_of_largest,
    greatest(
        coalesce(asked.d.least, own_least(asked.method)) * coalesce(asked.probability, 0), coalesce(asked.part, 0)
    ) AS lowest_score
FROM asked;

-- The scores that pass. Where a definition divides by `none`: positive ones above tau times the prompt's largest
-- (Eq. 6-7), and above `least` times the answer's mean probability. By `layer`: the same of every score divided by its
-- layer's signed sum (Eq. 5), in layers with a positive sum. The scores that were not stored are below `floor` times the
-- prompt's largest; where one of these, divided, could pass or be the largest, that is an error.
CREATE OR REPLACE MACRO hit_of(definitions) AS TABLE
WITH probed AS MATERIALIZED (FROM usable_probe_of(definitions)),
layer AS (
    SELECT probed.*, l.layer, l.score_sum
    FROM probed JOIN probe_layer AS l ON l.place = probed.place
    WHERE probed.divided_by = 'layer' AND l.score_sum > 0
),
divided AS (
    SELECT layer.*, a.neuron, a.score, a.score / layer.score_sum AS quotient
    FROM layer LEFT JOIN attribution AS a ON a.place = layer.place AND a.layer = layer.layer AND a.score > 0
),
compared AS (
    SELECT
        *, coalesce(max(quotient) OVER same_prompt, 0) AS largest,
        max(unstored / score_sum) OVER same_prompt AS largest_unstored
    FROM divided
    WINDOW same_prompt AS (PARTITION BY definition, place)
)
SELECT p.definition, p.run, p.fact, p.language, a.layer, a.neuron, a.score
FROM attribution AS a
JOIN (
    SELECT *, greatest(share_of_largest * max_score, lowest_score) AS bar FROM probed WHERE divided_by = 'none'
) AS p ON a.place = p.place AND a.score > p.bar
UNION ALL
SELECT definition, run, fact, language, layer, neuron, score
FROM compared
WHERE CASE
    WHEN largest_unstored > share_of_largest * largest THEN error(format(
        'normalization layer is unknown in run {}: a score that was not stored could pass, divided by the sum of its '
        'layer; build with a floor of 0, or raise tau', run
    ))
    ELSE quotient > share_of_largest * largest AND score > lowest_score
END;

-- Knowledge neurons of a fact in a language (METHOD 3, Eq. 6-7): found in more than `share` of its usable prompts.
CREATE OR REPLACE MACRO knowledge_neuron_of(definitions) AS TABLE
SELECT
    found.definition, found.run, found.fact, found.language, found.layer, found.neuron,
    found.found, probed.usable, found.score
FROM (
    SELECT
        hit.definition, hit.run, hit.fact, hit.language, hit.layer, hit.neuron,
        count(*)::INTEGER AS found, avg(hit.score)::FLOAT AS score
    FROM hit_of(definitions) AS hit
    GROUP BY hit.definition, hit.run, hit.fact, hit.language, hit.layer, hit.neuron
) AS found
JOIN counted_language_of(definitions) AS probed
    ON probed.definition = found.definition AND probed.run = found.run AND probed.fact = found.fact
    AND probed.language = found.language
JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = found.definition
-- 29 of 50 is 0.58 to the bit, but 0.58 * 50 is less than 29.
WHERE found.found / probed.usable > chosen.d.share;

-- The same, with the interval of its share of the prompts and whether the run's untrained twin has it too, for the fact
-- in the language: NULL where no twin was asked.
CREATE OR REPLACE MACRO judged_neuron_of(definitions) AS TABLE
WITH of_twins AS MATERIALIZED (SELECT twin_definitions(definitions) AS asked)
SELECT
    own.*, own.found / own.usable AS share, wilson(own.found, own.usable) AS share_interval,
    CASE WHEN asked.run IS NOT NULL THEN twins.run IS NOT NULL END AS in_twin
FROM knowledge_neuron_of(definitions) AS own
LEFT JOIN (
    SELECT DISTINCT twin.run, asked.fact, asked.language
    FROM twin JOIN fact_language AS asked ON asked.run = twin.twin AND asked.usable > 0
) AS asked
    ON asked.run = own.run AND asked.fact = own.fact AND asked.language = own.language
LEFT JOIN (
    SELECT DISTINCT found.definition, twin.run, found.fact, found.language, found.layer, found.neuron
    FROM knowledge_neuron_of((SELECT asked FROM of_twins)) AS found JOIN twin ON twin.twin = found.run
) AS twins
    ON twins.definition = own.definition AND twins.run = own.run AND twins.fact = own.fact
    AND twins.language = own.language AND twins.layer = own.layer AND twins.neuron = own.neuron;

CREATE OR REPLACE VIEW knowledge_neuron_all AS
FROM judged_neuron_of(every_definition());

CREATE OR REPLACE VIEW knowledge_neuron AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.language, found.layer, found.neuron,
    found.found, found.usable, found.score, found.share, found.share_interval, found.in_twin,
    fact_name.relation, run_name.model, run_name.method, found.definition,
    found.run, found.fact
FROM judged_neuron_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO knowledge_neuron_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none', least := NULL, known := false
) AS TABLE
FROM judged_neuron_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization,
    least := least, known := known
));
