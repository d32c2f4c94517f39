"""Whatever kind of statement `atlas sql` is given: the atlas is what it was, or with --write wholly changed."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
from quick import first_quick
from statements import EVERY, OTHERS, PATHS, TO_PATHS, TYPED, UNWRITTEN

import atlas
from atlas.errors import StoreError
from atlas.store.statements import FILES, check


def test_every_type_of_statement_is_among_them():
    """A type that a later DuckDB adds fails here until it has an example."""
    found = {name for text in (*EVERY, *TYPED.values()) for name in _types(text)}
    assert {name for name in dir(duckdb.StatementType) if name.isupper()} - UNWRITTEN <= found


def _types(text):
    """Yield the names of the types of a text's statements; the binding has none for some."""
    with suppress(duckdb.Error, ValueError):
        for each in duckdb.extract_statements(text):
            yield each.type.name


@pytest.fixture
def sql(shell, data, db, monkeypatch):
    assert shell("import", data, "--db", db).code == 0
    (db.parent / "sql").mkdir()
    db.rename(db.parent / "sql" / "atlas.duckdb")
    monkeypatch.chdir(db.parent / "sql")
    return lambda query, *words: shell("sql", query, "--db", "atlas.duckdb", "--format", "csv", *words)


def _files():
    return {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in os.listdir()}


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "EXPLAIN ANALYZE ", "SELECT 1; ", "-- a comment\n"])
def test_no_statement_changes_a_file(sql, before):
    files = _files()
    with atlas.open("atlas.duckdb") as opened:
        for statement in EVERY:
            if statement != "FROM checkpoint()":  # does nothing where nothing can be written
                with pytest.raises(StoreError):
                    opened.sql(before + statement)
            assert _files() == files, statement
    assert _files() == files


@pytest.mark.quick(1)
@pytest.mark.parametrize("statement", [*TO_PATHS[:2], *OTHERS[:2]])
def test_the_command_refuses_them_in_one_sentence(sql, statement):
    files = _files()
    ended = sql(statement.format("atlas.duckdb"))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("error: ") == 1
    assert "unexpected" not in ended.err
    assert _files() == files


@pytest.mark.parametrize(
    "query",
    first_quick(
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "explain (format json) from fact",
        "PRAGMA table_info('fact')",
        "DESCRIBE fact",
        "SUMMARIZE fact",
        "SHOW TABLES",
        "PIVOT fact ON relation USING count(*)",
        "VALUES (1)",
        "SELECT 1; FROM fact",
    ),
)
def test_what_reads_is_answered(sql, query):
    assert sql(query).code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "last", ["SELEC", "COPY (SELECT 1) TO 'atlas.duckdb'", "SELECT error('x')", "COMMIT; FROM nowhere"]
)
def test_write_is_all_or_nothing(sql, last):
    ended = sql(f"DELETE FROM fact_label; {last}", "--write")
    assert ended.code == 1
    assert sql("SELECT count(*) > 0 AS n FROM fact_label").out == "n\ntrue\n"


def test_write_never_writes_files(sql):
    before = set(os.listdir())
    with atlas.open("atlas.duckdb", "a") as opened:
        for statement in EVERY[: len(TO_PATHS) * len(PATHS)]:
            with pytest.raises(StoreError):
                opened.sql(statement)
    assert set(os.listdir()) == before
    assert sql("SELECT count(*) > 0 AS n FROM fact").out == "n\ntrue\n"


@pytest.mark.quick(1)
@pytest.mark.parametrize("path", first_quick(*PATHS[:3]))
@pytest.mark.parametrize("words", [(), ("--write",)])
def test_files_allowed_are_not_the_atlas(sql, path, words):
    before = _files()
    ended = sql(f"COPY (SELECT 1) TO '{path}' (FORMAT csv)", "--allow-files", *words)
    assert ended.code == 1
    assert "would write over the atlas" in ended.err
    assert _files() == before
    assert sql("COPY (SELECT 1) TO 'other.csv'", "--allow-files").code == 0


@pytest.mark.parametrize("name", ['"atlas.duckdb"', "$$atlas.duckdb$$", "$x$./atlas.duckdb$x$", "atlas.duckdb"])
def test_the_atlas_is_known_in_quotes_of_any_kind(name):
    query = f"-- it's\nCOPY (SELECT '\"') TO {name}"
    with pytest.raises(StoreError, match="would write over the atlas"):
        check(query, Path("atlas.duckdb"), FILES)
    check(query, Path("other.duckdb"), FILES)


@pytest.mark.parametrize("name", ["link.duckdb", "own.duckdb", "own.duckdb.wal"])
def test_an_atlas_that_is_opened_by_a_link_is_known_by_both_names_and_by_its_log(tmp_path, name):
    tmp_path.joinpath("link.duckdb").symlink_to("own.duckdb")
    with pytest.raises(StoreError, match="would write over the atlas"):
        check(f"COPY (SELECT 1) TO '{tmp_path / name}'", tmp_path / "link.duckdb", FILES)


def test_the_atlas_is_known_where_it_is_bound_and_no_name_is_put_together(sql):
    with atlas.open("atlas.duckdb", allow_files=True) as opened:
        for target, bound in (("?", ["atlas.duckdb"]), ("$to", {"to": "./atlas.duckdb"})):
            with pytest.raises(StoreError, match="would write over the atlas"):
                opened.sql(f"COPY (SELECT 1) TO {target}", bound)
            opened.sql(f"COPY (SELECT 1) TO {target}", ["new.csv"] if target == "?" else {"to": "new.csv"})
    ended = sql("COPY (SELECT 1) TO ('atlas' || '.duckdb') (FORMAT csv)", "--allow-files")
    assert ended.err.endswith("names a file by what stands in brackets; write its name in quotes.\n")
