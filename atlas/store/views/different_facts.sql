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

-- The size of every fact's knowledge neuron set in each of its languages that count, empty ones too.
CREATE OR REPLACE MACRO set_size_of(definitions) AS TABLE
SELECT l.definition, l.run, l.fact, l.language, coalesce(sizes.size, 0)::INTEGER AS size
FROM counted_language_of(definitions) AS l
LEFT JOIN (
    SELECT definition, run, fact, language, count(*) AS size
    FROM knowledge_neuron_of(definitions)
    GROUP BY definition, run, fact, language
) AS sizes
    ON sizes.definition = l.definition AND sizes.run = l.run
    AND sizes.fact = l.fact AND sizes.language = l.language;

-- Layer and neuron as one number, which sorts as they do.
CREATE OR REPLACE MACRO neuron_code(layer, neuron) AS (layer::BIGINT << 28) + neuron;

-- The best neurons of every fact in every language, as many as the largest set of that language has, or all with a stored
-- positive score: knowledge neurons (`in_set`) by their score, then the others by their score's mean over the fact's usable
-- prompts. What a set is filled from when more neurons are asked for than it has.

-- A `cell` is a fact in a language of a run under a definition. Of the neurons that fill a cell's set only those are sorted
-- that reach the score of the last one needed.
CREATE OR REPLACE MACRO ranked_neuron_of(definitions) AS TABLE
WITH probed AS MATERIALIZED (
    SELECT
        chosen.d.definition AS definition, probe.run, prompt.fact, prompt.language, probe.place,
        dense_rank() OVER (ORDER BY chosen.d.definition, probe.run, prompt.fact, prompt.language) AS cell
    FROM probe
    JOIN prompt ON prompt.prompt = probe.prompt
    JOIN asked_run_of(definitions) AS chosen ON chosen.run = probe.run
),
named AS MATERIALIZED (SELECT DISTINCT cell, definition, run, fact, language FROM probed),
member AS MATERIALIZED (
    SELECT named.cell, neuron_code(found.layer, found.neuron) AS code, found.score
    FROM knowledge_neuron_of(definitions) AS found
    JOIN named
        ON named.definition = found.definition AND named.run = found.run AND named.fact = found.fact
        AND named.language = found.language
),
asked AS MATERIALIZED (
    SELECT
        named.cell, coalesce(sizes.size, 0) AS size,
        max(sizes.size) OVER (PARTITION BY named.definition, named.run, named.language) AS most
    FROM named
    LEFT JOIN (SELECT cell, count(*) AS size FROM member GROUP BY cell) AS sizes ON sizes.cell = named.cell
),
stored AS MATERIALIZED (
    SELECT probed.cell, neuron_code(a.layer, a.neuron) AS code, sum(a.score) AS score
    FROM attribution AS a
    JOIN probed ON probed.place = a.place
    SEMI JOIN (FROM asked WHERE size < most) AS lacking ON lacking.cell = probed.cell
    WHERE a.score > 0
    GROUP BY probed.cell, code
),
needed AS (
    SELECT stored.cell, list_min(max(stored.score, asked.most)) AS last
    FROM stored JOIN asked ON asked.cell = stored.cell
    GROUP BY stored.cell
),
best AS (
    SELECT cell, code, true AS in_set, score::DOUBLE AS score FROM member
    UNION ALL
    SELECT stored.cell, stored.code, false AS in_set, stored.score
    FROM stored
    JOIN needed ON needed.cell = stored.cell AND stored.score >= needed.last
    ANTI JOIN member ON member.cell = stored.cell AND member.code = stored.code
)
SELECT
    named.definition, named.run, named.fact, named.language, (best.code >> 28)::USMALLINT AS layer,
    (best.code & 268435455)::UINTEGER AS neuron, best.in_set,
    row_number() OVER (PARTITION BY best.cell ORDER BY best.in_set DESC, best.score DESC, best.code) AS nth
FROM best JOIN named ON named.cell = best.cell;

-- The partner's highest-scoring neurons in that language, as many as the fact itself has, or all that are stored.
CREATE OR REPLACE MACRO borrowed_neuron_of(definitions, by_slot) AS TABLE
SELECT own.definition, own.run, own.fact, own.language, partner.control, borrowed.layer, borrowed.neuron
FROM set_size_of(definitions) AS own
JOIN partner_of(by_slot) AS partner
    ON partner.run = own.run AND partner.fact = own.fact AND partner.language = own.language
JOIN ranked_neuron_of(definitions) AS borrowed
    ON borrowed.definition = own.definition AND borrowed.run = own.run AND borrowed.fact = partner.partner
    AND borrowed.language = own.language AND borrowed.nth <= own.size;

-- Both sides of a comparison with different facts, at the same sizes (METHOD 3): what each partner lends, and as `own` the
-- fact's knowledge neurons in that language, its best where its partner has fewer stored scores than it has neurons.
CREATE OR REPLACE MACRO even_neuron_of(definitions, by_slot) AS TABLE
WITH lent AS MATERIALIZED (FROM borrowed_neuron_of(definitions, by_slot))
SELECT *, false AS own FROM lent
UNION ALL
SELECT best.definition, best.run, best.fact, best.language, given.control, best.layer, best.neuron, true AS own
FROM (
    SELECT
        *, row_number() OVER (PARTITION BY definition, run, fact, language ORDER BY score DESC, layer, neuron) AS nth
    FROM knowledge_neuron_of(definitions)
) AS best
JOIN (
    SELECT definition, run, fact, language, control, count(*) AS size
    FROM lent
    GROUP BY definition, run, fact, language, control
) AS given
    ON given.definition = best.definition AND given.run = best.run AND given.fact = best.fact
    AND given.language = best.language AND best.nth <= given.size;
