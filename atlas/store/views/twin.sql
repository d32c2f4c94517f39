-- What a model's untrained twin shows of the same prompts (METHOD 3b): `run` is the model's own, `twin` the twin's.
CREATE OR REPLACE VIEW twin AS
SELECT run.twin_of AS run, run.run AS twin, run.twin_seed AS seed FROM run WHERE run.twin_of IS NOT NULL;

-- The definitions, asked of the twins of the runs that they are asked of.
CREATE OR REPLACE MACRO twin_definitions(definitions) AS (
    SELECT list(asked) FROM (
        SELECT * REPLACE (
            (
                SELECT coalesce(list(twin.twin), []) FROM twin
                WHERE own.sources IS NULL OR list_contains(own.sources, twin.run)
            ) AS sources
        )
        FROM (
            SELECT * REPLACE (NULL::BIGINT AS run)
            FROM (SELECT unnest(chosen.d) FROM (SELECT unnest(definitions) AS d) AS chosen)
        ) AS own
    ) AS asked
);
