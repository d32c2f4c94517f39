-- The cross-lingual table (METHOD 4): neurons of `languages` measured in `measured`, all on the same facts and all sets
-- as large as the fact's LIKN set, save `both`, which joins two of them.
CREATE OR REPLACE VIEW cross_lingual AS
SELECT
    evaluation, run, model, method, source, languages, measured, action, scope, replace, facts, neurons, prompts,
    COLUMNS('^(change|log_|rank_|lost|gained|success_).*')
FROM intervention_summary
WHERE purpose = 'cross-lingual';
