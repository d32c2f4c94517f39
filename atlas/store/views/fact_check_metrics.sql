-- How well each kind of evidence tells true claims from wrong ones (METHOD 6), on the claims of the test split.
-- A claim that the evidence cannot judge counts as not supported and ranks last, so that all are measured on the same
-- claims; `unusable` says how many. Rows without language or relation are over all of them. The AUROC compares claims
-- of the same relation and language only.
CREATE OR REPLACE VIEW fact_check_metrics AS
WITH judged AS (
    SELECT
        verdict.evaluation, verdict.run, verdict.evidence, verdict.source_language,
        verdict.source_language <> claim.language AS across, claim.condition, claim.relation, claim.language,
        claim.truth, coalesce(verdict.supported, false) AS supported, verdict.status <> 'ok' AS unusable,
        coalesce(verdict.score, '-infinity'::DOUBLE) AS score
    FROM verdict JOIN claim USING (claim)
    WHERE claim.split = 'test' AND claim.truth IS NOT NULL
),
ranked AS (
    SELECT
        *,
        rank() OVER (stratum ORDER BY score)
            + (count(*) OVER (PARTITION BY
                evaluation, evidence, source_language, condition, relation, language, score) - 1) / 2 AS place
    FROM judged
    WINDOW stratum AS (PARTITION BY evaluation, evidence, source_language, condition, relation, language)
),
counted AS (
    SELECT
        evaluation, run, evidence, source_language, across, condition, relation, language,
        count(*) AS claims, count(*) FILTER (truth) AS true_claims, count(*) FILTER (unusable) AS unusable,
        count(*) FILTER (supported) AS said, count(*) FILTER (supported AND truth) AS hit,
        count(*) FILTER (supported = truth) AS right_ones,
        coalesce(sum(place) FILTER (truth), 0) - true_claims * (true_claims + 1) / 2 AS won,
        true_claims * (claims - true_claims) AS pairs
    FROM ranked
    GROUP BY ALL
)
SELECT
    evaluation, run, condition, evidence,
    CASE WHEN NOT across THEN NULL ELSE any_value(source_language) END AS source_language,
    relation, language,
    sum(claims)::BIGINT AS claims, sum(unusable)::BIGINT AS unusable,
    sum(hit) / nullif(sum(said), 0) AS precision,
    sum(hit) / nullif(sum(true_claims), 0) AS recall,
    2 * sum(hit) / nullif(sum(said) + sum(true_claims), 0) AS f1,
    sum(right_ones) / sum(claims) AS accuracy,
    sum(won) / nullif(sum(pairs), 0) AS auroc
FROM counted
GROUP BY
    evaluation, run, condition, evidence, across, CASE WHEN across THEN source_language END,
    GROUPING SETS ((relation, language), (language), (relation), ());
