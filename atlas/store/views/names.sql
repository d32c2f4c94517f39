-- What facts are called: in English, or in the first language of an atlas that has none; else by their keys.
CREATE OR REPLACE VIEW fact_name AS
SELECT
    fact.fact, coalesce(label.subject, fact.subject) AS subject, fact.relation,
    coalesce(relation.name, fact.relation) AS relation_name, coalesce(label.object, fact.object) AS object
FROM fact
LEFT JOIN relation ON relation.relation = fact.relation
LEFT JOIN fact_label AS label ON label.fact = fact.fact AND label.language = (
    SELECT language FROM fact_label GROUP BY language ORDER BY language <> 'en', language LIMIT 1
);

-- What runs are called: by the model's name and the method.
CREATE OR REPLACE VIEW run_name AS
SELECT run.run, model.name AS model, run.method FROM run JOIN model ON model.model = run.model;
