-- Logarithm of a probability; one that rounds to 0 counts as the nearest number that does not.
CREATE OR REPLACE MACRO log_probability(p) AS ln(greatest(p, 1e-300));
-- Log-odds of a probability; one that rounds to 0 or 1 counts as the nearest number that does not.
CREATE OR REPLACE MACRO log_odds(p) AS ln(greatest(p, 1e-300)) - ln(greatest(1 - p, 1e-16));

-- What suppressing and enhancing neurons does (METHOD 4, Eq. 11), for each fact: means over its prompts in the language
-- `measured`, and over the unrelated ones put to the model under the same intervention. `inject` puts the values that the
-- neurons have in the fact's prompts of `languages` into the same template filled with another fact of the relation, and
-- asks for the injected fact's object: `gained` says how often it becomes the argmax, `log_change` how far it moves.
CREATE OR REPLACE VIEW intervention_effect AS
SELECT
    i.evaluation, i.purpose, i.run, i.source, i.languages, prompt.language AS measured, i.action, i.scope, i.fact,
    any_value(i.replace) AS replace,
    any_value(len(i.neurons))::INTEGER AS n_neurons,
    count(*) FILTER (i.related)::INTEGER AS prompts,
    avg(i.probability_after / greatest(i.probability_before, 1e-300) - 1) FILTER (i.related) AS change,
    avg(i.probability_after / greatest(i.probability_before, 1e-300) - 1) FILTER (NOT i.related) AS change_unrelated,
    avg(log_probability(i.probability_after) - log_probability(i.probability_before))
        FILTER (i.related) AS log_change,
    avg(log_probability(i.probability_after) - log_probability(i.probability_before))
        FILTER (NOT i.related) AS log_change_unrelated,
    avg(log_odds(i.probability_after) - log_odds(i.probability_before)) FILTER (i.related) AS log_odds_change,
    avg(i.rank_after - i.rank_before) FILTER (i.related) AS rank_change,
    avg((i.argmax_before AND NOT i.argmax_after)::INTEGER) FILTER (i.related) AS lost,
    avg((i.argmax_after AND NOT i.argmax_before)::INTEGER) FILTER (i.related) AS gained
FROM intervention AS i JOIN prompt ON prompt.prompt = i.prompt
GROUP BY ALL;

-- Means over facts, each with the 2.5 % and 97.5 % quantiles of 500 bootstrap samples of facts. The draws come from a
-- hash of sample and place, so they are the same everywhere; one fact has no interval. `success_rate` is the mean
-- change of related over that of unrelated probability; `success_rate_both` the sum over both actions (Eq. 11), NULL
-- where one has none.
CREATE OR REPLACE VIEW intervention_summary AS
WITH numbered AS (
    SELECT
        *,
        dense_rank() OVER (ORDER BY evaluation, purpose, run, source, languages, measured, action, scope) AS grouping,
        row_number() OVER (
            PARTITION BY evaluation, purpose, run, source, languages, measured, action, scope ORDER BY fact
        ) - 1 AS place,
        count(*) OVER (PARTITION BY evaluation, purpose, run, source, languages, measured, action, scope) AS facts
    FROM intervention_effect
),
share AS (
    SELECT sample.range AS sample, list(
        (md5_number_lower(concat(sample.range, ':', slot.range)) % 1000000007) / 1000000007 ORDER BY slot.range
    ) AS shares
    FROM range(500) AS sample CROSS JOIN range((SELECT coalesce(max(facts), 0) FROM numbered)) AS slot
    GROUP BY sample.range
),
draw AS (
    SELECT
        size.facts, list_transform(share.shares[:size.facts], lambda x: floor(x * size.facts)::BIGINT + 1) AS places
    FROM (SELECT DISTINCT facts FROM numbered WHERE facts > 1) AS size CROSS JOIN share
),
-- Samples of lists: several times faster than of rows.
listed AS (
    SELECT
        grouping, facts, list(log_change ORDER BY place) AS log_change,
        list(log_odds_change ORDER BY place) AS log_odds_change, list(rank_change ORDER BY place) AS rank_change,
        list(lost ORDER BY place) AS lost, list(gained ORDER BY place) AS gained,
        list(change ORDER BY place) AS change, list(change_unrelated ORDER BY place) AS change_unrelated
    FROM numbered
    GROUP BY grouping, facts
),
resampled AS (
    SELECT
        n.grouping,
        list_avg(list_select(n.log_change, draw.places)) AS log_change,
        list_avg(list_select(n.log_odds_change, draw.places)) AS log_odds_change,
        list_avg(list_select(n.rank_change, draw.places)) AS rank_change,
        list_avg(list_select(n.lost, draw.places)) AS lost, list_avg(list_select(n.gained, draw.places)) AS gained,
        list_avg(list_select(n.change, draw.places))
        / nullif(list_avg(list_select(n.change_unrelated, draw.places)), 0) AS success_rate
    FROM listed AS n JOIN draw ON draw.facts = n.facts
),
bounds AS (
    SELECT
        grouping,
        quantile_cont(log_change, [0.025, 0.975]) AS log_change,
        quantile_cont(log_odds_change, [0.025, 0.975]) AS log_odds_change,
        quantile_cont(rank_change, [0.025, 0.975]) AS rank_change,
        quantile_cont(lost, [0.025, 0.975]) AS lost,
        quantile_cont(gained, [0.025, 0.975]) AS gained,
        quantile_cont(success_rate, [0.025, 0.975]) AS success_rate
    FROM resampled
    GROUP BY grouping
),
means AS (
    SELECT
        evaluation, purpose, run, source, languages, measured, action, scope, grouping,
        any_value(replace) AS replace, count(*)::INTEGER AS facts, avg(n_neurons) AS neurons, sum(prompts)::INTEGER AS prompts,
        avg(change) AS change, avg(change_unrelated) AS change_unrelated,
        avg(log_change) AS log_change, avg(log_change_unrelated) AS log_change_unrelated,
        avg(log_odds_change) AS log_odds_change, avg(rank_change) AS rank_change,
        avg(lost) AS lost, avg(gained) AS gained,
        avg(change) / nullif(avg(change_unrelated), 0) AS success_rate
    FROM numbered
    GROUP BY ALL
)
SELECT
    m.evaluation, m.purpose, m.run, model.name AS model, run.method, m.source, m.languages, m.measured, m.action,
    m.scope, m.replace, m.facts, m.neurons, m.prompts,
    m.change, m.change_unrelated,
    m.log_change, b.log_change[1] AS log_change_low, b.log_change[2] AS log_change_high, m.log_change_unrelated,
    m.log_odds_change, b.log_odds_change[1] AS log_odds_change_low, b.log_odds_change[2] AS log_odds_change_high,
    m.rank_change, b.rank_change[1] AS rank_change_low, b.rank_change[2] AS rank_change_high,
    m.lost, b.lost[1] AS lost_low, b.lost[2] AS lost_high,
    m.gained, b.gained[1] AS gained_low, b.gained[2] AS gained_high,
    m.success_rate, b.success_rate[1] AS success_rate_low, b.success_rate[2] AS success_rate_high,
    CASE WHEN m.action <> 'inject' AND count(m.success_rate) OVER actions = 2
        THEN sum(m.success_rate) OVER actions END AS success_rate_both
FROM means AS m
LEFT JOIN bounds AS b ON b.grouping = m.grouping
JOIN run ON run.run = m.run
JOIN model ON model.model = run.model
WINDOW actions AS (PARTITION BY m.evaluation, m.purpose, m.run, m.source, m.languages, m.measured, m.scope);
