-- The definitions with every run of the model and method in use, whatever its position.
CREATE OR REPLACE MACRO definition_at_positions() AS (
    SELECT list(d) FROM (
        SELECT
            definition.*, NULL::BIGINT AS run,
            (
                SELECT list(run.run) FROM run
                WHERE run.model = meant.model AND run.method = meant.method AND run.twin_of IS NULL
            ) AS sources, NULL::BIGINT[] AS facts
        FROM run_in_use AS meant JOIN definition USING (definition)
    ) AS d
);

-- Where the neurons lie at each position (METHOD 2): per layer and language (NULL: over all), how many pairs of a fact in
-- a language and a knowledge neuron and of a fact and a LIKN there are, and beside the LIKNs those of exchanged facts, of the
-- same relation and of others (METHOD 3), of facts that have one in each of their languages, with the facts' own at the sizes
-- that were lent (`..._own`). Of LIKNs and exchanged ones also those across scripts, whose languages share no token of the
-- fact's names (METHOD 3b; 0 where no tokens of names are stored). Runs of different positions are different rows.
CREATE OR REPLACE MACRO position_profile_of(definitions) AS TABLE
WITH known_neuron AS MATERIALIZED (FROM knowledge_neuron_of(definitions)),
best_neuron AS MATERIALIZED (FROM ranked_neuron_from('known_neuron', definitions)),
best_size AS MATERIALIZED (FROM set_size_from('best_neuron', definitions)),
shared AS (
    SELECT definition, run, 'likn' AS kind, fact, layer, neuron, languages
    FROM likn_from('known_neuron', definitions)
    UNION ALL
    SELECT
        b.definition, b.run, concat(CASE WHEN b.own THEN 'own, ' END, b.control) AS kind, b.fact, b.layer, b.neuron,
        list(b.language) AS languages
    FROM even_neuron_from('best_neuron', 'best_size', true) AS b
    SEMI JOIN partnered_from('best_size') AS partnered
        ON partnered.definition = b.definition AND partnered.run = b.run AND partnered.fact = b.fact
        AND partnered.control = b.control
    JOIN coverage_of(definitions) AS coverage
        ON coverage.definition = b.definition AND coverage.run = b.run AND coverage.fact = b.fact
    JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = b.definition
    WHERE coverage.n_languages > 1
    GROUP BY b.definition, b.run, b.control, b.own, b.fact, b.layer, b.neuron
    HAVING count(*) >= coalesce(any_value(chosen.d.min_languages), any_value(coverage.n_languages))
),
pair AS (
    SELECT definition, run, 'knowledge neuron' AS kind, layer, [language] AS languages, NULL AS apart
    FROM known_neuron
    UNION ALL
    SELECT s.definition, s.run, s.kind, s.layer, s.languages, spelled_apart(spelling.names, s.languages) AS apart
    FROM shared AS s
    JOIN run ON run.run = s.run
    LEFT JOIN fact_spelling AS spelling ON spelling.model = run.model AND spelling.fact = s.fact
),
cell AS (
    SELECT definition, run, kind, layer, apart, unnest(list_append(languages, NULL)) AS language FROM pair
)
SELECT
    cell.definition, cell.run, coalesce(any_value(run.settings) ->> 'at', 'query') AS position, cell.layer, cell.language,
    count(*) FILTER (cell.kind = 'knowledge neuron') AS knowledge_neurons,
    count(*) FILTER (cell.kind = 'likn') AS likn,
    count(*) FILTER (cell.kind = 'same relation') AS same_relation,
    count(*) FILTER (cell.kind = 'other relations') AS other_relations,
    count(*) FILTER (cell.kind = 'own, same relation') AS same_relation_own,
    count(*) FILTER (cell.kind = 'own, other relations') AS other_relations_own,
    count(*) FILTER (cell.kind = 'likn' AND cell.apart) AS across_scripts,
    count(*) FILTER (cell.kind = 'same relation' AND cell.apart) AS same_relation_across,
    count(*) FILTER (cell.kind = 'other relations' AND cell.apart) AS other_relations_across
FROM cell JOIN run ON run.run = cell.run
GROUP BY cell.definition, cell.run, cell.layer, cell.language;

CREATE OR REPLACE VIEW position_profile_all AS
FROM position_profile_of(every_definition());

CREATE OR REPLACE VIEW position_profile AS
WITH meant AS MATERIALIZED (SELECT definition_at_positions() AS asked)
SELECT
    found.position, found.layer, found.language, found.knowledge_neurons, found.likn, found.same_relation,
    found.other_relations, found.same_relation_own, found.other_relations_own, found.across_scripts,
    found.same_relation_across, found.other_relations_across, run_name.model, run_name.method, found.definition,
    found.run
FROM position_profile_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run;
