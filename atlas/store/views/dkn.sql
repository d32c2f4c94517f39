-- What cutting a set does to a fact in a language: the answer's probability, mean over the prompts it was measured on.
CREATE OR REPLACE VIEW knockout_effect AS
SELECT
    knockout.run, prompt.fact, prompt.language, knockout.replace, knockout.control, knockout."set",
    any_value(knockout.size)::INTEGER AS size, any_value(knockout.layers) AS layers,
    any_value(knockout.neurons) AS neurons, any_value(knockout.twin) AS twin,
    count(*)::INTEGER AS prompts, avg(knockout.before) AS before, avg(knockout.after) AS after
FROM knockout JOIN prompt USING (prompt)
GROUP BY knockout.run, prompt.fact, prompt.language, knockout.replace, knockout.control, knockout."set";

-- The cost of every measured set: the share of the mean probability that is lost, or the probability if `absolute`.
-- A mean of each prompt's own share would be ruled by prompts of tiny probability.
CREATE OR REPLACE MACRO knockout_cost_of(definitions) AS TABLE
SELECT
    chosen.d.definition AS definition, effect.*,
    (effect.before - effect.after) / CASE WHEN chosen.d.absolute THEN 1 ELSE nullif(effect.before, 0) END AS cost,
    list_transform(list_zip(effect.layers, effect.neurons), lambda n: (n[1]::BIGINT << 32) + n[2]) AS codes,
    chosen.d.t_low AS low, chosen.d.t_high AS high, chosen.d.strict AS asks_interaction
FROM knockout_effect AS effect
JOIN (SELECT unnest(definitions) AS d) AS chosen
    ON (chosen.d.run IS NULL OR effect.run = chosen.d.run) AND effect.replace = chosen.d.replace;

-- The knowledge neurons of runs with knock-outs, and of those that they join: what a set can be made of.
CREATE OR REPLACE MACRO cut_neuron_of(definitions) AS TABLE
WITH cut AS MATERIALIZED (
    SELECT list(d) AS asked FROM (
        SELECT * EXCLUDE (held)
            REPLACE (CASE WHEN sources IS NULL THEN held ELSE list_intersect(sources, held) END AS sources)
        FROM (SELECT unnest(definitions, max_depth := 2))
        CROSS JOIN (
            SELECT coalesce(list(DISTINCT source), []) AS held
            FROM knockout_source SEMI JOIN knockout ON knockout.run = knockout_source.run
        )
    ) AS d
)
FROM knowledge_neuron_of((SELECT asked FROM cut));

-- Degenerate sets, measured or control; `interaction` is the cost less the sum of the single neurons' costs. Of several
-- controls of a set, of other seeds, one counts, whatever it costs: as many as there are sets to compare with. The macros
-- that end in `_from` take the names of what `dkn_of` gathers for all of them.
CREATE OR REPLACE MACRO degenerate_set_from(costs) AS TABLE
WITH chosen AS (
    SELECT definition, run, fact, language, twin, min("set") AS "set"
    FROM query_table(costs)
    WHERE control AND size > 1
    GROUP BY definition, run, fact, language, twin
),
whole AS (
    SELECT measured.*
    FROM query_table(costs) AS measured
    LEFT JOIN chosen
        ON chosen.definition = measured.definition AND chosen.run = measured.run AND chosen.fact = measured.fact
        AND chosen.language = measured.language AND chosen.twin = measured.twin AND chosen."set" = measured."set"
    WHERE measured.size > 1 AND measured.cost > measured.high AND (NOT measured.control OR chosen."set" IS NOT NULL)
)
SELECT
    whole.definition, whole.run, whole.fact, whole.language, whole.control, whole."set",
    any_value(whole.replace) AS replace, any_value(whole.size) AS size, any_value(whole.layers) AS layers, any_value(whole.neurons) AS neurons,
    any_value(whole.twin) AS twin, any_value(whole.prompts) AS prompts,
    any_value(whole.before) AS before, any_value(whole.after) AS after, any_value(whole.cost) AS cost,
    any_value(whole.cost) - sum(part.cost ORDER BY part.codes) FILTER (part.size = 1) AS interaction,
    max(part.cost) AS largest_part_cost
FROM whole
JOIN query_table(costs) AS part
    ON part.definition = whole.definition AND part.run = whole.run AND part.fact = whole.fact
    AND part.language = whole.language AND part.control = whole.control
    AND part.size < whole.size AND list_has_all(whole.codes, part.codes)
GROUP BY whole.definition, whole.run, whole.fact, whole.language, whole.control, whole."set"
HAVING count(*) = (1 << any_value(whole.size)) - 2
    AND largest_part_cost <= any_value(whole.low)
    AND (NOT any_value(whole.asks_interaction) OR interaction > 0);

-- Measured sets made of a definition's knowledge neurons alone, of the run or of those that it joins.
CREATE OR REPLACE MACRO knowledge_set_from(known_neurons) AS TABLE
WITH tried AS (
    SELECT "set" AS tried_set, run, fact, language, size, unnest(layers) AS layer, unnest(neurons) AS neuron
    FROM knockout_effect
    WHERE NOT control
)
SELECT found.definition, tried.run, tried.fact, tried.language, tried.tried_set
FROM tried
JOIN knockout_source AS origin ON origin.run = tried.run
JOIN query_table(known_neurons) AS found
    ON found.run = origin.source AND found.fact = tried.fact AND found.language = tried.language
    AND found.layer = tried.layer AND found.neuron = tried.neuron
GROUP BY found.definition, tried.run, tried.fact, tried.language, tried.tried_set
HAVING count(DISTINCT (tried.layer, tried.neuron)) = any_value(tried.size);

-- Controls whose twins were not tried, as a neuron of the twin alone costs too much: those of which each neuron is the
-- twin of a knowledge neuron.
CREATE OR REPLACE MACRO lone_control_from(sets) AS TABLE
WITH lone AS (
    SELECT
        effect."set", effect.run, effect.fact, effect.language, effect.replace AS became,
        unnest(list_zip(effect.layers, effect.neurons)) AS neuron, effect.size
    FROM knockout_effect AS effect
    ANTI JOIN knockout_effect AS tried
        ON tried.run = effect.run AND tried.fact = effect.fact AND tried.language = effect.language
        AND tried.replace = effect.replace AND tried."set" = effect.twin AND NOT tried.control
    WHERE effect.control
)
SELECT made.definition, lone.run, lone.fact, lone.language, lone.became, lone."set"
FROM lone
JOIN knockout_effect AS single
    ON single.run = lone.run AND single.fact = lone.fact AND single.language = lone.language
    AND single.replace = lone.became AND single.control AND single.size = 1
    AND single.layers[1] = lone.neuron[1] AND single.neurons[1] = lone.neuron[2]
JOIN query_table(sets) AS made
    ON made.run = lone.run AND made.fact = lone.fact AND made.language = lone.language AND made.tried_set = single.twin
GROUP BY made.definition, lone.run, lone.fact, lone.language, lone.became, lone."set"
HAVING count(DISTINCT lone.neuron) = any_value(lone.size);

-- Both kinds: sets of knowledge neurons, and controls whose twins are such sets.
CREATE OR REPLACE MACRO dkn_or_control_from(costs, sets) AS TABLE
SELECT
    found.definition, found.run, fact.relation, found.fact, found.language, found.control, found."set", found.size,
    found.layers, found.neurons, found.prompts, found.before, found.after, found.cost, found.largest_part_cost,
    found.interaction, found.replace
FROM degenerate_set_from(costs) AS found
JOIN fact ON fact.fact = found.fact
LEFT JOIN query_table(sets) AS made
    ON made.definition = found.definition AND made.run = found.run AND made.fact = found.fact
    AND made.language = found.language AND made.tried_set = coalesce(found.twin, found."set")
LEFT JOIN lone_control_from(sets) AS lone
    ON lone.definition = found.definition AND lone.run = found.run AND lone.fact = found.fact
    AND lone.language = found.language AND lone.became = found.replace AND lone."set" = found."set" AND found.control
WHERE made.tried_set IS NOT NULL OR lone."set" IS NOT NULL;

CREATE OR REPLACE MACRO dkn_or_control_of(definitions) AS TABLE
WITH every_cost AS MATERIALIZED (FROM knockout_cost_of(definitions)),
known_neuron AS MATERIALIZED (FROM cut_neuron_of(definitions)),
known_set AS MATERIALIZED (FROM knowledge_set_from('known_neuron'))
FROM dkn_or_control_from('every_cost', 'known_set');

-- What a definition would have asked of the search and was not tried, for facts in languages with a set measured:
-- knowledge neurons that were not cut alone, and pairs and sets, no larger than the run's largest of the same `replace`, of
-- which every proper subset was measured and costs at most `t_low`. Thresholds looser than those of the search, or more
-- candidates than it took, leave some.
CREATE OR REPLACE MACRO dkn_untried_from(costs, known_neurons, sets) AS TABLE
WITH tried AS MATERIALIZED (
    SELECT cost.*, greatest(2, max(cost.size) OVER (PARTITION BY cost.run, cost.replace)) AS largest
    FROM query_table(costs) AS cost
    WHERE NOT cost.control
),
quiet AS MATERIALIZED (
    SELECT tried.definition, tried.run, tried.fact, tried.language, tried.size, tried.largest, tried.codes
    FROM tried
    SEMI JOIN query_table(sets) AS made
        ON made.definition = tried.definition AND made.run = tried.run AND made.fact = tried.fact
        AND made.language = tried.language AND made.tried_set = tried."set"
    WHERE tried.cost <= tried.low
),
grown AS (
    SELECT
        part.definition, part.run, part.fact, part.language, part.size,
        list_append(part.codes, single.codes[1]) AS codes
    FROM quiet AS part
    JOIN quiet AS single
        ON single.definition = part.definition AND single.run = part.run AND single.fact = part.fact
        AND single.language = part.language AND single.size = 1 AND single.codes[1] > part.codes[-1]
    WHERE part.size < part.largest
),
missing AS (
    FROM grown
    ANTI JOIN tried
        ON tried.definition = grown.definition AND tried.run = grown.run AND tried.fact = grown.fact
        AND tried.language = grown.language AND tried.codes = grown.codes
),
asked AS (
    SELECT missing.definition, missing.run, missing.fact, missing.language, missing.codes
    FROM (
        SELECT *, list_filter(codes, lambda code, nth: nth <> left_out) AS part
        FROM missing, range(1, missing.size + 2) AS places(left_out)
    ) AS missing
    JOIN quiet
        ON quiet.definition = missing.definition AND quiet.run = missing.run AND quiet.fact = missing.fact
        AND quiet.language = missing.language AND quiet.codes = missing.part
    GROUP BY missing.definition, missing.run, missing.fact, missing.language, missing.codes
    HAVING count(*) = len(missing.codes)
),
sets AS (
    SELECT asked.definition, asked.run, asked.fact, asked.language, count(*)::INTEGER AS sets
    FROM asked
    ANTI JOIN tried AS costly -- a smaller part, too, as a neuron alone costs more than the pairs that it is in
        ON costly.definition = asked.definition AND costly.run = asked.run AND costly.fact = asked.fact
        AND costly.language = asked.language AND costly.cost > costly.low AND list_has_all(asked.codes, costly.codes)
    GROUP BY asked.definition, asked.run, asked.fact, asked.language
),
wanted AS (
    SELECT DISTINCT found.definition, origin.run, found.fact, found.language, found.layer, found.neuron
    FROM knockout_source AS origin
    JOIN query_table(known_neurons) AS found ON found.run = origin.source
    SEMI JOIN tried
        ON tried.run = origin.run AND tried.fact = found.fact AND tried.language = found.language
),
neurons AS (
    SELECT wanted.definition, wanted.run, wanted.fact, wanted.language, count(*)::INTEGER AS neurons
    FROM wanted
    ANTI JOIN tried
        ON tried.definition = wanted.definition AND tried.run = wanted.run AND tried.fact = wanted.fact
        AND tried.language = wanted.language AND tried.codes = [(wanted.layer::BIGINT << 32) + wanted.neuron]
    GROUP BY wanted.definition, wanted.run, wanted.fact, wanted.language
)
SELECT
    every.definition, every.run, every.fact, every.language,
    coalesce(neurons.neurons, 0) AS untried_neurons, coalesce(sets.sets, 0) AS untried_sets
FROM (SELECT DISTINCT definition, run, fact, language FROM tried) AS every
LEFT JOIN neurons
    ON neurons.definition = every.definition AND neurons.run = every.run AND neurons.fact = every.fact
    AND neurons.language = every.language
LEFT JOIN sets
    ON sets.definition = every.definition AND sets.run = every.run AND sets.fact = every.fact
    AND sets.language = every.language;

CREATE OR REPLACE MACRO dkn_untried_of(definitions) AS TABLE
WITH every_cost AS MATERIALIZED (FROM knockout_cost_of(definitions)),
known_neuron AS MATERIALIZED (FROM cut_neuron_of(definitions)),
known_set AS MATERIALIZED (FROM knowledge_set_from('known_neuron'))
FROM dkn_untried_from('every_cost', 'known_neuron', 'known_set');

CREATE OR REPLACE VIEW dkn_untried_all AS
FROM dkn_untried_of(every_definition());

CREATE OR REPLACE VIEW dkn_untried AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.language, found.untried_neurons,
    found.untried_sets, fact_name.relation, run_name.model, run_name.method, found.definition, found.run, found.fact
FROM dkn_untried_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

-- Degenerate knowledge neurons of a fact in a language (METHOD 3, Eq. 9-10): sets of knowledge neurons where zeroing
-- any proper subset costs at most `t_low` and zeroing the whole costs more than `t_high`; `strict` asks for
-- interaction > 0 too. Every proper subset was measured. What the definition asks for and was not tried is counted.
-- A definition reads the knock-outs of one `replace`, what a cut neuron becomes, so they never mix.
CREATE OR REPLACE MACRO dkn_from(known_neurons, definitions) AS TABLE
WITH every_cost AS MATERIALIZED (FROM knockout_cost_of(definitions)),
known_set AS MATERIALIZED (FROM knowledge_set_from(known_neurons))
SELECT found.* EXCLUDE (control), untried.untried_neurons, untried.untried_sets
FROM dkn_or_control_from('every_cost', 'known_set') AS found
JOIN dkn_untried_from('every_cost', known_neurons, 'known_set') AS untried
    ON untried.definition = found.definition AND untried.run = found.run AND untried.fact = found.fact
    AND untried.language = found.language
WHERE NOT found.control;

CREATE OR REPLACE MACRO dkn_of(definitions) AS TABLE
WITH known_neuron AS MATERIALIZED (FROM cut_neuron_of(definitions))
FROM dkn_from('known_neuron', definitions);

CREATE OR REPLACE VIEW dkn_all AS
FROM dkn_of(every_definition());

CREATE OR REPLACE VIEW dkn AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.relation, found.language, found."set",
    found.size, found.layers, found.neurons, found.prompts, found.before, found.after, found.cost,
    found.largest_part_cost, found.interaction, found.replace, found.untried_neurons, found.untried_sets,
    run_name.model, run_name.method, found.definition, found.run, found.fact
FROM dkn_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO dkn_at(
    t_low := 0.2, t_high := 0.25, absolute := false, strict := false,
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none', least := NULL, known := false,
    replace := 'zero'
) AS TABLE
FROM dkn_of(thresholds(
    t_low := t_low, t_high := t_high, absolute := absolute, strict := strict,
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization,
    least := least, known := known, replace := replace
));
