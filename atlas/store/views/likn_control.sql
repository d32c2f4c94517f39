-- For every fact that a twin was asked: how many LIKNs it has, mean over the run's twins.
CREATE OR REPLACE MACRO twin_likn_of(definitions) AS TABLE
WITH of_twins AS MATERIALIZED (SELECT twin_definitions(definitions) AS asked)
SELECT chosen.d.definition AS definition, twin.run, asked.fact, avg(coalesce(found.n, 0)) AS twin_likn
FROM twin
JOIN fact_coverage AS asked ON asked.run = twin.twin AND asked.n_languages > 1
CROSS JOIN (SELECT unnest(definitions) AS d) AS chosen
LEFT JOIN (
    SELECT definition, run, fact, count(*) AS n
    FROM likn_of((SELECT asked FROM of_twins))
    GROUP BY definition, run, fact
) AS found
    ON found.definition = chosen.d.definition AND found.run = twin.twin AND found.fact = asked.fact
GROUP BY chosen.d.definition, twin.run, asked.fact;

-- What a fact's LIKN count means (METHOD 3): beside the number observed, the number expected of random sets of the
-- same sizes with its p-value, and the number found when each language's set comes from a different fact.
-- The p-value is exact for both of two languages and, where at most 10 are expected, for all of more; otherwise it is
-- the binomial tail with each neuron's exact probability. The controls are NULL where no different fact exists; where a
-- different fact's stored scores end before its set is as large as the fact's, `..._own` counts the fact's LIKNs at the
-- sizes that were lent, and `..._short` what was lacking. Facts with one language have no LIKN and no row. Beside them
-- stand the exchange null of `likn_exchange` (of the same relation, and as `..._other` of other relations), the LIKNs
-- across scripts, and those of the run's untrained twin (METHOD 3b). Of one fact all but `q` and exchanged facts of other
-- relations, which need all facts.
CREATE OR REPLACE MACRO likn_control_of(definitions, draws, of_fact := NULL) AS TABLE
WITH narrowed AS MATERIALIZED (
    SELECT of_facts(definitions, CASE
        WHEN of_fact IS NOT NULL THEN list_concat(relation_facts(of_fact), partner_facts(of_fact))
    END) AS asked
),
known_neuron AS MATERIALIZED (FROM knowledge_neuron_of((SELECT asked FROM narrowed))),
best_neuron AS MATERIALIZED (FROM ranked_neuron_from('known_neuron', (SELECT asked FROM narrowed))),
best_size AS MATERIALIZED (FROM set_size_from('best_neuron', (SELECT asked FROM narrowed))),
sizes AS (
    SELECT
        own.definition, own.run, own.fact, list(own.size ORDER BY own.language) AS sizes,
        count(*)::INTEGER AS of_languages
    FROM best_size AS own
    GROUP BY own.definition, own.run, own.fact
),
asked AS (
    SELECT
        sizes.*, coalesce(chosen.d.min_languages, sizes.of_languages) AS least_languages,
        model.layers::BIGINT * model.neurons AS population
    FROM sizes
    JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = sizes.definition
    JOIN run ON run.run = sizes.run JOIN model ON model.model = run.model
    WHERE sizes.of_languages > 1
),
expected AS (
    SELECT *, expected_in_common(population, sizes, least_languages) AS expected FROM asked
),
even_count AS (
    SELECT
        even.definition, even.run, even.fact, even.control,
        count(*) FILTER (even.lent >= asked.least_languages) AS found,
        count(*) FILTER (even.own >= asked.least_languages) AS own,
        sum(even.lent) AS lent
    FROM (
        SELECT
            definition, run, fact, control, layer, neuron,
            count(*) FILTER (NOT own) AS lent, count(*) FILTER (own) AS own
        FROM even_neuron_from('best_neuron', 'best_size', true)
        GROUP BY definition, run, fact, control, layer, neuron
    ) AS even
    JOIN asked ON asked.definition = even.definition AND asked.run = even.run AND asked.fact = even.fact
    GROUP BY even.definition, even.run, even.fact, even.control
),
control AS (
    SELECT
        partners.definition, partners.run, partners.fact, partners.control,
        coalesce(even_count.found, 0)::INTEGER AS found, coalesce(even_count.own, 0)::INTEGER AS own,
        (partners.size - coalesce(even_count.lent, 0))::INTEGER AS short
    FROM partnered_from('best_size') AS partners
    LEFT JOIN even_count
        ON even_count.definition = partners.definition AND even_count.run = partners.run
        AND even_count.fact = partners.fact AND even_count.control = partners.control
),
observed AS (
    SELECT
        definition, run, fact, count(*) AS observed,
        CASE WHEN bool_and(across_scripts IS NOT NULL) THEN count(*) FILTER (across_scripts) END AS across_scripts
    FROM likn_spelled_from('known_neuron', (SELECT asked FROM narrowed))
    GROUP BY definition, run, fact
),
exchanged AS (
    SELECT
        e.definition, e.run, e.fact,
        any_value(e.in_exchanged_facts) FILTER (e.control = 'same relation') AS in_exchanged_facts,
        any_value(e.in_exchanged_facts_own) FILTER (e.control = 'same relation') AS in_exchanged_facts_own,
        any_value(e.p_exchange) FILTER (e.control = 'same relation') AS p_exchange,
        any_value(e.q) FILTER (e.control = 'same relation') AS q,
        any_value(e.draws) FILTER (e.control = 'same relation') AS n_draws,
        any_value(e.p_exchange) FILTER (e.control = 'other relations') AS p_exchange_other,
        any_value(e.q) FILTER (e.control = 'other relations') AS q_other
    FROM likn_exchange_from('best_neuron', definitions, draws, false, of_fact := of_fact) AS e
    GROUP BY e.definition, e.run, e.fact
),
even AS (
    SELECT
        e.definition, e.run, fact.relation, e.fact, e.of_languages, e.least_languages, e.sizes, e.population,
        coalesce(observed.observed, 0)::INTEGER AS observed,
        e.expected,
        CASE
            WHEN e.least_languages > e.of_languages THEN 1.0
            WHEN e.least_languages = 2 AND e.of_languages = 2
            THEN two_set_tail(e.population, e.sizes[1], e.sizes[2], coalesce(observed.observed, 0))
            WHEN e.least_languages = e.of_languages AND e.expected <= 10
            THEN all_sets_tail(e.population, e.sizes, coalesce(observed.observed, 0))
            ELSE binomial_tail(e.population, e.expected / e.population, coalesce(observed.observed, 0))
        END AS p_value,
        same.found AS same_relation, other.found AS other_relations,
        same.own AS same_relation_own, other.own AS other_relations_own,
        same.short AS same_relation_short, other.short AS other_relations_short,
        CASE WHEN observed.fact IS NULL THEN 0 ELSE observed.across_scripts END::INTEGER AS across_scripts
    FROM expected AS e
    JOIN fact ON fact.fact = e.fact
    LEFT JOIN observed ON observed.definition = e.definition AND observed.run = e.run AND observed.fact = e.fact
    LEFT JOIN control AS same
        ON same.definition = e.definition AND same.run = e.run AND same.fact = e.fact
        AND same.control = 'same relation'
    LEFT JOIN control AS other
        ON other.definition = e.definition AND other.run = e.run AND other.fact = e.fact
        AND other.control = 'other relations'
)
SELECT
    even.*, even.p_value AS p_even, exchanged.in_exchanged_facts, exchanged.in_exchanged_facts_own,
    exchanged.p_exchange, exchanged.q, exchanged.p_exchange_other, exchanged.q_other, exchanged.n_draws, twins.twin_likn
FROM even
LEFT JOIN exchanged
    ON exchanged.definition = even.definition AND exchanged.run = even.run AND exchanged.fact = even.fact
LEFT JOIN twin_likn_of((SELECT asked FROM narrowed)) AS twins
    ON twins.definition = even.definition AND twins.run = even.run AND twins.fact = even.fact
WHERE of_fact IS NULL OR even.fact = of_fact;

CREATE OR REPLACE VIEW likn_control_all AS
FROM likn_control_of(every_definition(), NULL);

CREATE OR REPLACE VIEW likn_control AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.relation, found.of_languages,
    found.least_languages, found.sizes, found.population, found.observed, found.expected, found.p_value,
    found.same_relation, found.other_relations, found.same_relation_own, found.other_relations_own,
    found.same_relation_short, found.other_relations_short,
    found.across_scripts, found.p_even, found.in_exchanged_facts, found.in_exchanged_facts_own, found.p_exchange,
    found.q, found.p_exchange_other, found.q_other, found.n_draws, found.twin_likn, run_name.model, run_name.method, found.definition, found.run,
    found.fact
FROM likn_control_of((SELECT asked FROM meant), NULL) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO likn_control_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, min_languages := NULL, normalization := 'none',
    least := NULL, known := false, draws := NULL, of_fact := NULL
) AS TABLE
FROM likn_control_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share,
    min_languages := min_languages, normalization := normalization, least := least, known := known
), draws, of_fact := of_fact);
