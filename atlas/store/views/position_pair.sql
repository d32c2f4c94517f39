-- Runs of one model, method and seed and equal settings, one at the query and one at the subject (METHOD 2).
CREATE OR REPLACE VIEW position_pair AS
WITH placed AS (
    SELECT
        run, model, method, seed, coalesce(settings ->> 'at', 'query') AS at,
        json_merge_patch(settings, '{"at": null}') AS settings
    FROM run
    WHERE twin_of IS NULL AND method <> 'union'
)
SELECT own.model, own.method, own.run AS run_query, other.run AS run_subject
FROM placed AS own JOIN placed AS other
    ON other.model = own.model AND other.method = own.method AND other.seed = own.seed
    AND other.settings = own.settings AND own.at = 'query' AND other.at = 'subject';
