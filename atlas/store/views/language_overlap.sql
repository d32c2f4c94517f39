-- The exchange null of the mean overlap (METHOD 3b): in every draw each fact's set in the later language is that of
-- another fact of its relation, its best neurons, equally many, the next one round the ring in every draw. Where another
-- fact has fewer stored neurons, the fact's own set is cut to as many, and the draw counted in `short_draws`. `draws` NULL
-- is 99, fewer where a run's facts are many, 19 at least; never more than the run has other facts.
CREATE OR REPLACE MACRO overlap_exchange_from(best, size, draws) AS TABLE
WITH budget AS (
    SELECT
        run, least(coalesce(draws, greatest(19, least(99, 60000 // held.number))), held.most - 1)::BIGINT AS n_draws
    FROM (SELECT run, count(DISTINCT fact) AS number, max(facts) AS most FROM fact_order GROUP BY run) AS held
),
step AS (SELECT run, unnest(range(1, 1 + n_draws)) AS draw FROM budget),
tongue AS (SELECT language, row_number() OVER (ORDER BY language) AS tongue FROM language),
-- A fact in a language, by number; `size` is NULL where it does not count there, and so can only lend.
cell AS MATERIALIZED (
    SELECT
        every.definition, every.run, place.fact, tongue.tongue, own.size, place.relation, place.nth, place.facts,
        row_number() OVER () AS cell, dense_rank() OVER (ORDER BY every.definition, every.run, place.fact) AS number,
        dense_rank() OVER (ORDER BY every.definition, every.run, place.relation) AS ring,
        dense_rank() OVER (ORDER BY every.definition, every.run) AS world
    FROM (SELECT DISTINCT definition, run FROM query_table(size)) AS every
    JOIN fact_order AS place ON place.run = every.run
    JOIN tongue ON tongue.language = place.language
    LEFT JOIN query_table(size) AS own
        ON own.definition = every.definition AND own.run = every.run AND own.fact = place.fact
        AND own.language = place.language
),
world AS (SELECT DISTINCT world, definition, run FROM cell),
pair AS (
    SELECT a.number, a.world, a.tongue AS tongue_a, b.tongue AS tongue_b, b.cell
    FROM cell AS a
    JOIN cell AS b ON b.number = a.number AND b.tongue > a.tongue
    WHERE a.size + b.size > 0 AND b.facts > 1
),
neuron AS MATERIALIZED (
    SELECT cell.cell, cell.number, cell.ring, cell.tongue, neuron_code(own.layer, own.neuron) AS code, own.nth, own.in_set
    FROM query_table(best) AS own
    JOIN tongue ON tongue.language = own.language
    JOIN cell
        ON cell.definition = own.definition AND cell.run = own.run AND cell.fact = own.fact
        AND cell.tongue = tongue.tongue
),
-- The languages of each of a fact's neurons; sets of languages are few, so they go by number.
holder AS MATERIALIZED (
    SELECT (number << 40) + code AS key, list_sort(list(tongue)) AS tongues
    FROM neuron
    WHERE in_set
    GROUP BY key
),
spoken AS MATERIALIZED (
    SELECT tongues, row_number() OVER () AS combination FROM (SELECT DISTINCT tongues FROM holder)
),
held AS MATERIALIZED (
    SELECT holder.key, spoken.combination FROM holder JOIN spoken ON spoken.tongues = holder.tongues
),
-- What each partner lends; where its stored scores end, fewer neurons than the fact has.
loan AS MATERIALIZED (
    SELECT
        own.cell, own.number, own.world, own.tongue, step.draw, other.cell AS partner, own.size,
        least(own.size, coalesce(stored.size, 0)) AS lent
    FROM cell AS own
    JOIN step ON step.run = own.run
    JOIN cell AS other
        ON other.ring = own.ring AND other.tongue = own.tongue
        AND other.nth = (own.nth + ring_step(step.draw, own.facts)) % own.facts
    LEFT JOIN (SELECT cell, count(*) AS size FROM neuron GROUP BY cell) AS stored ON stored.cell = other.cell
    WHERE own.size IS NOT NULL
),
-- Of a partner's neurons those alone matter that a fact of its relation has.
lender AS (
    SELECT neuron.cell, neuron.code, neuron.nth
    FROM neuron SEMI JOIN (FROM neuron WHERE in_set) AS own ON own.ring = neuron.ring AND own.code = neuron.code
),
lent AS (
    SELECT loan.world, loan.tongue, loan.draw, (loan.number << 40) + lender.code AS key
    FROM loan JOIN lender ON lender.cell = loan.partner AND lender.nth <= loan.lent
    UNION ALL
    SELECT cell.world, cell.tongue, 0 AS draw, (cell.number << 40) + own.code AS key
    FROM neuron AS own JOIN cell ON cell.cell = own.cell
    WHERE own.in_set AND cell.facts > 1
    UNION ALL
    -- The fact's own neurons that a draw leaves out: by a negative number, as they are of its own sets.
    SELECT loan.world, loan.tongue, -loan.draw AS draw, (loan.number << 40) + own.code AS key
    FROM loan JOIN neuron AS own ON own.cell = loan.cell AND own.in_set AND own.nth > loan.lent
    WHERE loan.lent < loan.size
),
short AS (
    SELECT DISTINCT pair.world, pair.tongue_a, pair.tongue_b, loan.draw
    FROM pair JOIN loan ON loan.cell = pair.cell
    WHERE loan.lent < loan.size
),
counted AS (
    SELECT each.world, each.tongue_a, each.tongue_b, each.draw, sum(each.n) AS n
    FROM (
        SELECT met.world, unnest(spoken.tongues) AS tongue_a, met.tongue AS tongue_b, met.draw, met.n
        FROM (
            SELECT lent.world, lent.tongue, lent.draw, held.combination, count(*) AS n
            FROM lent JOIN held ON held.key = lent.key
            GROUP BY lent.world, lent.tongue, lent.draw, held.combination
        ) AS met
        JOIN spoken ON spoken.combination = met.combination
    ) AS each
    WHERE each.tongue_a < each.tongue_b
    GROUP BY each.world, each.tongue_a, each.tongue_b, each.draw
),
tested AS (
    SELECT
        asked.world, asked.tongue_a, asked.tongue_b,
        sum(coalesce(counted.n, 0)) / (any_value(asked.facts) * count(*)) AS in_exchanged_facts,
        sum(coalesce(seen.n, 0) - coalesce(cut.n, 0)) / (any_value(asked.facts) * count(*)) AS in_exchanged_facts_own,
        (1 + count(*) FILTER (coalesce(counted.n, 0) >= coalesce(seen.n, 0) - coalesce(cut.n, 0))) / (1 + count(*))
            AS p_exchange,
        count(*) AS n_draws, count(short.draw) AS short_draws
    FROM (
        SELECT world, tongue_a, tongue_b, count(*) AS facts FROM pair GROUP BY world, tongue_a, tongue_b
    ) AS asked
    JOIN world ON world.world = asked.world
    JOIN step ON step.run = world.run
    LEFT JOIN counted
        ON counted.world = asked.world AND counted.draw = step.draw
        AND counted.tongue_a = asked.tongue_a AND counted.tongue_b = asked.tongue_b
    LEFT JOIN counted AS cut
        ON cut.world = asked.world AND cut.draw = -step.draw
        AND cut.tongue_a = asked.tongue_a AND cut.tongue_b = asked.tongue_b
    LEFT JOIN counted AS seen
        ON seen.world = asked.world AND seen.draw = 0
        AND seen.tongue_a = asked.tongue_a AND seen.tongue_b = asked.tongue_b
    LEFT JOIN short
        ON short.world = asked.world AND short.draw = step.draw
        AND short.tongue_a = asked.tongue_a AND short.tongue_b = asked.tongue_b
    GROUP BY asked.world, asked.tongue_a, asked.tongue_b
),
ordered AS (
    SELECT
        *, p_exchange * count(*) OVER (PARTITION BY world)
        / count(*) OVER (PARTITION BY world ORDER BY p_exchange RANGE UNBOUNDED PRECEDING) AS scaled
    FROM tested
)
-- Benjamini and Hochberg, over the pairs of languages.
SELECT
    world.definition, world.run, a.language AS language_a, b.language AS language_b, o.in_exchanged_facts,
    o.in_exchanged_facts_own, o.p_exchange, o.n_draws, o.short_draws,
    least(1.0, min(o.scaled) OVER (
        PARTITION BY o.world ORDER BY o.p_exchange DESC RANGE UNBOUNDED PRECEDING
    )) AS q
FROM ordered AS o
JOIN world ON world.world = o.world
JOIN tongue AS a ON a.tongue = o.tongue_a
JOIN tongue AS b ON b.tongue = o.tongue_b;

-- How much two languages share (METHOD 3): over the facts with usable prompts in both and a knowledge neuron in either,
-- the mean number of common knowledge neurons and their share of the union (Jaccard), beside what random sets of the
-- same sizes would have in common and what the sets of different facts have (NULL where no different fact exists). Where a
-- different fact's stored scores end before its set is as large as the fact's, `..._own` has the overlap with the fact's
-- own set at the size that was lent, and `..._short` how many neurons were lacking, over all facts.
CREATE OR REPLACE MACRO language_overlap_of(definitions, draws) AS TABLE
WITH best_neuron AS MATERIALIZED (FROM ranked_neuron_of(definitions)),
size AS MATERIALIZED (FROM set_size_from('best_neuron', definitions)),
own_neuron AS MATERIALIZED (FROM best_neuron WHERE in_set),
even AS MATERIALIZED (FROM even_neuron_from('best_neuron', 'size', false)),
of_twins AS MATERIALIZED (SELECT twin_definitions(definitions) AS asked),
twin_neuron AS MATERIALIZED (FROM knowledge_neuron_of((SELECT asked FROM of_twins))),
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
-- The same of the run's untrained twins, those with usable prompts in both languages.
twins AS (
    SELECT twin.run, a.fact, a.language AS language_a, b.language AS language_b, count(*) AS number
    FROM twin
    JOIN fact_language AS a ON a.run = twin.twin AND a.usable > 0
    JOIN fact_language AS b ON b.run = a.run AND b.fact = a.fact AND b.language > a.language AND b.usable > 0
    GROUP BY twin.run, a.fact, a.language, b.language
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
fact_pair AS (
    SELECT
        both_languages.*, coalesce(own.n, 0) AS overlap,
        coalesce(twin_common.n, 0) / twins.number AS twin_overlap,
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
    LEFT JOIN twins
        ON twins.run = both_languages.run AND twins.fact = both_languages.fact
        AND twins.language_a = both_languages.language_a AND twins.language_b = both_languages.language_b
    LEFT JOIN twin_common
        ON twin_common.definition = both_languages.definition AND twin_common.run = both_languages.run
        AND twin_common.fact = both_languages.fact AND twin_common.language_a = both_languages.language_a
        AND twin_common.language_b = both_languages.language_b
    LEFT JOIN loan
        ON loan.definition = both_languages.definition AND loan.run = both_languages.run
        AND loan.fact = both_languages.fact AND loan.language = both_languages.language_b
)
SELECT
    found.*, exchanged.in_exchanged_facts, exchanged.in_exchanged_facts_own, exchanged.p_exchange, exchanged.q, exchanged.n_draws, exchanged.short_draws
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
        sum(same_relation_short)::INTEGER AS same_relation_short,
        sum(other_relations_short)::INTEGER AS other_relations_short,
        avg(twin_overlap) AS twin_overlap
    FROM fact_pair
    GROUP BY definition, run, language_a, language_b
) AS found
LEFT JOIN overlap_exchange_from('best_neuron', 'size', draws) AS exchanged
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
    found.in_exchanged_facts_own, found.p_exchange, found.q, found.n_draws, found.short_draws, run_name.model, run_name.method,
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
