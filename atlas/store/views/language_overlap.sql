-- How much two languages share (METHOD 3): over the facts with usable prompts in both and a knowledge neuron in either,
-- the mean number of common knowledge neurons and their share of the union (Jaccard), beside what random sets of the
-- same sizes would have in common and what the sets of different facts have (NULL where no different fact exists).
CREATE OR REPLACE MACRO language_overlap_of(definitions) AS TABLE
WITH both_languages AS (
    SELECT
        a.definition, a.run, a.fact, a.language AS language_a, b.language AS language_b,
        a.size AS size_a, b.size AS size_b, a.size * b.size / (model.layers::BIGINT * model.neurons) AS expected
    FROM set_size_of(definitions) AS a
    JOIN set_size_of(definitions) AS b
        ON b.definition = a.definition AND b.run = a.run AND b.fact = a.fact AND b.language > a.language
    JOIN run ON run.run = a.run JOIN model ON model.model = run.model
    WHERE a.size + b.size > 0
),
common AS (
    SELECT a.definition, a.run, a.fact, a.language AS language_a, b.language AS language_b, b.control, count(*) AS n
    FROM knowledge_neuron_of(definitions) AS a
    JOIN (
        SELECT definition, run, fact, language, 'none' AS control, layer, neuron
        FROM knowledge_neuron_of(definitions)
        UNION ALL
        FROM borrowed_neuron_of(definitions, false)
    ) AS b
        ON b.definition = a.definition AND b.run = a.run AND b.fact = a.fact AND b.language > a.language
        AND b.layer = a.layer AND b.neuron = a.neuron
    GROUP BY a.definition, a.run, a.fact, a.language, b.language, b.control
),
fact_pair AS (
    SELECT
        both_languages.*, coalesce(own.n, 0) AS overlap,
        CASE WHEN with_same.fact IS NOT NULL THEN coalesce(same.n, 0) END AS same_relation,
        CASE WHEN with_other.fact IS NOT NULL THEN coalesce(other.n, 0) END AS other_relations
    FROM both_languages
    LEFT JOIN common AS own
        ON own.definition = both_languages.definition AND own.run = both_languages.run
        AND own.fact = both_languages.fact AND own.language_a = both_languages.language_a
        AND own.language_b = both_languages.language_b AND own.control = 'none'
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
    definition, run, language_a, language_b,
    count(*)::INTEGER AS facts,
    avg(overlap) AS overlap,
    avg(overlap / (size_a + size_b - overlap))::FLOAT AS jaccard,
    avg(expected)::FLOAT AS expected,
    avg(same_relation) AS same_relation,
    avg(other_relations) AS other_relations
FROM fact_pair
GROUP BY definition, run, language_a, language_b;

CREATE OR REPLACE VIEW language_overlap_all AS
FROM language_overlap_of(every_definition());

CREATE OR REPLACE VIEW language_overlap AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    found.language_a, found.language_b, found.facts, found.overlap, found.jaccard, found.expected,
    found.same_relation, found.other_relations, run_name.model, run_name.method, found.definition, found.run
FROM language_overlap_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run;

CREATE OR REPLACE MACRO language_overlap_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none', least := NULL, known := false
) AS TABLE
FROM language_overlap_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization,
    least := least, known := known
));
