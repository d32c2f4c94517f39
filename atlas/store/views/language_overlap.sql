-- How much two languages share (METHOD 3): over the facts with usable prompts in both and a knowledge neuron in either,
-- the mean number of common knowledge neurons and their share of the union (Jaccard), beside what random sets of the
-- same sizes would have in common and what the sets of different facts have (NULL where no different fact exists).

-- The exchange null of the mean overlap (METHOD 3b): in every draw each fact's set in the later language is that of
-- another fact of its relation, its best neurons, equally many, the next one round the ring in every draw. `draws` NULL is
-- 99, fewer where facts are many, 19 at least; never more than there are other facts.
CREATE OR REPLACE MACRO overlap_exchange_of(definitions, draws) AS TABLE
WITH budget AS (
    SELECT least(
        coalesce(draws, greatest(19, least(99, 60000 // greatest(held.number, 1)))), held.most - 1
    )::BIGINT AS n_draws
    FROM (SELECT count(DISTINCT (run, fact)) AS number, coalesce(max(facts), 1) AS most FROM fact_order) AS held
),
step AS (SELECT unnest(range(1, 1 + (SELECT n_draws FROM budget))) AS draw),
partner AS (
    SELECT own.run, own.fact, own.language, step.draw, other.fact AS partner
    FROM fact_order AS own
    CROSS JOIN step
    JOIN fact_order AS other
        ON other.run = own.run AND other.language = own.language AND other.relation = own.relation
        AND other.nth = (own.nth + ring_step(step.draw, own.facts)) % own.facts
),
size AS MATERIALIZED (FROM set_size_of(definitions)),
pair AS (
    SELECT a.definition, a.run, a.fact, a.language AS language_a, b.language AS language_b
    FROM size AS a
    JOIN size AS b ON b.definition = a.definition AND b.run = a.run AND b.fact = a.fact AND b.language > a.language
    JOIN fact_order AS place ON place.run = b.run AND place.fact = b.fact AND place.language = b.language
    WHERE a.size + b.size > 0 AND place.facts > 1
),
own AS MATERIALIZED (FROM knowledge_neuron_of(definitions)),
lent AS (
    SELECT size.definition, size.run, size.fact, size.language, partner.draw, ranked.layer, ranked.neuron
    FROM size
    JOIN partner ON partner.run = size.run AND partner.fact = size.fact AND partner.language = size.language
    JOIN ranked_neuron_of(definitions) AS ranked
        ON ranked.definition = size.definition AND ranked.run = size.run AND ranked.fact = partner.partner
        AND ranked.language = size.language AND ranked.nth <= size.size
    UNION ALL
    SELECT definition, run, fact, language, 0 AS draw, layer, neuron FROM own
),
counted AS (
    SELECT
        pair.definition, pair.run, pair.language_a, pair.language_b, lent.draw, count(*) AS n
    FROM pair
    JOIN own
        ON own.definition = pair.definition AND own.run = pair.run AND own.fact = pair.fact
        AND own.language = pair.language_a
    JOIN lent
        ON lent.definition = pair.definition AND lent.run = pair.run AND lent.fact = pair.fact
        AND lent.language = pair.language_b AND lent.layer = own.layer AND lent.neuron = own.neuron
    GROUP BY pair.definition, pair.run, pair.language_a, pair.language_b, lent.draw
),
tested AS (
    SELECT
        asked.definition, asked.run, asked.language_a, asked.language_b,
        sum(CASE WHEN step.draw > 0 THEN coalesce(counted.n, 0) END) / (any_value(asked.facts) * max(step.draw))
            AS in_exchanged_facts,
        (1 + count(*) FILTER (step.draw > 0 AND coalesce(counted.n, 0) >= coalesce(seen.n, 0))) / (1 + max(step.draw))
            AS p_exchange,
        max(step.draw) AS n_draws
    FROM (
        SELECT definition, run, language_a, language_b, count(*) AS facts
        FROM pair
        GROUP BY definition, run, language_a, language_b
    ) AS asked
    CROSS JOIN step
    LEFT JOIN counted
        ON counted.definition = asked.definition AND counted.run = asked.run AND counted.draw = step.draw
        AND counted.language_a = asked.language_a AND counted.language_b = asked.language_b
    LEFT JOIN counted AS seen
        ON seen.definition = asked.definition AND seen.run = asked.run AND seen.draw = 0
        AND seen.language_a = asked.language_a AND seen.language_b = asked.language_b
    GROUP BY asked.definition, asked.run, asked.language_a, asked.language_b
),
ordered AS (
    SELECT
        *, p_exchange * count(*) OVER (PARTITION BY definition, run)
        / count(*) OVER (PARTITION BY definition, run ORDER BY p_exchange RANGE UNBOUNDED PRECEDING) AS scaled
    FROM tested
)
-- Benjamini and Hochberg, over the pairs of languages.
SELECT
    definition, run, language_a, language_b, in_exchanged_facts, p_exchange, n_draws,
    least(1.0, min(scaled) OVER (
        PARTITION BY definition, run ORDER BY p_exchange DESC RANGE UNBOUNDED PRECEDING
    )) AS q
FROM ordered;

CREATE OR REPLACE MACRO language_overlap_of(definitions, draws) AS TABLE
WITH size AS MATERIALIZED (FROM set_size_of(definitions)),
own_neuron AS MATERIALIZED (FROM knowledge_neuron_of(definitions)),
twin_neuron AS MATERIALIZED (FROM knowledge_neuron_of(twin_definitions(definitions))),
both_languages AS (
    SELECT
        a.definition, a.run, a.fact, a.language AS language_a, b.language AS language_b,
        a.size AS size_a, b.size AS size_b, a.size * b.size / (model.layers::BIGINT * model.neurons) AS expected
    FROM size AS a
    JOIN size AS b
        ON b.definition = a.definition AND b.run = a.run AND b.fact = a.fact AND b.language > a.language
    JOIN run ON run.run = a.run JOIN model ON model.model = run.model
    WHERE a.size + b.size > 0
),
common AS (
    SELECT a.definition, a.run, a.fact, a.language AS language_a, b.language AS language_b, b.control, count(*) AS n
    FROM own_neuron AS a
    JOIN (
        SELECT definition, run, fact, language, 'none' AS control, layer, neuron
        FROM own_neuron
        UNION ALL
        FROM borrowed_neuron_of(definitions, false)
    ) AS b
        ON b.definition = a.definition AND b.run = a.run AND b.fact = a.fact AND b.language > a.language
        AND b.layer = a.layer AND b.neuron = a.neuron
    GROUP BY a.definition, a.run, a.fact, a.language, b.language, b.control
),
-- The same of the run's untrained twin.
with_twin AS (
    SELECT twin.run, asked.fact, asked.language, twin.twin, count(*) OVER (
        PARTITION BY twin.run, asked.fact, asked.language
    ) AS twins
    FROM twin JOIN fact_language AS asked ON asked.run = twin.twin AND asked.usable > 0
),
twin_common AS (
    SELECT a.definition, twin.run, a.fact, a.language AS language_a, b.language AS language_b, count(*) AS n
    FROM twin_neuron AS a
    JOIN twin ON twin.twin = a.run
    JOIN twin_neuron AS b
        ON b.definition = a.definition AND b.run = a.run AND b.fact = a.fact AND b.language > a.language
        AND b.layer = a.layer AND b.neuron = a.neuron
    GROUP BY a.definition, twin.run, a.fact, a.language, b.language
),
twins AS (SELECT run, fact, language, max(twins) AS number FROM with_twin GROUP BY run, fact, language),
fact_pair AS (
    SELECT
        both_languages.*, coalesce(own.n, 0) AS overlap,
        coalesce(twin_common.n, 0) / least(twins_a.number, twins_b.number) AS twin_overlap,
        CASE WHEN with_same.fact IS NOT NULL THEN coalesce(same.n, 0) END AS same_relation,
        CASE WHEN with_other.fact IS NOT NULL THEN coalesce(other.n, 0) END AS other_relations
    FROM both_languages
    LEFT JOIN common AS own
        ON own.definition = both_languages.definition AND own.run = both_languages.run
        AND own.fact = both_languages.fact AND own.language_a = both_languages.language_a
        AND own.language_b = both_languages.language_b AND own.control = 'none'
    LEFT JOIN twins AS twins_a
        ON twins_a.run = both_languages.run AND twins_a.fact = both_languages.fact
        AND twins_a.language = both_languages.language_a
    LEFT JOIN twins AS twins_b
        ON twins_b.run = both_languages.run AND twins_b.fact = both_languages.fact
        AND twins_b.language = both_languages.language_b
    LEFT JOIN twin_common
        ON twin_common.definition = both_languages.definition AND twin_common.run = both_languages.run
        AND twin_common.fact = both_languages.fact AND twin_common.language_a = both_languages.language_a
        AND twin_common.language_b = both_languages.language_b
    LEFT JOIN common AS same
        ON same.definition = both_languages.definition AND same.run = both_languages.run
        AND same.fact = both_languages.fact AND same.language_a = both_languages.language_a
        AND same.language_b = both_languages.language_b AND same.control = 'same relation'
    LEFT JOIN common AS other
        ON other.definition = both_languages.definition AND other.run = both_languages.run
        AND other.fact = both_languages.fact AND other.language_a = both_languages.language_a
        AND other.language_b = both_languages.language_b AND other.control = 'other relations'
    LEFT JOIN partner_of(false) AS with_same
        ON with_same.run = both_languages.run AND with_same.fact = both_languages.fact
        AND with_same.language = both_languages.language_b AND with_same.control = 'same relation'
    LEFT JOIN partner_of(false) AS with_other
        ON with_other.run = both_languages.run AND with_other.fact = both_languages.fact
        AND with_other.language = both_languages.language_b AND with_other.control = 'other relations'
)
SELECT
    found.*, exchanged.in_exchanged_facts, exchanged.p_exchange, exchanged.q, exchanged.n_draws
FROM (
    SELECT
        definition, run, language_a, language_b,
        count(*)::INTEGER AS facts,
        avg(overlap) AS overlap,
        avg(overlap / (size_a + size_b - overlap))::FLOAT AS jaccard,
        avg(expected)::FLOAT AS expected,
        avg(same_relation) AS same_relation,
        avg(other_relations) AS other_relations,
        avg(twin_overlap) AS twin_overlap
    FROM fact_pair
    GROUP BY definition, run, language_a, language_b
) AS found
LEFT JOIN overlap_exchange_of(definitions, draws) AS exchanged
    ON exchanged.definition = found.definition AND exchanged.run = found.run
    AND exchanged.language_a = found.language_a AND exchanged.language_b = found.language_b;

CREATE OR REPLACE VIEW language_overlap_all AS
FROM language_overlap_of(every_definition(), NULL);

CREATE OR REPLACE VIEW language_overlap AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    found.language_a, found.language_b, found.facts, found.overlap, found.jaccard, found.expected,
    found.same_relation, found.other_relations, found.twin_overlap, found.in_exchanged_facts, found.p_exchange, found.q,
    found.n_draws, run_name.model, run_name.method, found.definition, found.run
FROM language_overlap_of((SELECT asked FROM meant), NULL) AS found
JOIN run_name ON run_name.run = found.run;

CREATE OR REPLACE MACRO language_overlap_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none', least := NULL, known := false,
    draws := NULL
) AS TABLE
FROM language_overlap_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization,
    least := least, known := known
), draws);
