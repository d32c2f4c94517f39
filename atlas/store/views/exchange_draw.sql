-- Which other facts take a fact's place in the draws of the exchange null (METHOD 3b).

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

-- Every fact in every language where it counts, numbered so that relations and languages are stretches of `cell`.
CREATE OR REPLACE MACRO exchange_cell_of(definitions) AS TABLE
SELECT
    *,
    min(cell) OVER (PARTITION BY definition, run, language, relation) AS first,
    min(cell) OVER (PARTITION BY definition, run, language) AS first_of_all,
    cell - min(cell) OVER (PARTITION BY definition, run, language, relation) AS nth,
    count(*) OVER (PARTITION BY definition, run, language, relation) AS facts,
    count(*) OVER (PARTITION BY definition, run, language) AS every,
    count(*) OVER (PARTITION BY definition, run, fact) AS languages,
    row_number() OVER (PARTITION BY definition, run, fact ORDER BY language) AS slot
FROM (
    SELECT
        counted.definition, counted.run, counted.fact, counted.language, fact.relation,
        row_number() OVER (ORDER BY definition, run, language, relation, counted.fact) - 1 AS cell
    FROM counted_language_of(definitions) AS counted JOIN fact ON fact.fact = counted.fact
);

-- The draws: which cell takes a cell's place. `draws` NULL is 999, fewer where a run's facts are many, 99 at least: as many
-- whatever else is asked for, so that a run has one p. Of one fact, as many, but with others of its relation alone.
CREATE OR REPLACE MACRO exchange_draw_of(definitions, draws, of_fact := NULL) AS TABLE
WITH cell AS MATERIALIZED (
    FROM exchange_cell_of(definitions)
),
budget AS (
    SELECT definition, run, uneven, coalesce(draws, greatest(99, least(999, 300000 // held.number)))::BIGINT AS n_draws
    FROM (
        SELECT definition, run, count(DISTINCT fact) AS number, min(languages) < count(DISTINCT language) AS uneven
        FROM cell
        GROUP BY definition, run
    ) AS held
),
ring AS (
    SELECT
        cell.*, controls.other_relations, budget.n_draws, budget.uneven,
        min(CASE WHEN controls.other_relations THEN cell.every - cell.facts ELSE cell.facts - 1 END) OVER (
            PARTITION BY cell.definition, cell.run, cell.fact, controls.other_relations
        ) AS others
    FROM cell
    JOIN budget ON budget.definition = cell.definition AND budget.run = cell.run
    CROSS JOIN (SELECT unnest([false, true]) AS other_relations) AS controls
    WHERE cell.languages > 1 AND (of_fact IS NULL OR cell.fact = of_fact AND NOT controls.other_relations)
),
choice AS (
    SELECT
        shape.languages, shape.others, shape.n_draws, number.draw,
        nth_choice(shape.others, shape.languages, number.draw, shape.possible <= shape.n_draws) AS places
    FROM (
        SELECT DISTINCT languages, others, n_draws, ordered_choices(others, languages) AS possible FROM ring
    ) AS shape
    JOIN (SELECT unnest(range((SELECT max(n_draws) FROM budget))) AS draw) AS number
        ON number.draw < shape.n_draws AND number.draw < shape.possible
),
drawn AS NOT MATERIALIZED (
    SELECT
        ring.definition, ring.run, ring.fact, ring.language, ring.other_relations, choice.draw, ring.cell,
        ring.languages, ring.slot, ring.uneven, CASE
            WHEN ring.other_relations THEN ring.first_of_all + (
                ring.first - ring.first_of_all + ring.facts
                + (ring.nth + choice.places[ring.slot]) % (ring.every - ring.facts)
            ) % ring.every
            ELSE ring.first + (ring.nth + 1 + choice.places[ring.slot]) % ring.facts
        END AS partner
    FROM ring
    JOIN choice
        ON choice.languages = ring.languages AND choice.others = ring.others AND choice.n_draws = ring.n_draws
),
-- Where some facts lack a language, different places in two languages may be one fact's.
twice AS (
    SELECT drawn.definition, drawn.run, drawn.fact, drawn.other_relations, drawn.draw
    FROM drawn JOIN cell AS partner ON partner.cell = drawn.partner
    WHERE drawn.uneven
    GROUP BY ALL
    HAVING count(DISTINCT partner.fact) < count(*)
)
SELECT * EXCLUDE (uneven) FROM drawn WHERE NOT uneven
UNION ALL
SELECT * EXCLUDE (uneven)
FROM drawn ANTI JOIN twice USING (definition, run, fact, other_relations, draw)
WHERE uneven;
