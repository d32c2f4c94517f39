-- The exchange null of a fact's LIKN (METHOD 3b): in each language the fact's set is that of another fact, its best
-- neurons, equally many, another fact in each language. Deterministic: where the ordered choices of facts are no more
-- than
-- the draws asked for, each is made once; otherwise they come from a hash of the draw's number and the language's
-- place.

-- The number of ordered choices of `languages` different facts among `others`.
CREATE OR REPLACE MACRO ordered_choices(others, languages) AS
coalesce(list_product(list_transform(range(languages), lambda place: greatest(others - place, 0)::DOUBLE)), 1);

-- The `draw`-th ordered choice: places from 0, one for each language.
CREATE OR REPLACE MACRO nth_choice(others, languages, draw, every_one) AS
list_reduce(
    list_prepend([]::BIGINT[], list_transform(range(languages), lambda place: [CASE
        WHEN every_one
        THEN (draw // ordered_choices(others, place)::BIGINT) % greatest(others - place, 1)
        ELSE (md5_number_lower(concat(draw, ':', place)) % greatest(others - place, 1))::BIGINT
    END])),
    lambda chosen, digit: list_append(chosen, list_reduce(
        list_prepend(digit[1], list_sort(chosen)),
        lambda place, taken: CASE WHEN place >= taken THEN place + 1 ELSE place END
    ))
);

-- Whether both bits of one of some pairs are set.
CREATE OR REPLACE MACRO holds_pair(masks, bits) AS
len(list_filter(coalesce(masks, []), lambda mask: mask & bits = mask)) > 0;

-- Every fact in every language where it counts, numbered so that relations and languages are stretches of `cell`.
CREATE OR REPLACE MACRO exchange_cell_of(definitions) AS TABLE
SELECT
    *,
    min(cell) OVER (PARTITION BY definition, run, language, relation) AS first,
    min(cell) OVER (PARTITION BY definition, run, language) AS first_of_all,
    cell - min(cell) OVER (PARTITION BY definition, run, language, relation) AS nth,
    count(*) OVER (PARTITION BY definition, run, language, relation) AS facts,
    count(*) OVER (PARTITION BY definition, run, language) AS every,
    max(size) OVER (PARTITION BY definition, run, language) AS most,
    count(*) OVER (PARTITION BY definition, run, fact) AS languages,
    row_number() OVER (PARTITION BY definition, run, fact ORDER BY language) AS slot
FROM (
    SELECT
        sizes.*, fact.relation,
        row_number() OVER (ORDER BY definition, run, language, relation, sizes.fact) - 1 AS cell
    FROM set_size_of(definitions) AS sizes JOIN fact ON fact.fact = sizes.fact
);

-- The draws: which cell takes a cell's place. `draws` NULL is 999, fewer where facts are many, 99 at least.
CREATE OR REPLACE MACRO exchange_draw_of(definitions, draws) AS TABLE
WITH cell AS MATERIALIZED (
    FROM exchange_cell_of(definitions)
),
budget AS (
    SELECT coalesce(draws, greatest(99, least(999, 300000 // greatest(facts.number, 1))))::BIGINT AS n_draws
    FROM (SELECT count(DISTINCT (cell.definition, cell.run, cell.fact)) AS number FROM cell) AS facts
),
ring AS (
    SELECT
        cell.*, controls.other_relations,
        min(CASE WHEN controls.other_relations THEN cell.every - cell.facts ELSE cell.facts - 1 END) OVER (
            PARTITION BY cell.definition, cell.run, cell.fact, controls.other_relations
        ) AS others
    FROM cell CROSS JOIN (SELECT unnest([false, true]) AS other_relations) AS controls
    WHERE cell.languages > 1
),
choice AS (
    SELECT
        shape.languages, shape.others, number.draw,
        nth_choice(shape.others, shape.languages, number.draw, shape.possible <= budget.n_draws) AS places
    FROM (SELECT DISTINCT languages, others, ordered_choices(others, languages) AS possible FROM ring) AS shape
    CROSS JOIN budget
    CROSS JOIN (SELECT unnest(range((SELECT budget.n_draws FROM budget))) AS draw) AS number
    WHERE number.draw < shape.possible
)
SELECT
    ring.definition, ring.run, ring.fact, ring.language, ring.other_relations, choice.draw, ring.cell, ring.size,
    ring.languages, ring.slot, CASE
        WHEN ring.other_relations THEN ring.first_of_all + (
            ring.first - ring.first_of_all + ring.facts
            + (ring.nth + choice.places[ring.slot]) % (ring.every - ring.facts)
        ) % ring.every
        ELSE ring.first + (ring.nth + 1 + choice.places[ring.slot]) % ring.facts
    END AS partner
FROM ring JOIN choice ON choice.languages = ring.languages AND choice.others = ring.others;

-- For every fact with several languages and either control: in how many draws at least as many neurons are common to
-- the
-- languages asked for as in the fact's own sets. Where a partner has fewer stored neurons than the fact's set, the draw
-- is
-- compared with the fact's own sets cut to the same sizes, and counted in `short_draws`.
-- With `apart` only neurons count whose languages share no spelling of the fact (METHOD 3b), in its own sets and in drawn
-- ones alike.
CREATE OR REPLACE MACRO likn_exchange_of(definitions, draws, apart) AS TABLE
WITH cell AS (
    FROM exchange_cell_of(definitions)
),
cases AS (
    SELECT
        row_number() OVER (ORDER BY cell.definition, cell.run, cell.fact, controls.other_relations) - 1 AS number,
        cell.definition, cell.run, cell.relation, cell.fact, controls.other_relations,
        coalesce(any_value(chosen.d.min_languages), any_value(cell.languages)) AS asked_languages
    FROM cell
    JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = cell.definition
    CROSS JOIN (SELECT unnest([false, true]) AS other_relations) AS controls
    WHERE cell.languages > 1
    GROUP BY cell.definition, cell.run, cell.relation, cell.fact, controls.other_relations
),
neuron AS (
    SELECT
        cell.cell, cell.definition, cell.run, cell.relation, cell.language, ranked.nth,
        (ranked.layer::BIGINT << 32) + ranked.neuron AS code
    FROM ranked_neuron_of(definitions) AS ranked
    JOIN cell
        ON cell.definition = ranked.definition AND cell.run = ranked.run AND cell.fact = ranked.fact
        AND cell.language = ranked.language AND ranked.nth <= cell.most
),
-- Neurons of too few languages cannot be common to enough of them.
fewest AS (
    SELECT definition, run, min(asked_languages) AS languages FROM cases GROUP BY definition, run
),
shared AS (
    SELECT neuron.definition, neuron.run, neuron.relation, neuron.code
    FROM neuron JOIN fewest ON fewest.definition = neuron.definition AND fewest.run = neuron.run
    GROUP BY GROUPING SETS (
        (neuron.definition, neuron.run, neuron.relation, neuron.code), (neuron.definition, neuron.run, neuron.code)
    )
    HAVING count(DISTINCT neuron.language) >= any_value(fewest.languages)
),
-- Pairs of languages that share no spelling of the fact, as bits of their slots; NULL where no tokens are stored.
spelled AS (
    SELECT cell.definition, cell.run, cell.fact, cell.slot, label.subject, label.object
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
    JOIN spelled AS a ON a.definition = cases.definition AND a.run = cases.run AND a.fact = cases.fact
    JOIN spelled AS b ON b.definition = cases.definition AND b.run = cases.run AND b.fact = cases.fact
    GROUP BY cases.number
),
available AS (SELECT cell, count(*) AS available FROM neuron GROUP BY cell),
trial AS (
    SELECT
        cases.number, d.draw, (cases.number << 32) + d.draw AS trial, d.other_relations, d.cell, d.partner,
        d.size::BIGINT AS size, cases.asked_languages, 1::BIGINT << (d.slot - 1) AS bit, d.slot,
        cases.asked_languages = d.languages AS everywhere,
        least(d.size, coalesce(available.available, 0))::BIGINT AS compared_size
    FROM exchange_draw_of(definitions, draws) AS d
    JOIN cases
        ON cases.definition = d.definition AND cases.run = d.run AND cases.fact = d.fact
        AND cases.other_relations = d.other_relations
    LEFT JOIN available ON available.cell = d.partner
),
near AS (
    SELECT neuron.cell, neuron.code, neuron.nth
    FROM neuron SEMI JOIN shared
        ON shared.definition = neuron.definition AND shared.run = neuron.run AND shared.relation = neuron.relation
        AND shared.code = neuron.code
),
far AS (
    SELECT neuron.cell, neuron.code, neuron.nth
    FROM neuron SEMI JOIN (FROM shared WHERE relation IS NULL) AS everywhere
        ON everywhere.definition = neuron.definition AND everywhere.run = neuron.run AND everywhere.code = neuron.code
),
lender AS (
    SELECT cell, code, nth, false AS other_relations FROM near
    UNION ALL
    SELECT cell, code, nth, true AS other_relations FROM far
),
-- What is to be common to all languages is in the sets of the first two, so few neurons are looked for in the others; the
-- steps are materialized, as joined in another order they are many times as large.
first_set AS MATERIALIZED (
    SELECT trial.trial, lender.code
    FROM trial
    JOIN lender
        ON lender.other_relations = trial.other_relations AND lender.cell = trial.partner
        AND lender.nth <= trial.size
    WHERE trial.everywhere AND trial.slot = 1
),
second_asked AS MATERIALIZED (
    SELECT first_set.code, trial.*
    FROM first_set
    JOIN (FROM trial WHERE trial.everywhere AND trial.slot = 2) AS trial ON trial.trial = first_set.trial
),
first_two AS MATERIALIZED (
    SELECT asked.trial, asked.code
    FROM second_asked AS asked
    JOIN lender
        ON lender.other_relations = asked.other_relations AND lender.cell = asked.partner
        AND lender.code = asked.code AND lender.nth <= asked.size
),
all_asked AS MATERIALIZED (
    SELECT first_two.code, trial.* FROM first_two JOIN trial ON trial.trial = first_two.trial
),
hit AS (
    SELECT asked.trial, asked.code, asked.asked_languages, asked.bit
    FROM all_asked AS asked
    JOIN lender
        ON lender.other_relations = asked.other_relations AND lender.cell = asked.partner
        AND lender.code = asked.code AND lender.nth <= asked.size
    UNION ALL
    SELECT trial.trial, lender.code, trial.asked_languages, trial.bit
    FROM trial
    JOIN lender
        ON lender.other_relations = trial.other_relations AND lender.cell = trial.partner
        AND lender.nth <= trial.size
    WHERE NOT trial.everywhere
),
found AS (
    SELECT passed.trial, count(*) AS found
    FROM (
        SELECT trial, code, bit_or(bit) AS bits
        FROM hit
        GROUP BY trial, code
        HAVING count(*) >= any_value(asked_languages)
    ) AS passed
    LEFT JOIN pairs ON pairs.number = passed.trial >> 32
    WHERE NOT apart OR holds_pair(pairs.masks, passed.bits)
    GROUP BY passed.trial
),
cut AS (
    SELECT passed.trial, count(*) AS own
    FROM (
        SELECT trial.trial, neuron.code, bit_or(trial.bit) AS bits
        FROM trial
        SEMI JOIN (SELECT DISTINCT trial FROM trial WHERE compared_size < size) AS short ON short.trial = trial.trial
        JOIN neuron ON neuron.cell = trial.cell AND neuron.nth <= trial.compared_size
        GROUP BY trial.trial, neuron.code
        HAVING count(*) >= any_value(trial.asked_languages)
    ) AS passed
    LEFT JOIN pairs ON pairs.number = passed.trial >> 32
    WHERE NOT apart OR holds_pair(pairs.masks, passed.bits)
    GROUP BY passed.trial
),
observed AS (
    SELECT definition, run, fact, count(*) AS observed
    FROM likn_spelled_of(definitions) AS likn
    WHERE NOT apart OR likn.across_scripts
    GROUP BY definition, run, fact
),
drawn AS (
    SELECT
        each.number, count(*) AS n_draws, count(*) FILTER (each.short) AS short_draws,
        avg(coalesce(found.found, 0)) AS found,
        count(*) FILTER (
            coalesce(found.found, 0)
            >= CASE WHEN each.short THEN coalesce(cut.own, 0) ELSE coalesce(observed.observed, 0) END
        ) AS hits
    FROM (
        SELECT number, trial, bool_or(compared_size < size) AS short FROM trial GROUP BY number, trial
    ) AS each
    JOIN cases ON cases.number = each.number
    LEFT JOIN observed
        ON observed.definition = cases.definition AND observed.run = cases.run AND observed.fact = cases.fact
    LEFT JOIN found ON found.trial = each.trial
    LEFT JOIN cut ON cut.trial = each.trial
    GROUP BY each.number
),
tested AS (
    SELECT
        cases.definition, cases.run, cases.relation, cases.fact,
        CASE WHEN cases.other_relations THEN 'other relations' ELSE 'same relation' END AS control,
        coalesce(observed.observed, 0)::INTEGER AS observed, drawn.found AS in_exchanged_facts,
        coalesce(drawn.n_draws, 0)::INTEGER AS draws, coalesce(drawn.short_draws, 0)::INTEGER AS short_draws,
        CASE WHEN NOT apart OR pairs.number IS NOT NULL THEN (1 + drawn.hits) / (1 + drawn.n_draws) END AS p_exchange,
        CASE
            WHEN drawn.n_draws IS NULL THEN 'too few facts to exchange'
            WHEN apart AND pairs.number IS NULL THEN 'no tokens of its names are stored; build again'
        END AS reason
    FROM cases
    LEFT JOIN pairs ON pairs.number = cases.number
    LEFT JOIN drawn ON drawn.number = cases.number
    LEFT JOIN observed
        ON observed.definition = cases.definition AND observed.run = cases.run AND observed.fact = cases.fact
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
    definition, run, relation, fact, control, observed, in_exchanged_facts, ordered.draws, short_draws, p_exchange,
    CASE WHEN p_exchange IS NOT NULL THEN least(1.0, min(scaled) OVER (
        PARTITION BY definition, run, control ORDER BY p_exchange DESC RANGE UNBOUNDED PRECEDING
    )) END AS q,
    reason
FROM ordered;

CREATE OR REPLACE VIEW likn_exchange_all AS
FROM likn_exchange_of(every_definition(), NULL, false);

CREATE OR REPLACE VIEW likn_exchange AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.relation, found.control, found.observed,
    found.in_exchanged_facts, found.draws, found.short_draws, found.p_exchange, found.q, found.reason,
    run_name.model, run_name.method, found.definition, found.run, found.fact
FROM likn_exchange_of((SELECT asked FROM meant), NULL, false) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO likn_exchange_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, min_languages := NULL, normalization := 'none',
    least := NULL, known := false, draws := NULL, across_scripts := false
) AS TABLE
FROM likn_exchange_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share,
    min_languages := min_languages, normalization := normalization, least := least, known := known
), draws, across_scripts);
