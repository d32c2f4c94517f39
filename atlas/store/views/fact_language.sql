-- Whether the answer is the model's own choice, at each of its tokens; of rows that do not say it, at the first.
CREATE OR REPLACE MACRO is_own_choice(argmax, first_rank) AS coalesce(argmax, first_rank = 1);

-- What a run knows of a fact in a language: its prompts, how sure the model is, and the warnings that apply.
CREATE OR REPLACE VIEW fact_language AS
SELECT
    probe.run, prompt.fact, prompt.language,
    count(*)::INTEGER AS prompts,
    count(*) FILTER (usable(probe.status))::INTEGER AS usable,
    count(*) FILTER (probe.status = 'not_converged')::INTEGER AS not_converged,
    count(*) FILTER (usable(probe.status) AND is_own_choice(probe.argmax, probe.rank))::INTEGER AS argmax,
    count(*) FILTER (usable(probe.status) AND probe.unknown_tokens > 0)::INTEGER AS unknown_words,
    count(*) FILTER (usable(probe.status) AND template.kind <> 'stated')::INTEGER AS reworded,
    avg(probe.probability) AS probability,
    avg(probe.mean_probability) AS mean_probability
FROM probe JOIN prompt USING (prompt) JOIN template USING (template)
GROUP BY probe.run, prompt.fact, prompt.language;

-- The languages in which a fact has usable prompts in a run, and those in which it has none.
CREATE OR REPLACE VIEW fact_coverage AS
SELECT
    run, fact,
    count(*) FILTER (usable > 0)::INTEGER AS n_languages,
    list_sort(coalesce(list(language) FILTER (usable > 0), [])) AS languages,
    list_sort(coalesce(list(language) FILTER (usable = 0), [])) AS missing_languages
FROM fact_language
GROUP BY run, fact;

-- The languages in which a fact counts under a definition: it has usable prompts there and, where the definition asks
-- for what the model knows, the answer is the model's own choice in more than half of them. An untrained twin, which knows
-- nothing, counts where its original does.
CREATE OR REPLACE MACRO counted_language_of(definitions) AS TABLE
SELECT chosen.d.definition AS definition, asked.run, asked.fact, asked.language, asked.usable
FROM fact_language AS asked
JOIN asked_fact_of(definitions) AS meant ON meant.fact = asked.fact
JOIN asked_run_of(definitions) AS chosen ON chosen.run = asked.run AND chosen.d.definition = meant.definition
LEFT JOIN (
    SELECT twin.twin, held.fact, held.language, held.usable, held.argmax
    FROM twin JOIN fact_language AS held ON held.run = twin.run
) AS original
    ON original.twin = asked.run AND original.fact = asked.fact AND original.language = asked.language
WHERE asked.usable > 0 AND (
    NOT chosen.d.known OR 2 * coalesce(original.argmax, asked.argmax) > coalesce(original.usable, asked.usable)
);

-- How many languages count for a fact under a definition, and in which others it was probed.
CREATE OR REPLACE MACRO coverage_of(definitions) AS TABLE
SELECT
    probed.definition, probed.run, probed.fact, count(counted.language)::INTEGER AS n_languages,
    list_sort(coalesce(list(probed.language) FILTER (counted.language IS NULL), [])) AS missing_languages
FROM (
    SELECT chosen.d.definition AS definition, asked.run, asked.fact, asked.language
    FROM fact_language AS asked JOIN asked_run_of(definitions) AS chosen ON chosen.run = asked.run
) AS probed
LEFT JOIN counted_language_of(definitions) AS counted
    ON counted.definition = probed.definition AND counted.run = probed.run AND counted.fact = probed.fact
    AND counted.language = probed.language
GROUP BY probed.definition, probed.run, probed.fact;
