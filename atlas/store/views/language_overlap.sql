-- How much two languages share (METHOD 3): over the facts with usable prompts in both and a knowledge neuron in either,
-- the mean number of common knowledge neurons and their share of the union (Jaccard), beside what random sets of the
-- same sizes would have in common and what the sets of different facts have (NULL where no different fact exists). Where a
-- different fact's stored scores end before its set is as large as the fact's, `..._own` has the overlap with the fact's
-- own set at the size that was lent, and `..._short` how many neurons were lacking, over all facts.

-- The exchange null of the mean overlap (METHOD 3b): in every draw each fact's set in the later language is that of
-- another fact of its relation, its best neurons, equally many, the next one round the ring in every draw. Where another
-- fact has fewer stored neurons, the fact's own set is cut to as many, and the draw counted in `short_draws`. `draws` NULL
-- is 99, fewer where facts are many, 19 at least; never more than there are other facts.
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
own AS MATERIALIZED (
    SELECT
        definition, run, fact, language, layer, neuron,
        row_number() OVER (PARTITION BY definition, run, fact, language ORDER BY score DESC, layer, neuron) AS nth
    FROM knowledge_neuron_of(definitions)
),
ranked AS MATERIALIZED (
    SELECT ranked.*
    FROM ranked_neuron_of(definitions) AS ranked
    JOIN (
        SELECT definition, run, language, max(size) AS size FROM size GROUP BY definition, run, language
    ) AS largest
        ON largest.definition = ranked.definition AND largest.run = ranked.run
        AND largest.language = ranked.language AND ranked.nth <= largest.size
),
-- What each partner lends; where its stored scores end, fewer neurons than the fact has.
loan AS MATERIALIZED (
    SELECT
        size.definition, size.run, size.fact, size.language, partner.draw, partner.partner, size.size,
        least(size.size, coalesce(stored.size, 0)) AS lent
    FROM size
    JOIN partner ON partner.run = size.run AND partner.fact = size.fact AND partner.language = size.language
    LEFT JOIN (
        SELECT definition, run, fact, language, count(*) AS size FROM ranked GROUP BY definition, run, fact, language
    ) AS stored
        ON stored.definition = size.definition AND stored.run = size.run AND stored.fact = partner.partner
        AND stored.language = size.language
),
lent AS (
    SELECT loan.definition, loan.run, loan.fact, loan.language, loan.draw, ranked.layer, ranked.neuron
    FROM loan
    JOIN ranked
        ON ranked.definition = loan.definition AND ranked.run = loan.run AND ranked.fact = loan.partner
        AND ranked.language = loan.language AND ranked.nth <= loan.lent
    UNION ALL
    SELECT definition, run, fact, language, 0 AS draw, layer, neuron FROM own
    UNION ALL
    -- The fact's own neurons that a draw leaves out: by a negative number, as they are of its own sets.
    SELECT loan.definition, loan.run, loan.fact, loan.language, -loan.draw AS draw, own.layer, own.neuron
    FROM loan
    JOIN own
        ON own.definition = loan.definition AND own.run = loan.run AND own.fact = loan.fact
        AND own.language = loan.language AND own.nth > loan.lent
    WHERE loan.lent < loan.size
),
short AS (
    SELECT DISTINCT pair.definition, pair.run, pair.language_a, pair.language_b, loan.draw
    FROM pair
    JOIN loan
        ON loan.definition = pair.definition AND loan.run = pair.run AND loan.fact = pair.fact
        AND loan.language = pair.language_b
    WHERE loan.lent < loan.size
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
        sum(coalesce(counted.n, 0)) / (any_value(asked.facts) * count(*)) AS in_exchanged_facts,
        (1 + count(*) FILTER (coalesce(counted.n, 0) >= coalesce(seen.n, 0) - coalesce(cut.n, 0))) / (1 + count(*))
            AS p_exchange,
        count(*) AS n_draws, count(short.draw) AS short_draws
    FROM (
        SELECT definition, run, language_a, language_b, count(*) AS facts
        FROM pair
        GROUP BY definition, run, language_a, language_b
    ) AS asked
    CROSS JOIN step
    LEFT JOIN counted
        ON counted.definition = asked.definition AND counted.run = asked.run AND counted.draw = step.draw
        AND counted.language_a = asked.language_a AND counted.language_b = asked.language_b
    LEFT JOIN counted AS cut
        ON cut.definition = asked.definition AND cut.run = asked.run AND cut.draw = -step.draw
        AND cut.language_a = asked.language_a AND cut.language_b = asked.language_b
    LEFT JOIN counted AS seen
        ON seen.definition = asked.definition AND seen.run = asked.run AND seen.draw = 0
        AND seen.language_a = asked.language_a AND seen.language_b = asked.language_b
    LEFT JOIN short
        ON short.definition = asked.definition AND short.run = asked.run AND short.draw = step.draw
        AND short.language_a = asked.language_a AND short.language_b = asked.language_b
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
    definition, run, language_a, language_b, in_exchanged_facts, p_exchange, n_draws, short_draws,
    least(1.0, min(scaled) OVER (
        PARTITION BY definition, run ORDER BY p_exchange DESC RANGE UNBOUNDED PRECEDING
    )) AS q
FROM ordered;

CREATE OR REPLACE MACRO language_overlap_of(definitions, draws) AS TABLE
WITH size AS MATERIALIZED (FROM set_size_of(definitions)),
own_neuron AS MATERIALIZED (FROM knowledge_neuron_of(definitions)),
even AS MATERIALIZED (FROM even_neuron_of(definitions, false)),
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
    SELECT
        a.definition, a.run, a.fact, a.language AS language_a, b.language AS language_b,
        count(*) FILTER (b.control = 'none') AS n,
        count(*) FILTER (b.control = 'same relation' AND NOT b.own) AS same,
        count(*) FILTER (b.control = 'same relation' AND b.own) AS own_same,
        count(*) FILTER (b.control = 'other relations' AND NOT b.own) AS other,
        count(*) FILTER (b.control = 'other relations' AND b.own) AS own_other
    FROM own_neuron AS a
    JOIN (
        SELECT definition, run, fact, language, 'none' AS control, layer, neuron, true AS own
        FROM own_neuron
        UNION ALL
        FROM even
    ) AS b
        ON b.definition = a.definition AND b.run = a.run AND b.fact = a.fact AND b.language > a.language
        AND b.layer = a.layer AND b.neuron = a.neuron
    GROUP BY a.definition, a.run, a.fact, a.language, b.language
),
-- How many neurons a fact has in the later language, and how many its partners lend: NULL without a partner.
loan AS (
    SELECT
        size.definition, size.run, size.fact, size.language,
        any_value(size.size - coalesce(lent.n, 0)) FILTER (partner.control = 'same relation') AS same,
        any_value(size.size - coalesce(lent.n, 0)) FILTER (partner.control = 'other relations') AS other
    FROM size
    JOIN partner_of(false) AS partner
        ON partner.run = size.run AND partner.fact = size.fact AND partner.language = size.language
    LEFT JOIN (
        SELECT definition, run, fact, language, control, count(*) AS n
        FROM even
        WHERE NOT own
        GROUP BY definition, run, fact, language, control
    ) AS lent
        ON lent.definition = size.definition AND lent.run = size.run AND lent.fact = size.fact
        AND lent.language = size.language AND lent.control = partner.control
    GROUP BY size.definition, size.run, size.fact, size.language
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
        CASE WHEN loan.same IS NOT NULL THEN coalesce(own.same, 0) END AS same_relation,
        CASE WHEN loan.other IS NOT NULL THEN coalesce(own.other, 0) END AS other_relations,
        CASE WHEN loan.same IS NOT NULL THEN coalesce(own.own_same, 0) END AS same_relation_own,
        CASE WHEN loan.other IS NOT NULL THEN coalesce(own.own_other, 0) END AS other_relations_own,
        loan.same AS same_relation_short, loan.other AS other_relations_short
    FROM both_languages
    LEFT JOIN common AS own
        ON own.definition = both_languages.definition AND own.run = both_languages.run
        AND own.fact = both_languages.fact AND own.language_a = both_languages.language_a
        AND own.language_b = both_languages.language_b
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
    LEFT JOIN loan
        ON loan.definition = both_languages.definition AND loan.run = both_languages.run
        AND loan.fact = both_languages.fact AND loan.language = both_languages.language_b
)
SELECT
    found.*, exchanged.in_exchanged_facts, exchanged.p_exchange, exchanged.q, exchanged.n_draws, exchanged.short_draws
FROM (
    SELECT
        definition, run, language_a, language_b,
        count(*)::INTEGER AS facts,
        avg(overlap) AS overlap,
        avg(overlap / (size_a + size_b - overlap))::FLOAT AS jaccard,
        avg(expected)::FLOAT AS expected,
        avg(same_relation) AS same_relation,
        avg(other_relations) AS other_relations,
        avg(same_relation_own) AS same_relation_own,
        avg(other_relations_own) AS other_relations_own,
        sum(same_relation_short) AS same_relation_short,
        sum(other_relations_short) AS other_relations_short,
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
    found.same_relation, found.other_relations, found.same_relation_own, found.other_relations_own,
    found.same_relation_short, found.other_relations_short, found.twin_overlap, found.in_exchanged_facts,
    found.p_exchange, found.q, found.n_draws, found.short_draws, run_name.model, run_name.method,
    found.definition, found.run
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
