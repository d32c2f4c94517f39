"""Whatever is asked of `atlas sql`, and with whatever options, it ends with an exit code and at most one error."""

import contextlib
import io
import os
import sys
import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from statements import EVERY, TYPED

from atlas.cli.main import main

fuzz = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))

KEYWORDS = """
    SELECT FROM WHERE DISTINCT EXPLAIN DESCRIBE SUMMARIZE SHOW USE COPY PRAGMA SET RESET INSTALL LOAD UPDATE BEGIN
    COMMIT
    CHECKPOINT CALL PIVOT ( ) , ; * = :: ' " -- /* */ $1 $x ? [ ] fact likn attribution atlas_info knowledge_neuron
    nowhere
    layer x 1 -1 0.5 1e999 NULL '' httpfs
"""
WORDS = [
    *KEYWORDS.split(),
    *("\\", "read_csv('/etc/passwd')", "glob('*')"),
    *("GROUP BY ALL", "ORDER BY ALL", "LIMIT 3", "JOIN", "USING (fact)", "UNION ALL", "WITH RECURSIVE t AS ("),
    *("likn_at(", "tau :=", "'NaN'::DOUBLE", "'infinity'::DATE", "'\x00'", "9" * 60, "INTERVAL 1 MONTH"),
    *("TO 'stolen.csv'", "ATTACH 'stolen.duckdb'", "EXPORT DATABASE 'stolen'", "CREATE TABLE stolen AS"),
    *("DELETE FROM fact", "DROP TABLE fact", "INSERT INTO", "PREPARE p AS", "EXECUTE p", "test_all_types()"),
    *("enable_external_access = true", "lock_configuration = false"),
    *("\u202e", "𝄞", "é", "\ud800", "\udcff", "\x1b[31m", "\ufeff", "\x85"),
]
ODD = ["", " ", "0", "-1", "nan", "inf", "1e400", "x", "2GB", "1MB", "999999999GB", "é", "\x00", "\udcff", "--", "-"]
queries = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
    st.sampled_from(["FROM test_all_types()", "SELECT 1", "FROM fact", "SELECT '\x00'"]),
)
formats = st.sampled_from(["table", "csv", "json", "jsonl", "markdown", "parquet", *ODD])


@pytest.fixture(scope="module")
def atlas_of_facts(tmp_path_factory):
    """The path of an atlas without runs, alone in the folder that is the working directory."""
    folder = tmp_path_factory.mktemp("sql")
    with contextlib.chdir(folder):
        assert asked("import", "bundled", "--limit", "2", "--db", "atlas.duckdb")[0] == 0
        yield folder / "atlas.duckdb"


def asked(*words):
    """Run the command line; return its exit code, and what it wrote to stderr."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return int(code), err.getvalue()


def told(code, err):
    """Check that the command ended as promised."""
    assert code in (0, 1, 2)
    assert "Traceback" not in err
    assert "error: unexpected" not in err
    assert err.count("error: ") == (code != 0)
    assert not [char for char in err if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"]


@pytest.mark.slow
@fuzz
@given(query=queries, format_=formats)
@example(query="SELECT '\udcff'", format_="table")
def test_no_query_makes_a_traceback_or_touches_a_file(atlas_of_facts, query, format_):
    before = atlas_of_facts.read_bytes()
    told(*asked("sql", "--format", format_, "--timeout", "20", "--", query))
    assert atlas_of_facts.read_bytes() == before
    assert os.listdir() == ["atlas.duckdb"]


@pytest.mark.slow
@fuzz
@given(
    texts=st.lists(st.sampled_from([*EVERY, *TYPED.values()]), min_size=1, max_size=4),
    before=st.sampled_from(["", "EXPLAIN ", "EXPLAIN ANALYZE ", "PREPARE p AS ", "/* ; */ ", "SELECT 1; ", "FROM ("]),
    between=st.sampled_from(["; ", " ;;\n", " -- ", " UNION ALL ", " "]),
)
def test_no_statement_of_any_type_changes_the_file(atlas_of_facts, texts, before, between):
    content = atlas_of_facts.read_bytes()
    told(*asked("sql", "--timeout", "20", "--", before + between.join(texts)))
    assert atlas_of_facts.read_bytes() == content
    assert os.listdir() == ["atlas.duckdb"]


@fuzz
@given(
    query=queries,
    memory=st.sampled_from(ODD),
    timeout=st.sampled_from(ODD),
    db=st.one_of(st.none(), st.text(max_size=9)),
)
def test_no_option_makes_a_traceback(atlas_of_facts, query, memory, timeout, db):
    where = "atlas.duckdb" if db is None else f"nowhere/{db}"
    told(*asked("sql", "--memory", memory, "--timeout", timeout, "--db", where, "--", query))
    assert os.listdir() == ["atlas.duckdb"]


@pytest.mark.slow
@fuzz
@given(text=st.binary(max_size=30))
def test_no_bytes_on_stdin_make_a_traceback(atlas_of_facts, text):
    stdin, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(text), "utf-8")
    try:
        told(*asked("sql", "-"))
    finally:
        sys.stdin = stdin
