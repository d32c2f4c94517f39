-- What a run knows of a fact in a language: its prompts, how sure the model is, and the warnings that apply.
CREATE OR REPLACE VIEW fact_language AS
SELECT
    probe.run, prompt.fact, prompt.language,
    count(*)::INTEGER AS prompts,
    count(*) FILTER (usable(probe.status))::INTEGER AS usable,
    count(*) FILTER (probe.status = 'not_converged')::INTEGER AS not_converged,
    count(*) FILTER (usable(probe.status) AND probe.rank = 1)::INTEGER AS argmax,
    count(*) FILTER (usable(probe.status) AND probe.unknown_tokens > 0)::INTEGER AS unknown_words,
    avg(probe.probability) AS probability,
    avg(probe.mean_probability) AS mean_probability
FROM probe JOIN prompt USING (prompt)
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
