-- Whether two languages share a fact's spelling (METHOD 3b): the tokens, by a model's own tokenizer, that its subject has
-- in both and those that its object has, and whether their scripts differ. What two languages share of a fact that shares
-- no token cannot come from its spelling.
CREATE OR REPLACE VIEW label_overlap AS
SELECT
    a.model, a.fact, a.language AS language_a, b.language AS language_b,
    len(list_intersect(a.subject, b.subject))::INTEGER AS subject_tokens,
    len(list_intersect(a.object, b.object))::INTEGER AS object_tokens,
    NOT list_has_any(a.scripts, b.scripts) AS scripts_differ
FROM label_token AS a JOIN label_token AS b ON b.model = a.model AND b.fact = a.fact AND b.language > a.language;

-- Whether two of some languages share no token, neither of the subject nor of the object; `names` are a fact's in all.
CREATE OR REPLACE MACRO spelled_apart(names, languages) AS
CASE WHEN names IS NOT NULL THEN len(list_filter(names, lambda a: list_contains(languages, a.language) AND len(
    list_filter(names, lambda b: b.language > a.language AND list_contains(languages, b.language)
        AND NOT list_has_any(a.subject, b.subject) AND NOT list_has_any(a.object, b.object))
) > 0)) > 0 END;

-- The tokens of a fact's names in every language, by a model's own tokenizer (METHOD 3b): what `spelled_apart` compares.
CREATE OR REPLACE VIEW fact_spelling AS
SELECT
    model, fact,
    list({language: language, subject: subject, object: object} ORDER BY language) AS names
FROM label_token
GROUP BY model, fact;
