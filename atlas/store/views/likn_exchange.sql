-- Whether both bits of one of some pairs are set.
CREATE OR REPLACE MACRO holds_pair(masks, bits) AS
len(list_filter(coalesce(masks, []), lambda mask: mask & bits = mask)) > 0;

-- The exchange null of a fact's LIKN (METHOD 3b): in each language the fact's set is that of another fact, its best
-- neurons, equally many, another fact in each language. Deterministic: where the ordered choices of facts are no more
-- than the draws asked for, each is made once; otherwise they come from a hash of the draw's number and the language's
-- place.
-- For every fact with several languages and either control: in how many draws at least as many neurons are common to
-- the languages asked for as in the fact's own sets. Where a partner has fewer stored neurons than the fact's set, the
-- draw is compared with the fact's own sets cut to the same sizes, and counted in `short_draws`.
-- With `apart` only neurons count whose languages share no spelling of the fact (METHOD 3b), in its own sets and in drawn
-- ones alike. Of one fact (`of_fact`; NULL is all), other facts of its relation alone are asked; it has no `q`, which is of
-- all facts.
CREATE OR REPLACE MACRO likn_exchange_from(best, definitions, draws, apart, of_fact := NULL) AS TABLE
-- A `trial` is a draw of a case, a fact under a control; the trial of number 0 has the fact's own sets. `turn` orders a
-- fact's languages, the smallest set first.
WITH place AS MATERIALIZED (
    SELECT
        *, dense_rank() OVER (ORDER BY definition, run, fact) AS fact_number,
        dense_rank() OVER (ORDER BY definition, run) AS world,
        dense_rank() OVER (ORDER BY definition, run, relation) AS ring,
        dense_rank() OVER (ORDER BY language) AS tongue
    FROM exchange_cell_of(definitions)
    WHERE of_fact IS NULL OR relation = (SELECT own.relation FROM fact AS own WHERE own.fact = of_fact)
),
neuron AS MATERIALIZED (
    SELECT place.cell, neuron_code(ranked.layer, ranked.neuron) AS code, ranked.nth, ranked.in_set
    FROM query_table(best) AS ranked
    JOIN place
        ON place.definition = ranked.definition AND place.run = ranked.run AND place.fact = ranked.fact
        AND place.language = ranked.language
),
cell AS MATERIALIZED (
    SELECT
        place.*, coalesce(sizes.size, 0) AS size, coalesce(sizes.available, 0) AS available,
        max(coalesce(sizes.size, 0)) OVER (PARTITION BY place.world, place.language) AS most,
        row_number() OVER (PARTITION BY place.fact_number ORDER BY coalesce(sizes.size, 0), place.language) AS turn
    FROM place
    LEFT JOIN (
        SELECT cell, count(*) FILTER (in_set) AS size, count(*) AS available FROM neuron GROUP BY cell
    ) AS sizes ON sizes.cell = place.cell
),
cases AS (
    SELECT
        2 * cell.fact_number + controls.other_relations::BIGINT AS number,
        cell.definition, cell.run, cell.world, cell.relation, cell.fact, cell.fact_number, controls.other_relations,
        any_value(cell.languages) AS languages,
        coalesce(any_value(chosen.d.min_languages), any_value(cell.languages)) AS asked_languages
    FROM cell
    JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = cell.definition
    CROSS JOIN (SELECT unnest([false, true]) AS other_relations) AS controls
    WHERE cell.languages > 1 AND (of_fact IS NULL OR cell.fact = of_fact AND NOT controls.other_relations)
    GROUP BY
        cell.definition, cell.run, cell.world, cell.relation, cell.fact, cell.fact_number, controls.other_relations
),
-- Neurons of too few languages cannot be common to enough of them.
spread AS MATERIALIZED (
    SELECT cell.world, cell.ring, cell.tongue, neuron.code
    FROM neuron JOIN cell ON cell.cell = neuron.cell
    GROUP BY cell.world, cell.ring, cell.tongue, neuron.code
),
fewest AS (SELECT world, min(asked_languages) AS languages FROM cases GROUP BY world),
near AS (
    SELECT spread.ring, spread.code
    FROM spread JOIN fewest ON fewest.world = spread.world
    GROUP BY spread.ring, spread.code
    HAVING count(*) >= any_value(fewest.languages)
),
far AS (
    SELECT spread.world, spread.code
    FROM spread JOIN fewest ON fewest.world = spread.world
    GROUP BY spread.world, spread.code
    HAVING count(DISTINCT spread.tongue) >= any_value(fewest.languages)
),
lender AS MATERIALIZED (
    SELECT neuron.cell, neuron.code, (neuron.cell << 40) + neuron.code AS key, neuron.nth, near.code IS NOT NULL AS near
    FROM neuron
    JOIN cell ON cell.cell = neuron.cell
    JOIN far ON far.world = cell.world AND far.code = neuron.code
    LEFT JOIN near ON near.ring = cell.ring AND near.code = neuron.code
),
offer AS MATERIALIZED (
    SELECT cell, false AS other_relations, list({code: code, nth: nth}) AS neurons FROM lender WHERE near GROUP BY cell
    UNION ALL
    SELECT cell, true AS other_relations, list({code: code, nth: nth}) AS neurons FROM lender GROUP BY cell
),
trial AS MATERIALIZED (
    SELECT
        cases.number, (cases.number << 32) + d.draw AS trial, d.other_relations, d.cell, d.partner, cell.size,
        cell.turn, cases.asked_languages, cases.languages,
        CASE WHEN cell.slot < 64 THEN 1::BIGINT << (cell.slot - 1) ELSE 0 END AS bit
    FROM (
        SELECT draw + 1 AS draw, cell, partner, other_relations FROM exchange_draw_of(definitions, draws, of_fact := of_fact)
        UNION ALL
        SELECT 0 AS draw, cell, cell AS partner, unnest([false, true]) AS other_relations FROM cell WHERE languages > 1
    ) AS d
    JOIN cell ON cell.cell = d.cell
    JOIN cases ON cases.fact_number = cell.fact_number AND cases.other_relations = d.other_relations
),
-- What is to be common to all languages is in the two smallest sets, so few neurons are looked for in the others.
first_set AS (
    SELECT lent.trial, lent.partner, lent.size, lent.code
    FROM (
        SELECT own.trial, second.partner, second.size, own.size AS own_size, unnest(offer.neurons, max_depth := 2)
        FROM trial AS own
        JOIN trial AS second ON second.trial = own.trial AND second.turn = 2
        JOIN offer ON offer.cell = own.partner AND offer.other_relations = own.other_relations
        WHERE own.turn = 1 AND own.asked_languages = own.languages
    ) AS lent
    WHERE lent.nth <= lent.own_size
),
first_two AS MATERIALIZED (
    SELECT first_set.trial, first_set.code
    FROM first_set
    JOIN lender ON lender.key = (first_set.partner << 40) + first_set.code AND lender.nth <= first_set.size
),
-- Joined from the left, and by one key of cell and neuron: in another order the steps are many times as large.
common AS (
    SELECT asked.trial, asked.code, -1::BIGINT AS bits
    FROM (
        SELECT trial.trial, first_two.code, trial.partner, trial.size
        FROM first_two JOIN trial ON trial.trial = first_two.trial
        WHERE trial.turn > 2
    ) AS asked
    LEFT JOIN lender ON lender.key = (asked.partner << 40) + asked.code AND lender.nth <= asked.size
    GROUP BY asked.trial, asked.code
    HAVING count(lender.key) = count(*)
    UNION ALL
    SELECT first_two.trial, first_two.code, -1::BIGINT AS bits
    FROM first_two JOIN cases ON cases.number = first_two.trial >> 32
    WHERE cases.languages = 2
    UNION ALL
    SELECT lent.trial, lent.code, bit_or(lent.bit) AS bits
    FROM (
        SELECT
            trial.trial, trial.asked_languages, trial.bit, trial.size, unnest(offer.neurons, max_depth := 2)
        FROM trial JOIN offer ON offer.cell = trial.partner AND offer.other_relations = trial.other_relations
        WHERE trial.asked_languages < trial.languages
    ) AS lent
    WHERE lent.nth <= lent.size
    GROUP BY lent.trial, lent.code
    HAVING count(*) >= any_value(lent.asked_languages)
),
-- Pairs of languages that share no spelling of the fact, as bits of their slots; NULL where no tokens are stored.
spelled AS (
    SELECT cell.fact_number, cell.slot, label.subject, label.object
    FROM cell
    JOIN run ON run.run = cell.run
    JOIN label_token AS label
        ON label.model = run.model AND label.fact = cell.fact AND label.language = cell.language
    WHERE apart AND cell.slot < 64
),
pairs AS (
    SELECT
        cases.number,
        list((1::BIGINT << (a.slot - 1)) | (1::BIGINT << (b.slot - 1))) FILTER (
            b.slot > a.slot AND NOT list_has_any(a.subject, b.subject) AND NOT list_has_any(a.object, b.object)
        ) AS masks
    FROM cases
    JOIN spelled AS a ON a.fact_number = cases.fact_number
    JOIN spelled AS b ON b.fact_number = cases.fact_number
    GROUP BY cases.number
),
found AS MATERIALIZED (
    SELECT passed.trial, count(*) AS found
    FROM common AS passed
    LEFT JOIN pairs ON pairs.number = passed.trial >> 32
    WHERE NOT apart OR holds_pair(pairs.masks, passed.bits)
    GROUP BY passed.trial
),
observed AS (SELECT trial >> 32 AS number, found AS observed FROM found WHERE trial & 4294967295 = 0),
-- The trials in which a partner has too few neurons, and what the fact's own sets of the same sizes have in common.
lean AS (SELECT cell, available FROM cell WHERE available < most),
short AS MATERIALIZED (
    SELECT DISTINCT trial.trial
    FROM trial JOIN lean ON lean.cell = trial.partner
    WHERE lean.available < trial.size
),
cut AS (
    SELECT passed.trial, count(*) AS own
    FROM (
        SELECT trial.trial, neuron.code, bit_or(trial.bit) AS bits
        FROM trial
        SEMI JOIN short ON short.trial = trial.trial
        LEFT JOIN lean ON lean.cell = trial.partner
        JOIN neuron
            ON neuron.cell = trial.cell AND neuron.nth <= least(trial.size, coalesce(lean.available, trial.size))
        GROUP BY trial.trial, neuron.code
        HAVING count(*) >= any_value(trial.asked_languages)
    ) AS passed
    LEFT JOIN pairs ON pairs.number = passed.trial >> 32
    WHERE NOT apart OR holds_pair(pairs.masks, passed.bits)
    GROUP BY passed.trial
),
drawn AS (
    SELECT
        number, count(*) AS n_draws, count(short) AS short_draws, avg(found) AS found, avg(own) AS own,
        count(*) FILTER (found >= own) AS hits
    FROM (
        SELECT
            each.number, short.trial AS short, coalesce(found.found, 0) AS found,
            CASE WHEN short.trial IS NULL THEN coalesce(observed.observed, 0) ELSE coalesce(cut.own, 0) END AS own
        FROM trial AS each
        LEFT JOIN observed ON observed.number = each.number
        LEFT JOIN found ON found.trial = each.trial
        LEFT JOIN short ON short.trial = each.trial
        LEFT JOIN cut ON cut.trial = each.trial
        WHERE each.turn = 1 AND each.trial & 4294967295 > 0
    )
    GROUP BY number
),
tested AS (
    SELECT
        cases.definition, cases.run, cases.relation, cases.fact,
        CASE WHEN cases.other_relations THEN 'other relations' ELSE 'same relation' END AS control,
        coalesce(observed.observed, 0)::INTEGER AS observed, drawn.found AS in_exchanged_facts,
        drawn.own AS in_exchanged_facts_own,
        coalesce(drawn.n_draws, 0)::INTEGER AS draws, coalesce(drawn.short_draws, 0)::INTEGER AS short_draws,
        CASE WHEN NOT apart OR pairs.number IS NOT NULL THEN (1 + drawn.hits) / (1 + drawn.n_draws) END AS p_exchange,
        CASE
            WHEN drawn.n_draws IS NULL THEN 'too few facts to exchange'
            WHEN apart AND pairs.number IS NULL THEN 'no tokens of its names are stored; build again'
        END AS reason
    FROM cases
    LEFT JOIN pairs ON pairs.number = cases.number
    LEFT JOIN drawn ON drawn.number = cases.number
    LEFT JOIN observed ON observed.number = cases.number
),
ordered AS (
    SELECT
        *, p_exchange * count(p_exchange) OVER same_test
        / nullif(count(p_exchange) OVER (
            PARTITION BY definition, run, control ORDER BY p_exchange RANGE UNBOUNDED PRECEDING
        ), 0) AS scaled
    FROM tested
    WINDOW same_test AS (PARTITION BY definition, run, control)
)
-- Benjamini and Hochberg: the smallest of the scaled values of this p and all larger ones.
SELECT
    definition, run, relation, fact, control, observed, in_exchanged_facts, in_exchanged_facts_own, ordered.draws,
    short_draws, p_exchange,
    CASE WHEN p_exchange IS NOT NULL AND of_fact IS NULL THEN least(1.0, min(scaled) OVER (
        PARTITION BY definition, run, control ORDER BY p_exchange DESC RANGE UNBOUNDED PRECEDING
    )) END AS q,
    reason
FROM ordered;

CREATE OR REPLACE MACRO likn_exchange_of(definitions, draws, apart, of_fact := NULL) AS TABLE
WITH best_neuron AS (FROM ranked_neuron_of(of_facts(definitions, relation_facts(of_fact))))
FROM likn_exchange_from('best_neuron', definitions, draws, apart, of_fact := of_fact);

CREATE OR REPLACE VIEW likn_exchange_all AS
FROM likn_exchange_of(every_definition(), NULL, false);

CREATE OR REPLACE VIEW likn_exchange AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.relation, found.control, found.observed,
    found.in_exchanged_facts, found.in_exchanged_facts_own, found.draws, found.short_draws, found.p_exchange, found.q,
    found.reason,
    run_name.model, run_name.method, found.definition, found.run, found.fact
FROM likn_exchange_of((SELECT asked FROM meant), NULL, false) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO likn_exchange_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, min_languages := NULL, normalization := 'none',
    least := NULL, known := false, draws := NULL, across_scripts := false, of_fact := NULL
) AS TABLE
FROM likn_exchange_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share,
    min_languages := min_languages, normalization := normalization, least := least, known := known
), draws, across_scripts, of_fact := of_fact);
