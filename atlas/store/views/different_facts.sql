-- Which other fact takes a fact's place in a language when languages of different facts are compared (METHOD 3).

-- Facts with usable prompts, numbered from 0 in each language within their relation; `slot` numbers their languages.
CREATE OR REPLACE VIEW fact_order AS
SELECT *, max(nth_relation) OVER (PARTITION BY run, language) + 1 AS relations
FROM (
    SELECT
        fact_language.run, fact_language.fact, fact_language.language, fact.relation,
        row_number() OVER (PARTITION BY run, fact_language.fact ORDER BY language) - 1 AS slot,
        row_number() OVER (PARTITION BY run, language, relation ORDER BY fact_language.fact) - 1 AS nth,
        count(*) OVER (PARTITION BY run, language, relation) AS facts,
        dense_rank() OVER (PARTITION BY run, language ORDER BY relation) - 1 AS nth_relation
    FROM fact_language JOIN fact USING (fact)
    WHERE usable > 0
);

-- Steps round a ring of `size`, never a whole turn: 0 for the first slot, NULL where there is no one else.
CREATE OR REPLACE MACRO ring_step(slot, size) AS
CASE WHEN slot = 0 THEN 0 ELSE 1 + (slot - 1) % nullif(size - 1, 0) END;

-- The partner of each fact and language: `by_slot` moves each language on by its slot (the first stays), otherwise
-- every language by one. Of the same relation, and at the same place of another relation.
CREATE OR REPLACE MACRO partner_of(by_slot) AS TABLE
WITH moved AS (SELECT *, CASE WHEN by_slot THEN slot ELSE 1 END AS moves FROM fact_order)
SELECT own.run, own.fact, own.language, 'same relation' AS control, other.fact AS partner
FROM moved AS own JOIN fact_order AS other
    ON other.run = own.run AND other.language = own.language AND other.relation = own.relation
    AND other.nth = (own.nth + ring_step(own.moves, own.facts)) % own.facts
UNION ALL
SELECT own.run, own.fact, own.language, 'other relations' AS control, other.fact AS partner
FROM moved AS own JOIN fact_order AS other
    ON other.run = own.run AND other.language = own.language
    AND other.nth_relation = (own.nth_relation + ring_step(own.moves, own.relations)) % own.relations
    AND other.nth = own.nth % other.facts;

-- The facts of one fact's relation, which its numbers are of; NULL, which is all, where none is named.
CREATE OR REPLACE MACRO relation_facts(of_fact) AS CASE WHEN of_fact IS NOT NULL THEN (
    SELECT coalesce(list(other.fact), [of_fact])
    FROM fact AS own JOIN fact AS other ON other.relation = own.relation
    WHERE own.fact = of_fact
) END;

-- Those that take its place in one draw; NULL, which is all, where none is named.
CREATE OR REPLACE MACRO partner_facts(of_fact) AS CASE WHEN of_fact IS NOT NULL THEN (
    SELECT list_append(coalesce(list(DISTINCT taking.partner), []), of_fact)
    FROM partner_of(true) AS taking
    WHERE taking.fact = of_fact
) END;

-- Layer and neuron as one number, which sorts as they do.
CREATE OR REPLACE MACRO neuron_code(layer, neuron) AS (layer::BIGINT << 28) + neuron;

-- The best neurons of every fact in every language, as many as the largest set of that language has, or all with a stored
-- positive score: knowledge neurons (`in_set`) by their score, then the others by their score's mean over the fact's usable
-- prompts. What a set is filled from when more neurons are asked for than it has.
CREATE OR REPLACE MACRO ranked_neuron_from(known_neurons, definitions) AS TABLE
-- A `cell` is a fact in a language of a run under a definition. Of the neurons that fill a cell's set only those are sorted
-- that reach a score which enough of them have: the lowest of some steps, four to a doubling, counted from above. The n
-- largest of each cell as an aggregate would need room for n in every part of the scores.
WITH probed AS MATERIALIZED (
    SELECT
        chosen.d.definition AS definition, probe.run, prompt.fact, prompt.language, probe.place,
        dense_rank() OVER (ORDER BY chosen.d.definition, probe.run, prompt.fact, prompt.language) AS cell
    FROM probe
    JOIN prompt ON prompt.prompt = probe.prompt
    JOIN asked_fact_of(definitions) AS meant ON meant.fact = prompt.fact
    JOIN asked_run_of(definitions) AS chosen ON chosen.run = probe.run AND chosen.d.definition = meant.definition
    WHERE usable(probe.status)
),
named AS MATERIALIZED (SELECT DISTINCT cell, definition, run, fact, language FROM probed),
member AS MATERIALIZED (
    SELECT named.cell, neuron_code(found.layer, found.neuron) AS code, found.score
    FROM query_table(known_neurons) AS found
    JOIN named
        ON named.definition = found.definition AND named.run = found.run AND named.fact = found.fact
        AND named.language = found.language
),
asked AS MATERIALIZED (
    SELECT
        named.*, coalesce(sizes.size, 0) AS size,
        max(sizes.size) OVER (PARTITION BY named.definition, named.run, named.language) AS most
    FROM named
    LEFT JOIN (SELECT cell, count(*) AS size FROM member GROUP BY cell) AS sizes ON sizes.cell = named.cell
),
stored AS MATERIALIZED (
    SELECT (probed.cell << 40) + neuron_code(a.layer, a.neuron) AS key, sum(a.score) AS score
    FROM attribution AS a
    JOIN probed ON probed.place = a.place
    SEMI JOIN (FROM asked WHERE size < most) AS lacking ON lacking.cell = probed.cell
    WHERE a.score > 0
    GROUP BY key
),
step AS (
    SELECT key >> 40 AS cell, floor(4 * log2(score)) AS step, count(*) AS neurons, min(score) AS lowest
    FROM stored
    GROUP BY cell, step
),
needed AS (
    SELECT asked.cell, coalesce(max(step.lowest) FILTER (step.reaching >= asked.most), 0) AS lowest
    FROM (SELECT *, sum(neurons) OVER (PARTITION BY cell ORDER BY step DESC) AS reaching FROM step) AS step
    JOIN asked ON asked.cell = step.cell
    GROUP BY asked.cell
),
fill AS MATERIALIZED (
    SELECT needed.cell, stored.key & 1099511627775 AS code, stored.score
    FROM stored JOIN needed ON needed.cell = stored.key >> 40 AND stored.score >= needed.lowest
),
best AS (
    SELECT cell, code, true AS in_set, score::DOUBLE AS score FROM member
    UNION ALL
    SELECT fill.cell, fill.code, false AS in_set, fill.score
    FROM fill ANTI JOIN member ON member.cell = fill.cell AND member.code = fill.code
),
ordered AS (
    SELECT *, row_number() OVER (PARTITION BY cell ORDER BY in_set DESC, score DESC, code) AS nth FROM best
)
SELECT
    asked.definition, asked.run, asked.fact, asked.language, (ordered.code >> 28)::USMALLINT AS layer,
    (ordered.code & 268435455)::UINTEGER AS neuron, ordered.in_set, ordered.nth
FROM ordered JOIN asked ON asked.cell = ordered.cell AND ordered.nth <= asked.most;

CREATE OR REPLACE MACRO ranked_neuron_of(definitions) AS TABLE
WITH known_neuron AS (FROM knowledge_neuron_of(definitions))
FROM ranked_neuron_from('known_neuron', definitions);

-- The macros that end in `_from` take the names of what a query has gathered already, as `ranked_neuron_of` and
-- `set_size_from` give it, so that one that asks several things of the same neurons reads the scores once. The size of
-- every fact's knowledge neuron set in each of its languages that count, empty ones too:
CREATE OR REPLACE MACRO set_size_from(ranked, definitions) AS TABLE
SELECT l.definition, l.run, l.fact, l.language, coalesce(sizes.size, 0)::INTEGER AS size
FROM counted_language_of(definitions) AS l
LEFT JOIN (
    SELECT definition, run, fact, language, count(*) AS size
    FROM query_table(ranked)
    WHERE in_set
    GROUP BY definition, run, fact, language
) AS sizes
    ON sizes.definition = l.definition AND sizes.run = l.run
    AND sizes.fact = l.fact AND sizes.language = l.language;

-- The facts that have a partner in every language that counts, by control, and how many neurons they have in all: a control
-- of fewer languages is none.
CREATE OR REPLACE MACRO partnered_from(size) AS TABLE
SELECT own.definition, own.run, own.fact, partner.control, sum(own.size) AS size
FROM (SELECT *, count(*) OVER (PARTITION BY definition, run, fact) AS n_languages FROM query_table(size)) AS own
JOIN partner_of(true) AS partner
    ON partner.run = own.run AND partner.fact = own.fact AND partner.language = own.language
GROUP BY own.definition, own.run, own.fact, partner.control
HAVING count(*) = any_value(own.n_languages);

-- The partner's highest-scoring neurons in that language, as many as the fact itself has, or all that are stored.
CREATE OR REPLACE MACRO borrowed_neuron_from(ranked, size, by_slot) AS TABLE
SELECT own.definition, own.run, own.fact, own.language, partner.control, borrowed.layer, borrowed.neuron
FROM query_table(size) AS own
JOIN partner_of(by_slot) AS partner
    ON partner.run = own.run AND partner.fact = own.fact AND partner.language = own.language
JOIN query_table(ranked) AS borrowed
    ON borrowed.definition = own.definition AND borrowed.run = own.run AND borrowed.fact = partner.partner
    AND borrowed.language = own.language AND borrowed.nth <= own.size;

-- Both sides of a comparison with different facts, at the same sizes (METHOD 3): what each partner lends, and as `own` the
-- fact's knowledge neurons in that language, its best where its partner has fewer stored scores than it has neurons.
CREATE OR REPLACE MACRO even_neuron_from(ranked, size, by_slot) AS TABLE
WITH lent AS MATERIALIZED (FROM borrowed_neuron_from(ranked, size, by_slot))
SELECT *, false AS own FROM lent
UNION ALL
SELECT best.definition, best.run, best.fact, best.language, given.control, best.layer, best.neuron, true AS own
FROM query_table(ranked) AS best
JOIN (
    SELECT definition, run, fact, language, control, count(*) AS size
    FROM lent
    GROUP BY definition, run, fact, language, control
) AS given
    ON given.definition = best.definition AND given.run = best.run AND given.fact = best.fact
    AND given.language = best.language AND best.nth <= given.size
WHERE best.in_set;

CREATE OR REPLACE MACRO borrowed_neuron_of(definitions, by_slot) AS TABLE
WITH best_neuron AS MATERIALIZED (FROM ranked_neuron_of(definitions)),
best_size AS (FROM set_size_from('best_neuron', definitions))
FROM borrowed_neuron_from('best_neuron', 'best_size', by_slot);

CREATE OR REPLACE MACRO even_neuron_of(definitions, by_slot) AS TABLE
WITH best_neuron AS MATERIALIZED (FROM ranked_neuron_of(definitions)),
best_size AS (FROM set_size_from('best_neuron', definitions))
FROM even_neuron_from('best_neuron', 'best_size', by_slot);
