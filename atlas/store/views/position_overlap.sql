-- Which neurons carry a fact in a language at both positions (METHOD 2): knowledge neurons of a run at the query and of the
-- run of the same settings at the subject. Of every definition.
CREATE OR REPLACE VIEW position_overlap AS
WITH known_neuron AS (FROM knowledge_neuron_of(every_definition()))
SELECT
    a.definition, pair.model, pair.method, a.fact, a.language, a.layer, a.neuron,
    a.score AS score_query, b.score AS score_subject, pair.run_query, pair.run_subject
FROM position_pair AS pair
JOIN known_neuron AS a ON a.run = pair.run_query
JOIN known_neuron AS b
    ON b.run = pair.run_subject AND b.definition = a.definition AND b.fact = a.fact AND b.language = a.language
    AND b.layer = a.layer AND b.neuron = a.neuron;
