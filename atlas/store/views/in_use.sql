-- All runs in the order in which they are meant: on the model that was built last the newest finished run of the scorer
-- that stands first in the list of scorers (`amig`), at the query, is the first. Where nothing is named, those alone are
-- meant that are `eligible`: no control by chance, no untrained twin, no union, and with a usable prompt.
CREATE OR REPLACE VIEW run_order AS
WITH told AS (
    SELECT
        run, model, method, coalesce(settings ->> 'at', 'query') = 'query' AS at_query, status = 'done' AS finished,
        coalesce(run.finished, started) AS ended,
        method NOT IN ('random', 'union') AND twin_of IS NULL
        AND run IN (SELECT run FROM probe WHERE usable(status)) AS eligible
    FROM run
),
built AS (
    SELECT *, max(CASE WHEN eligible THEN ended END) OVER (PARTITION BY finished, model) AS built FROM told
)
SELECT
    run, model, method, eligible,
    row_number() OVER (
        ORDER BY
            eligible DESC, finished DESC, built DESC NULLS LAST, model, scorer_place(method) NULLS LAST, at_query DESC,
            ended DESC, run
    ) AS nth
FROM built;

-- Which run and which definition a query means that names none: what the table `in_use` says or, where it says nothing,
-- the first run of `run_order`, and `default`. Where no run is finished, the newest one; no row in an empty atlas.
CREATE OR REPLACE VIEW run_in_use AS
SELECT run.run, run.model, run.method, asked.definition
FROM (
    SELECT
        coalesce(
            (SELECT any_value(run) FROM in_use), (SELECT run FROM run_order WHERE eligible ORDER BY nth LIMIT 1)
        ) AS run,
        coalesce((SELECT any_value(definition) FROM in_use), 'default') AS definition
) AS asked
JOIN run ON run.run = asked.run;

-- The runs whose knowledge neurons a run's sets are made of: itself, or those that a union joins.
CREATE OR REPLACE VIEW knockout_source AS
SELECT run, run AS source FROM run WHERE method <> 'union'
UNION ALL
SELECT run, unnest((settings -> '$.runs')::BIGINT[]) AS source FROM run WHERE method = 'union';

-- What the macros that end in `_of` take: a list of definitions, each with the run that it is asked of (NULL for every
-- one), the runs that this one's neurons come from and the facts that are asked (NULL for all).
CREATE OR REPLACE MACRO every_definition() AS (
    SELECT list(d) FROM (
        SELECT *, NULL::BIGINT AS run, NULL::BIGINT[] AS sources, NULL::BIGINT[] AS facts FROM definition
    ) AS d
);

-- The definition of a name, asked of one run; of every run where that is NULL.
CREATE OR REPLACE MACRO definition_of(name, asked_run) AS (
    SELECT list(d) FROM (
        SELECT
            definition.*, asked_run::BIGINT AS run,
            (SELECT list(source) FROM knockout_source WHERE run = asked_run) AS sources, NULL::BIGINT[] AS facts
        FROM definition WHERE definition = name
    ) AS d
);

-- The definition that is meant where none is named, asked of the run that is.
CREATE OR REPLACE MACRO definition_in_use() AS (
    SELECT list(d) FROM (
        SELECT
            definition.*, meant.run,
            (SELECT list(source) FROM knockout_source WHERE run = meant.run) AS sources, NULL::BIGINT[] AS facts
        FROM run_in_use AS meant JOIN definition USING (definition)
    ) AS d
);

-- The same definitions with the knock-outs of another `replace`; of their own where it is NULL.
CREATE OR REPLACE MACRO replaced(definitions, how) AS (
    SELECT list(d) FROM (
        SELECT * REPLACE (coalesce(how, replace) AS replace) FROM (SELECT unnest(definitions, max_depth := 2))
    ) AS d
);

-- Each definition once for every `replace`, which goes before its name: `mean:default`.
CREATE OR REPLACE MACRO replaced_in_each_way(definitions) AS (
    SELECT list(d) FROM (
        SELECT * EXCLUDE (replace) REPLACE (how || ':' || definition AS definition) RENAME (how AS replace)
        FROM (SELECT unnest(definitions, max_depth := 2)), unnest(['zero', 'mean', 'swap']) AS ways(how)
    ) AS d
);

-- The same definitions, asked of some facts alone; of all where the list is NULL.
CREATE OR REPLACE MACRO of_facts(definitions, asked_facts) AS (
    SELECT list(d) FROM (
        SELECT * REPLACE (asked_facts AS facts) FROM (SELECT unnest(definitions, max_depth := 2))
    ) AS d
);

-- The same definitions, asked of some runs alone, so that no other's scores are read.
CREATE OR REPLACE MACRO of_runs(definitions, asked_runs) AS (
    SELECT list(d) FROM (
        SELECT * REPLACE (asked_runs::BIGINT[] AS sources) FROM (SELECT unnest(definitions, max_depth := 2))
    ) AS d
);

-- The definitions with every fact that they are asked of.
CREATE OR REPLACE MACRO asked_fact_of(definitions) AS TABLE
SELECT chosen.d.definition AS definition, fact.fact
FROM (SELECT unnest(definitions) AS d) AS chosen
JOIN fact ON chosen.d.facts IS NULL OR list_contains(chosen.d.facts, fact.fact);

-- The definitions with every run that they are asked of: the filter that reaches the scans of probes and scores.
CREATE OR REPLACE MACRO asked_run_of(definitions) AS TABLE
SELECT chosen.d, run.run, run.method, coalesce((run.settings ->> 'floor')::DOUBLE, 0) AS floor
FROM (SELECT unnest(definitions) AS d) AS chosen
JOIN run ON chosen.d.sources IS NULL OR list_contains(chosen.d.sources, run.run);
