-- Whether the wordings of a fact agree in a language (METHOD 3b): the mean Jaccard of two wordings' sets of neurons that
-- pass, beside that of its wordings and those of another fact of the relation; stable if it is larger. NULL for one
-- wording, or where no wording has a neuron. Of the facts that count in the language (`known`), by definitions that do not
-- divide by layer.
CREATE OR REPLACE MACRO stability_of(definitions) AS TABLE
WITH wording AS MATERIALIZED (
    SELECT
        p.definition, p.run, p.fact, p.language, p.place,
        coalesce(list(neuron_code(a.layer, a.neuron)) FILTER (
            a.score > greatest(p.share_of_largest * p.max_score, p.lowest_score)
        ), []) AS codes
    FROM usable_probe_of(definitions) AS p
    LEFT JOIN attribution AS a ON a.place = p.place
    WHERE p.divided_by = 'none'
    GROUP BY p.definition, p.run, p.fact, p.language, p.place
),
pair AS (
    SELECT a.definition, a.run, a.fact, a.language, 'own' AS kind, a.codes AS a, b.codes AS b
    FROM wording AS a
    JOIN wording AS b
        ON b.definition = a.definition AND b.run = a.run AND b.fact = a.fact AND b.language = a.language
        AND b.place > a.place
    UNION ALL
    SELECT a.definition, a.run, a.fact, a.language, 'other' AS kind, a.codes AS a, b.codes AS b
    FROM wording AS a
    JOIN partner_of(false) AS partner
        ON partner.run = a.run AND partner.fact = a.fact AND partner.language = a.language
        AND partner.control = 'same relation'
    JOIN wording AS b
        ON b.definition = a.definition AND b.run = a.run AND b.fact = partner.partner AND b.language = a.language
),
compared AS (
    SELECT
        definition, run, fact, language, kind,
        len(list_intersect(a, b)) / nullif(len(list_distinct(list_concat(a, b))), 0) AS jaccard
    FROM pair
),
averaged AS (
    SELECT
        definition, run, fact, language,
        avg(jaccard) FILTER (kind = 'own') AS jaccard, avg(jaccard) FILTER (kind = 'other') AS different_facts
    FROM compared
    GROUP BY definition, run, fact, language
),
counted AS (
    SELECT wording.definition, wording.run, wording.fact, wording.language, count(*)::INTEGER AS wordings
    FROM wording
    SEMI JOIN counted_language_of(definitions) AS own
        ON own.definition = wording.definition AND own.run = wording.run AND own.fact = wording.fact
        AND own.language = wording.language
    GROUP BY wording.definition, wording.run, wording.fact, wording.language
)
SELECT
    counted.*, averaged.jaccard, averaged.different_facts,
    averaged.jaccard - averaged.different_facts > 1e-9 AS stable -- equal means of shares may differ in the last digit
FROM counted
LEFT JOIN averaged
    ON averaged.definition = counted.definition AND averaged.run = counted.run AND averaged.fact = counted.fact
    AND averaged.language = counted.language;

CREATE OR REPLACE VIEW stability_all AS
FROM stability_of(every_definition());

CREATE OR REPLACE VIEW stability AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.language, found.wordings, found.jaccard,
    found.different_facts, found.stable, fact_name.relation, run_name.model, run_name.method, found.definition,
    found.run, found.fact
FROM stability_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO stability_at(tau := 0.2, tau_by_language := MAP {}, least := NULL, known := false) AS TABLE
FROM stability_of(thresholds(tau := tau, tau_by_language := tau_by_language, least := least, known := known));
