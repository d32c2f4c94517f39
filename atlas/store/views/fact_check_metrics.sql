-- The claims of the test split as each kind of evidence judges them.
CREATE OR REPLACE VIEW fact_check_claim AS
SELECT
    verdict.evaluation, verdict.run, verdict.evidence, verdict.source_language,
    verdict.source_language <> claim.language AS across, claim.condition, claim.relation, claim.language,
    fact.subject, claim.truth, coalesce(verdict.supported, false) AS supported, verdict.status <> 'ok' AS unusable,
    coalesce(verdict.score, '-infinity'::DOUBLE) AS score
FROM verdict JOIN claim USING (claim) JOIN fact USING (fact)
WHERE claim.split = 'test' AND claim.truth IS NOT NULL;

-- How far each evidence's AUROC is above that of the model's own probability on the same claims, over all relations
-- and languages, with the 2.5 % and 97.5 % quantiles of 500 paired bootstrap samples: the weight of a subject in a
-- sample is a Poisson number of mean 1 made from a hash of both, so that it is the same everywhere. Claims about one
-- subject have no quantiles.
CREATE OR REPLACE VIEW fact_check_difference AS
WITH compared AS (
    SELECT
        yes.evaluation, yes.condition, yes.evidence, yes.relation, yes.language,
        yes.subject AS one, no.subject AS other, count(*) AS pairs,
        sum(CASE WHEN yes.score > no.score THEN 1.0 WHEN yes.score = no.score THEN 0.5 ELSE 0.0 END) AS won
    FROM fact_check_claim AS yes
    JOIN fact_check_claim AS no
        ON no.evaluation = yes.evaluation AND no.condition = yes.condition AND no.evidence = yes.evidence
        AND no.relation = yes.relation AND no.language = yes.language
    WHERE yes.truth AND NOT no.truth AND NOT yes.across AND NOT no.across
    GROUP BY ALL
),
gained AS (
    SELECT
        mine.evaluation, mine.condition, mine.evidence, mine.one, mine.other,
        sum(mine.won - own.won) AS gain, sum(mine.pairs) AS pairs
    FROM compared AS mine
    JOIN compared AS own
        ON own.evidence = 'probability' AND own.evaluation = mine.evaluation AND own.condition = mine.condition
        AND own.relation = mine.relation AND own.language = mine.language
        AND own.one = mine.one AND own.other = mine.other
    GROUP BY ALL
),
subject AS (
    SELECT DISTINCT subject FROM fact_check_claim
),
drawn AS (
    SELECT
        subject, sample.range AS sample,
        len(list_filter(
            [0.36788, 0.73576, 0.91970, 0.98101, 0.99634, 0.99941, 0.99992],
            lambda bound: bound <= (md5_number_lower(concat(sample.range, ':', subject)) % 1000000007) / 1000000007
        )) AS weight
    FROM subject CROSS JOIN range(500) AS sample
),
resampled AS (
    SELECT
        g.evaluation, g.condition, g.evidence, one.sample,
        sum(one.weight * other.weight * g.gain) / nullif(sum(one.weight * other.weight * g.pairs), 0) AS difference
    FROM gained AS g
    JOIN drawn AS one ON one.subject = g.one AND one.weight > 0
    JOIN drawn AS other ON other.subject = g.other AND other.sample = one.sample AND other.weight > 0
    GROUP BY ALL
),
bounds AS (
    SELECT evaluation, condition, evidence, quantile_cont(difference, [0.025, 0.975]) AS bound
    FROM resampled
    GROUP BY ALL
)
SELECT
    evaluation, condition, evidence, sum(gain) / sum(pairs) AS auroc_over_probability,
    CASE WHEN min(least(one, other)) < max(greatest(one, other)) THEN any_value(bound[1]) END AS auroc_over_probability_low,
    CASE WHEN min(least(one, other)) < max(greatest(one, other)) THEN any_value(bound[2]) END
        AS auroc_over_probability_high
FROM gained JOIN bounds USING (evaluation, condition, evidence)
GROUP BY ALL;

-- How well each kind of evidence tells true claims from wrong ones (METHOD 6), on the claims of the test split.
-- A claim that the evidence cannot judge counts as not supported and ranks last where it has no score, so that all are
-- measured on the same claims; `unusable` says how many. Rows without language or relation are over all of them. The AUROC compares claims
-- of the same relation and language only.
CREATE OR REPLACE VIEW fact_check_metrics AS
WITH ranked AS (
    SELECT
        *,
        rank() OVER (stratum ORDER BY score)
            + (count(*) OVER (PARTITION BY
                evaluation, evidence, source_language, condition, relation, language, score) - 1) / 2 AS place
    FROM fact_check_claim
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
),
measured AS (
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
        GROUPING SETS ((relation, language), (language), (relation), ())
)
SELECT
    measured.*, paired.auroc_over_probability, paired.auroc_over_probability_low, paired.auroc_over_probability_high
FROM measured
LEFT JOIN fact_check_difference AS paired
    ON paired.evaluation = measured.evaluation AND paired.condition = measured.condition
    AND paired.evidence = measured.evidence
    AND measured.source_language IS NULL AND measured.relation IS NULL AND measured.language IS NULL;
