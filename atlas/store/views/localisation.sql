-- The localisation table (METHOD 4): the highest-scoring neurons of every scorer at equal counts, in the language that
-- they were found in; and, as `other`, those of another fact of the same relation.
CREATE OR REPLACE VIEW localisation AS
SELECT
    evaluation, run, model, method, source, measured AS language, action, scope, replace, facts, neurons, prompts,
    COLUMNS('^(change|log_|rank_|lost|gained|success_).*')
FROM intervention_summary
WHERE purpose = 'localisation';
