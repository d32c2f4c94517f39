"""Statements of every type that DuckDB knows, none of which may change an atlas that is only read."""

import itertools

PATHS = ("atlas.duckdb", "atlas.duckdb.wal", "./atlas.duckdb", "other.csv")
TO_PATHS = (
    "COPY (SELECT 1) TO '{}'",
    "COPY (SELECT 1) TO '{}' (FORMAT csv, USE_TMP_FILE false)",
    "COPY fact TO '{}' (FORMAT parquet, OVERWRITE_OR_IGNORE)",
    "COPY fact FROM '{}'",
    "EXPORT DATABASE '{}'",
    "IMPORT DATABASE '{}'",
    "ATTACH '{}' AS other",
    "LOAD '{}'",
    "INSTALL '{}'",
)
OTHERS = (
    "PREPARE p AS COPY (SELECT 1) TO 'atlas.duckdb' (FORMAT csv, USE_TMP_FILE false)",
    "EXECUTE p",
    "DEALLOCATE p",
    "COPY FROM DATABASE atlas TO memory",
    "DETACH atlas",
    "USE memory",
    "SET threads = 1",
    "RESET threads",
    "SET VARIABLE x = 1",
    "PRAGMA memory_limit = '1GB'",
    "PRAGMA enable_profiling",
    "CALL enable_logging()",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "FROM checkpoint()",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "COMMIT",
    "UPDATE EXTENSIONS",
    "INSERT INTO language VALUES ('x', 'x', false)",
    "WITH new AS (INSERT INTO language VALUES ('x', 'x', false) RETURNING *) FROM new",
    "UPDATE fact SET object = 'x'",
    "DELETE FROM fact",
    "TRUNCATE fact",
    "MERGE INTO fact USING fact AS other USING (fact) WHEN MATCHED THEN DELETE",
    "CREATE TABLE x (n INTEGER)",
    "CREATE OR REPLACE VIEW likn AS SELECT 1",
    "CREATE OR REPLACE MACRO usable(status) AS true",
    "CREATE SECRET s (TYPE s3)",
    "DROP VIEW likn",
    "ALTER TABLE fact ADD COLUMN x INTEGER",
    "COMMENT ON TABLE fact IS 'x'",
)
EVERY = tuple(form.format(path) for form, path in itertools.product(TO_PATHS, PATHS)) + OTHERS


UNWRITTEN = {
    "INVALID",
    "RELATION",
    "LOGICAL_PLAN",
    "CREATE_FUNC",
    "VARIABLE_SET",
    "EXTENSION",
    "ANALYZE",
    "COPY_DATABASE",
}
"""Types that no text is parsed to: DuckDB's own, and those that are another type once parsed."""
TYPED = {
    "SELECT": "SELECT 1",
    "EXPLAIN": "EXPLAIN SELECT 1",
    "PRAGMA": "PRAGMA memory_limit = '1GB'",
    "MULTI": "PIVOT fact ON relation USING count(*)",
}
