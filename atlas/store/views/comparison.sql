-- Two runs side by side, on what both probed. Macros only: a view would pair every run with every other.

-- The common ground: facts in languages with prompts that are usable in both runs; a model knows a fact in a language
-- if the answer is its own choice in more than half of these.
CREATE OR REPLACE MACRO common_ground(run_a, run_b) AS TABLE
SELECT
    prompt.fact, prompt.language,
    avg(is_own_choice(a.argmax, a.rank)::INTEGER) > 0.5 AS known_a,
    avg(is_own_choice(b.argmax, b.rank)::INTEGER) > 0.5 AS known_b
FROM probe AS a JOIN probe AS b ON b.prompt = a.prompt JOIN prompt ON prompt.prompt = a.prompt
WHERE a.run = run_a AND usable(a.status) AND b.run = run_b AND usable(b.status)
GROUP BY prompt.fact, prompt.language;

-- What of it counts in both runs under each definition: all, but where one asks for what the model knows.
CREATE OR REPLACE MACRO counted_ground(definitions, run_a, run_b) AS TABLE
SELECT
    counted.definition, ground.fact, ground.language,
    count(*) OVER (PARTITION BY counted.definition, ground.fact) AS n_languages
FROM common_ground(run_a, run_b) AS ground
JOIN counted_language_of(definitions) AS counted
    ON counted.fact = ground.fact AND counted.language = ground.language AND counted.run IN (run_a, run_b)
GROUP BY counted.definition, ground.fact, ground.language
HAVING count(*) = 2;

-- Facts in languages whose sets, or control sets, were cut in both runs, each neuron to what the definition reads.
CREATE OR REPLACE MACRO common_knockout(definitions, run_a, run_b) AS TABLE
SELECT chosen.d.definition AS definition, effect.control, effect.fact, effect.language
FROM knockout_effect AS effect
JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.replace = effect.replace
WHERE effect.run IN (run_a, run_b)
GROUP BY chosen.d.definition, effect.control, effect.fact, effect.language
HAVING count(DISTINCT effect.run) = 2;

-- What each kind of neuron is looked for in: facts in languages or, for LIKNs, facts with several languages.
CREATE OR REPLACE MACRO compared_case(definitions, run_a, run_b) AS TABLE
WITH ground AS MATERIALIZED (FROM counted_ground(definitions, run_a, run_b))
SELECT definition, 'knowledge neuron' AS kind, fact, language FROM ground
UNION ALL
SELECT DISTINCT definition, 'likn' AS kind, fact, NULL AS language FROM ground WHERE n_languages > 1
UNION ALL
SELECT
    ground.definition, unnest(['likn of different facts', 'likn of equal size']) AS kind, ground.fact, NULL AS language
FROM ground
JOIN partner_of(true) AS partner ON partner.fact = ground.fact AND partner.language = ground.language
WHERE partner.run IN (run_a, run_b) AND partner.control = 'same relation' AND ground.n_languages > 1
GROUP BY ground.definition, ground.fact
HAVING count(*) = 2 * any_value(ground.n_languages)
UNION ALL
SELECT tried.definition, CASE WHEN tried.control THEN 'random set' ELSE 'dkn' END AS kind, tried.fact, tried.language
FROM common_knockout(definitions, run_a, run_b) AS tried
SEMI JOIN ground
    ON ground.definition = tried.definition AND ground.fact = tried.fact AND ground.language = tried.language;

-- The neurons of each kind, of both runs. LIKNs go by the languages that both runs have; their control, as in
-- `likn_control`, takes each language's set from a different fact of the relation; those of equal size are the fact's own
-- with its sets cut to what the different facts lend. Members of DKNs and of the random
-- sets that pass as DKNs count once in each fact and language.
CREATE OR REPLACE MACRO compared_neuron_of(definitions, run_a, run_b) AS TABLE
WITH narrowed AS MATERIALIZED (SELECT of_runs(definitions, [run_a, run_b]) AS asked),
found AS (
    SELECT definition, run, 'likn' AS kind, fact, language, layer, neuron
    FROM knowledge_neuron_of((SELECT asked FROM narrowed))
    WHERE run IN (run_a, run_b)
    UNION ALL
    SELECT
        definition, run, CASE WHEN own THEN 'likn of equal size' ELSE 'likn of different facts' END AS kind, fact,
        language, layer, neuron
    FROM even_neuron_of((SELECT asked FROM narrowed), true)
    WHERE run IN (run_a, run_b) AND control = 'same relation'
),
common AS (
    SELECT found.*, ground.n_languages
    FROM found
    JOIN counted_ground((SELECT asked FROM narrowed), run_a, run_b) AS ground
        ON ground.definition = found.definition AND ground.fact = found.fact AND ground.language = found.language
),
every AS (
    SELECT definition, run, 'knowledge neuron' AS kind, fact, language, layer, neuron FROM common WHERE kind = 'likn'
    UNION ALL
    SELECT common.definition, common.run, common.kind, common.fact, NULL AS language, common.layer, common.neuron
    FROM common JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = common.definition
    GROUP BY common.definition, common.run, common.kind, common.fact, common.layer, common.neuron
    HAVING count(*) >= coalesce(any_value(chosen.d.min_languages), any_value(common.n_languages))
    UNION ALL
    SELECT DISTINCT
        definition, run, CASE WHEN control THEN 'random set' ELSE 'dkn' END AS kind, fact, language,
        member[1] AS layer, member[2] AS neuron
    FROM (
        SELECT *, unnest(list_zip(layers, neurons)) AS member
        FROM dkn_or_control_of((SELECT asked FROM narrowed))
        WHERE run IN (run_a, run_b)
    )
)
SELECT every.*, model.layers, (every.layer + 0.5) / model.layers AS depth
FROM every
SEMI JOIN compared_case(definitions, run_a, run_b) AS asked
    ON asked.definition = every.definition AND asked.kind = every.kind AND asked.fact = every.fact AND asked.language IS NOT DISTINCT FROM every.language
JOIN run ON run.run = every.run JOIN model ON model.model = run.model;

-- Facts that each model knows, and facts in which it has neurons of a kind: how many in a, in b and in both, and how
-- many would be expected in both if the two were independent. The rows without a language are of all together.
CREATE OR REPLACE MACRO compared_facts_of(definitions, run_a, run_b) AS TABLE
WITH held AS (
    SELECT DISTINCT definition, run, kind, fact, language FROM compared_neuron_of(definitions, run_a, run_b)
),
cases AS (
    SELECT chosen.d.definition AS definition, 'known' AS kind, fact, language, known_a AS is_a, known_b AS is_b
    FROM common_ground(run_a, run_b) CROSS JOIN (SELECT unnest(definitions) AS d) AS chosen
    UNION ALL
    SELECT
        asked.definition, asked.kind, asked.fact, asked.language,
        coalesce(bool_or(held.run = run_a), false) AS is_a, coalesce(bool_or(held.run = run_b), false) AS is_b
    FROM compared_case(definitions, run_a, run_b) AS asked
    LEFT JOIN held
        ON held.definition = asked.definition AND held.kind = asked.kind AND held.fact = asked.fact
        AND held.language IS NOT DISTINCT FROM asked.language
    GROUP BY asked.definition, asked.kind, asked.fact, asked.language
),
counted AS (
    SELECT
        definition, kind, language, count(*)::INTEGER AS facts,
        count(*) FILTER (is_a)::INTEGER AS in_a, count(*) FILTER (is_b)::INTEGER AS in_b,
        count(*) FILTER (is_a AND is_b)::INTEGER AS in_both
    FROM cases
    GROUP BY GROUPING SETS ((definition, kind, language), (definition, kind))
    HAVING grouping(language) = 1 OR language IS NOT NULL
)
SELECT
    *, in_a::DOUBLE * in_b / facts AS expected, in_a / facts AS share_a, in_b / facts AS share_b,
    in_both / nullif(in_a + in_b - in_both, 0) AS jaccard
FROM counted;

-- How many neurons of each kind a fact has on the average, which share of its knowledge neurons they are, and how deep
-- they lie: 0 is the first layer's input, 1 the last one's output.
CREATE OR REPLACE MACRO compared_neurons_of(definitions, run_a, run_b) AS TABLE
WITH found AS MATERIALIZED (
    FROM compared_neuron_of(definitions, run_a, run_b)
),
cases AS MATERIALIZED (
    FROM compared_case(definitions, run_a, run_b)
),
asked AS (
    SELECT definition, kind, count(*)::INTEGER AS facts FROM cases GROUP BY definition, kind
),
counted AS (
    SELECT definition, run, kind, count(*) AS neurons, avg(depth) AS depth FROM found GROUP BY definition, run, kind
),
-- The knowledge neurons that they are a share of: in the same facts and languages, over all languages for LIKNs.
whole AS (
    SELECT
        known.definition, known.run, asked.kind,
        count(DISTINCT (known.fact, asked.language, known.layer, known.neuron)) AS neurons
    FROM found AS known
    JOIN cases AS asked
        ON asked.definition = known.definition AND asked.fact = known.fact AND (asked.language IS NULL OR asked.language = known.language)
    WHERE known.kind = 'knowledge neuron'
    GROUP BY known.definition, known.run, asked.kind
)
SELECT
    asked.definition, asked.kind, asked.facts,
    coalesce(of_a.neurons, 0) / asked.facts AS neurons_a,
    coalesce(of_b.neurons, 0) / asked.facts AS neurons_b,
    CASE WHEN asked.kind <> 'random set' THEN coalesce(of_a.neurons, 0) / whole_a.neurons END AS share_a,
    CASE WHEN asked.kind <> 'random set' THEN coalesce(of_b.neurons, 0) / whole_b.neurons END AS share_b,
    of_a.depth AS depth_a, of_b.depth AS depth_b
FROM asked
LEFT JOIN counted AS of_a
    ON of_a.definition = asked.definition AND of_a.kind = asked.kind AND of_a.run = run_a
LEFT JOIN counted AS of_b
    ON of_b.definition = asked.definition AND of_b.kind = asked.kind AND of_b.run = run_b
LEFT JOIN whole AS whole_a
    ON whole_a.definition = asked.definition AND whole_a.kind = asked.kind AND whole_a.run = run_a
LEFT JOIN whole AS whole_b
    ON whole_b.definition = asked.definition AND whole_b.kind = asked.kind AND whole_b.run = run_b;

-- Where the neurons lie, by tenths of the relative depth, so that models of any number of layers stand side by side:
-- layer l of L takes the depths from l / L to (l + 1) / L, and what it holds is spread over them evenly.
CREATE OR REPLACE MACRO compared_layers_of(definitions, run_a, run_b) AS TABLE
WITH layer_count AS MATERIALIZED (
    SELECT definition, run, kind, layer, layers, count(*) AS pairs
    FROM compared_neuron_of(definitions, run_a, run_b)
    WHERE kind IN ('knowledge neuron', 'likn', 'dkn')
    GROUP BY definition, run, kind, layer, layers
),
spread AS (
    SELECT
        definition, run, kind, tenth,
        pairs / sum(pairs) OVER (PARTITION BY definition, run, kind, tenth) * greatest(
            0, least((layer + 1) / layers, (tenth + 1) / 10) - greatest(layer / layers, tenth / 10)
        ) * layers AS share
    FROM layer_count CROSS JOIN range(10) AS tenths(tenth)
)
SELECT
    definition, kind, tenth / 10 AS depth_from, (tenth + 1) / 10 AS depth_to,
    sum(share) FILTER (run = run_a) AS share_a, sum(share) FILTER (run = run_b) AS share_b
FROM spread
GROUP BY definition, kind, tenth;
