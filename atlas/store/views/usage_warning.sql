-- The usage warnings of a run: of facts in languages, and of its model (fact and language NULL).
CREATE OR REPLACE VIEW usage_warning AS
SELECT run, fact, language, 'single template' AS warning FROM fact_language WHERE usable = 1
UNION ALL
SELECT run, fact, language, 'not converged' AS warning FROM fact_language WHERE not_converged > 0
UNION ALL
SELECT run, fact, language, 'model does not know the answer' AS warning
FROM fact_language WHERE usable > 0 AND argmax = 0
UNION ALL
SELECT run, fact, language, 'words that the tokenizer does not know' AS warning
FROM fact_language WHERE unknown_words > 0
UNION ALL
SELECT run, fact, language, 'reworded prompts' AS warning FROM fact_language WHERE reworded > 0
UNION ALL
SELECT run, fact, NULL AS language, 'single language' AS warning FROM fact_coverage WHERE n_languages = 1
UNION ALL
SELECT run.run, NULL AS fact, NULL AS language, 'model revision not pinned' AS warning
FROM run JOIN model USING (model) WHERE model.revision IS NULL AND model.name NOT LIKE 'demo-%';
