-- Language-independent knowledge neurons of a fact (METHOD 3, Eq. 8): found in all languages in which the fact has
-- usable prompts in the run, or in at least `min_languages` of them. A fact with one such language has none.
CREATE OR REPLACE MACRO likn_from(known_neurons, definitions) AS TABLE
-- Languages go by number until the end: lists of numbers are gathered several times faster than lists of codes.
WITH numbered AS (
    SELECT language, row_number() OVER (ORDER BY language) AS number FROM language
)
SELECT
    found.definition, found.run, found.fact, found.layer, found.neuron,
    found.n_languages, coverage.n_languages AS of_languages,
    list_transform(list_sort(found.numbers), lambda number: every.languages[number]) AS languages,
    coverage.missing_languages, found.score
FROM (
    SELECT
        k.definition, k.run, k.fact, k.layer, k.neuron,
        count(*)::INTEGER AS n_languages, list(numbered.number) AS numbers, avg(k.score)::FLOAT AS score
    FROM query_table(known_neurons) AS k
    JOIN numbered ON numbered.language = k.language
    GROUP BY k.definition, k.run, k.fact, k.layer, k.neuron
) AS found
JOIN coverage_of(definitions) AS coverage
    ON coverage.definition = found.definition AND coverage.run = found.run AND coverage.fact = found.fact
JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = found.definition
CROSS JOIN (SELECT list(language ORDER BY number) AS languages FROM numbered) AS every
WHERE
    coverage.n_languages > 1
    AND found.n_languages >= coalesce(chosen.d.min_languages, coverage.n_languages);

CREATE OR REPLACE MACRO likn_of(definitions) AS TABLE
WITH known_neuron AS (FROM knowledge_neuron_of(definitions))
FROM likn_from('known_neuron', definitions);

-- The same, and whether the languages of each share no spelling (METHOD 3b): NULL where no tokens of names are stored.
CREATE OR REPLACE MACRO likn_spelled_from(known_neurons, definitions) AS TABLE
SELECT likn.*, spelled_apart(spelling.names, likn.languages) AS across_scripts
FROM likn_from(known_neurons, definitions) AS likn
JOIN run ON run.run = likn.run
LEFT JOIN fact_spelling AS spelling ON spelling.model = run.model AND spelling.fact = likn.fact;

CREATE OR REPLACE MACRO likn_spelled_of(definitions) AS TABLE
WITH known_neuron AS (FROM knowledge_neuron_of(definitions))
FROM likn_spelled_from('known_neuron', definitions);

CREATE OR REPLACE VIEW likn_all AS
FROM likn_spelled_of(every_definition());

CREATE OR REPLACE VIEW likn AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    fact_name.subject, fact_name.relation_name, fact_name.object, found.layer, found.neuron, found.n_languages,
    found.of_languages, found.languages, found.missing_languages, found.score, found.across_scripts, fact_name.relation, run_name.model,
    run_name.method, found.definition, found.run, found.fact
FROM likn_spelled_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN fact_name ON fact_name.fact = found.fact;

CREATE OR REPLACE MACRO likn_at(
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, min_languages := NULL, normalization := 'none',
    least := NULL, known := false
) AS TABLE
FROM likn_spelled_of(thresholds(
    tau := tau, tau_by_language := tau_by_language, share := share,
    min_languages := min_languages, normalization := normalization, least := least, known := known
));
