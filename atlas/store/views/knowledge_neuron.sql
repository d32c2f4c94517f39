-- Knowledge neurons of a fact in a language (METHOD 3, Eq. 6-7): found in more than `share` of its usable prompts.

-- The macros that end in `_of` take a list of definitions; they qualify every threshold's name, since a bare one
-- would mean the parameter of the `..._at` macro around them.

-- The usable probes, each with the score that it asks for under each definition.
CREATE OR REPLACE MACRO usable_probe_of(definitions) AS TABLE
WITH floors AS (
    SELECT run, coalesce((settings ->> 'floor')::DOUBLE, 0) AS floor FROM run
),
usable AS (
    SELECT probe.run, prompt.fact, prompt.language, probe.place, probe.max_score
    FROM probe JOIN prompt USING (prompt)
    WHERE usable(probe.status)
),
asked AS (
    SELECT
        usable.*, floors.floor, chosen.d,
        coalesce(chosen.d.tau_by_language[usable.language], chosen.d.tau) AS least
    FROM usable JOIN floors USING (run) CROSS JOIN (SELECT unnest(definitions) AS d) AS chosen
)
SELECT
    asked.d.definition AS definition, asked.run, asked.fact, asked.language, asked.place, asked.max_score,
    asked.d.normalization AS divided_by, asked.floor * asked.max_score AS unstored,
    CASE
        WHEN asked.least < asked.floor THEN error(format(
            'tau {} is below {}, the floor of run {}: lower scores were not stored; raise tau or name a run',
            asked.least, asked.floor, asked.run
        ))
        ELSE asked.least
    END AS least
FROM asked;

-- Scores above tau times the prompt's largest (Eq. 6-7).
CREATE OR REPLACE MACRO plain_hit_of(definitions) AS TABLE
SELECT p.definition, p.run, p.fact, p.language, a.layer, a.neuron, a.score
FROM attribution AS a
JOIN (
    SELECT *, least * max_score AS least_score FROM usable_probe_of(definitions) WHERE divided_by = 'none'
) AS p ON a.place = p.place AND a.score > p.least_score;

-- The same with every score divided by its layer's signed sum (Eq. 5): positive scores of layers with a positive sum. The
-- scores that were not stored are below `floor` times the prompt's largest; where one of these, divided, could pass or
-- be the largest, that is an error.
CREATE OR REPLACE MACRO divided_hit_of(definitions) AS TABLE
WITH layer AS (
    SELECT p.definition, p.run, p.fact, p.language, p.least, p.unstored, p.place, l.layer, l.score_sum
    FROM (SELECT * FROM usable_probe_of(definitions) WHERE divided_by = 'layer') AS p
    JOIN probe_layer AS l ON l.place = p.place
    WHERE l.score_sum > 0
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
SELECT definition, run, fact, language, layer, neuron, score
FROM compared
WHERE CASE
    WHEN largest_unstored > least * largest THEN error(format(
        'normalization layer is unknown in run {}: a score that was not stored could pass, divided by the sum of its '
        'layer; build with a floor of 0, or raise tau', run
    ))
    ELSE quotient > least * largest
END;

CREATE OR REPLACE MACRO knowledge_neuron_of(definitions) AS TABLE
SELECT
    found.definition, found.run, found.fact, found.language, found.layer, found.neuron,
    found.found, probed.usable, found.score
FROM (
    SELECT
        hit.definition, hit.run, hit.fact, hit.language, hit.layer, hit.neuron,
        count(*)::INTEGER AS found, avg(hit.score)::FLOAT AS score
    FROM (FROM plain_hit_of(definitions) UNION ALL FROM divided_hit_of(definitions)) AS hit
    GROUP BY hit.definition, hit.run, hit.fact, hit.language, hit.layer, hit.neuron
) AS found
JOIN fact_language AS probed
    ON probed.run = found.run AND probed.fact = found.fact AND probed.language = found.language
JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = found.definition
WHERE found.found > chosen.d.share * probed.usable;

CREATE OR REPLACE VIEW knowledge_neuron AS
FROM knowledge_neuron_of((SELECT list(d) FROM definition AS d));

CREATE OR REPLACE MACRO knowledge_neuron_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none'
) AS TABLE
FROM knowledge_neuron_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization
));
