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

-- Every neuron with a stored positive score, best first: knowledge neurons by their score, then the others by their
-- score's mean over the fact's usable prompts. What a set is filled from when more neurons are asked for than it has.
CREATE OR REPLACE MACRO ranked_neuron_of(definitions) AS TABLE
SELECT
    chosen.d.definition AS definition, stored.run, stored.fact, stored.language, stored.layer, stored.neuron,
    row_number() OVER (
        PARTITION BY chosen.d.definition, stored.run, stored.fact, stored.language
        ORDER BY
            found.score DESC NULLS LAST, CASE WHEN found.score IS NULL THEN stored.score END DESC,
            stored.layer, stored.neuron
    ) AS nth
FROM (
    SELECT probe.run, prompt.fact, prompt.language, a.layer, a.neuron, sum(a.score) AS score
    FROM attribution AS a
    JOIN probe ON probe.place = a.place
    JOIN prompt ON prompt.prompt = probe.prompt
    SEMI JOIN asked_run_of(definitions) AS asked ON asked.run = probe.run
    WHERE a.score > 0
    GROUP BY probe.run, prompt.fact, prompt.language, a.layer, a.neuron
) AS stored
JOIN asked_run_of(definitions) AS chosen ON chosen.run = stored.run
LEFT JOIN knowledge_neuron_of(definitions) AS found
    ON found.definition = chosen.d.definition AND found.run = stored.run AND found.fact = stored.fact
    AND found.language = stored.language AND found.layer = stored.layer AND found.neuron = stored.neuron;

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
