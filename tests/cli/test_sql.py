"""`atlas sql`: the bytes of every format, and what a query may not do."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

GOLDEN = Path(__file__).parent / "golden"
AWKWARD = (GOLDEN / "awkward.sql").read_text("utf-8")


@pytest.fixture
def sql(shell, facts_only):
    def run(query, *words):
        return shell("sql", query, "--db", facts_only, *words)

    return run


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", ["table", "csv", "tsv", "json", "jsonl", "markdown"])
def test_every_awkward_value_in_every_format(sql, name):
    ended = sql(AWKWARD, "--format", name)
    assert ended.code == 0
    assert ended.out == (GOLDEN / f"awkward.{name}").read_bytes().decode()


def test_parquet_keeps_types_and_values(sql, tmp_path):
    output = tmp_path / "rows.parquet"
    assert sql(f"SELECT * EXCLUDE (span) FROM ({AWKWARD})", "--output", output).code == 0
    table = parquet.read_table(output)
    assert [str(column.type) for column in table.schema][:6] == [
        "int64", "double", "float", "string", "timestamp[us]", "list<element: int32>",
    ]  # fmt: skip
    assert json.dumps(table.column("double").to_pylist()[:5]) == "[100.0, null, NaN, Infinity, -Infinity]"
    assert table.column("text").to_pylist()[2:4] == ["عاصمة فرنسا", "法国的首都，"]


def test_what_parquet_cannot_hold_is_said(sql, tmp_path):
    ended = sql("SELECT INTERVAL 1 DAY AS span", "--output", tmp_path / "rows.parquet")
    assert ended.code == 2
    assert "cast it in the query" in ended.err
    assert not list(tmp_path.glob("*rows*"))


@pytest.mark.parametrize("name", ["csv", "json", "jsonl", "markdown", "table"])
def test_a_result_without_rows(sql, name):
    ended = sql("SELECT 1 AS n, 'x' AS t WHERE false", "--format", name)
    assert ended.code == 0
    expected = {"csv": "n,t\n", "json": "[]\n", "jsonl": "", "markdown": "| n | t |\n| ---: | --- |\n"}
    assert ended.out == expected.get(name, "n  t\n")


def test_names_that_come_twice_stay_apart_in_json(sql):
    assert sql("SELECT 1 AS n, 2 AS n", "--format", "jsonl").out == '{"n": 1, "n_1": 2}\n'


@pytest.mark.parametrize(("ending", "start"), [(".csv", "n\n1"), (".json", "[\n{"), (".md", "| n |"), (".txt", "n\n1")])
def test_the_ending_of_the_output_decides(sql, tmp_path, ending, start):
    ended = sql("SELECT 1 AS n", "--output", tmp_path / f"rows{ending}")
    assert (ended.code, ended.out) == (0, "")
    assert (tmp_path / f"rows{ending}").read_text("utf-8").startswith(start)


def test_an_output_that_cannot_be_written_is_named(sql, tmp_path):
    ended = sql("SELECT 1", "--output", tmp_path / "no" / "rows.csv")
    assert ended.code == 1
    assert ended.err == f"error: {tmp_path / 'no' / 'rows.csv'} cannot be written: No such file or directory; " \
                        "choose another --output.\n"  # fmt: skip


def test_a_long_table_is_cut_and_says_so(sql):
    ended = sql("SELECT range AS n FROM range(1500)")
    assert len(ended.out.splitlines()) == 1001
    assert ended.err == "note: 1,000 of 1,500 rows shown; --format csv writes them all\n"
    assert len(sql("SELECT range AS n FROM range(1500)", "--format", "csv").out.splitlines()) == 1501


def test_the_query_may_come_from_stdin(sql, monkeypatch):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 7 AS n"))
    assert sql("-", "--format", "csv").out == "n\n7\n"


@pytest.mark.quick(4)
@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM fact",
        "CREATE TABLE x (n INTEGER)",
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY fact TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT \0",
    ],
)
def test_what_a_query_may_not_do_is_an_error_without_a_traceback(sql, query, tmp_path):
    before = sorted(tmp_path.iterdir())
    ended = sql(query.format(folder=tmp_path))
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert "Traceback" not in ended.err
    assert "unexpected" not in ended.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("query", ["", " \n"])
def test_no_query_is_wrong_usage(sql, query):
    ended = sql(query)
    assert ended.code == 2
    assert ended.err.startswith("error: There is no query")


def test_a_change_whose_rows_cannot_be_written_is_not_made(sql):
    ended = sql("DELETE FROM fact_label RETURNING language", "--write", "--columns", "nothing")
    assert (ended.code, "There is no column 'nothing'" in ended.err) == (2, True)
    assert sql("SELECT count(*) > 0 AS left FROM fact_label", "--format", "csv").out == "left\ntrue\n"


def test_write_lets_a_query_change_the_atlas(sql):
    assert sql("DELETE FROM fact_label WHERE language = 'zh'", "--write").code == 0
    assert sql("SELECT count(*) AS n FROM fact_label WHERE language = 'zh'", "--format", "csv").out == "n\n0\n"


def test_files_are_open_only_on_request(sql, tmp_path):
    (tmp_path / "mine.csv").write_text("n\n5\n")
    query = f"SELECT n FROM '{tmp_path / 'mine.csv'}'"
    assert sql(query).code == 1
    assert sql(query, "--allow-files", "--format", "csv").out == "n\n5\n"


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("query", "words", "message"),
    [
        ("SELECT sleep_ms(100000)", ("--timeout", "0.2"), "was stopped after 0.2 s, its time limit"),
        ("SELECT list(i) FROM range(100000000) t(i)", ("--memory", "50MB"), "needs more memory than its limit"),
        ("FROM range(20000000)", ("--memory", "50MB"), "50 MB"),
        ("FROM 'x.csv'", (), "may not touch other files"),
    ],
)
def test_a_limit_that_a_query_passed_is_named_with_its_option(sql, query, words, message):
    ended = sql(query, *words)
    assert ended.code == 1
    assert message in ended.err or "needs more memory" in ended.err
    assert ended.err.endswith("note: --timeout, --memory and --allow-files set what a query may take and touch\n")


@pytest.mark.slow
def test_a_query_that_does_not_stop_ends_the_process(facts_only):
    # No function of SQL is called while the multiplication lasts, so an interrupt is not seen.
    query = "SELECT length((repeat('9', 3000000)::BIGNUM * repeat('9', 3000000)::BIGNUM)::VARCHAR)"
    command = [sys.executable, "-m", "atlas.cli", "sql", query, "--db", str(facts_only), "--timeout", "0.1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "was stopped after 0.1 s" in ended.stderr


def test_times_that_python_cannot_hold(sql):
    ended = sql("SELECT 'infinity'::DATE AS d, ['-infinity'::TIMESTAMP] AS l", "--format", "jsonl")
    assert ended.code == 0
    assert json.loads(ended.out) == {
        "d": "<value out of range: 2147483647>",
        "l": ["<value out of range: -9223372036854775807>"],
    }


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "duckdb", "folder"])
def test_a_file_that_is_no_atlas(shell, tmp_path, kind):
    import duckdb

    path = tmp_path / "x.duckdb"
    if kind == "text":
        path.write_text("hello, this is no database at all")
    elif kind == "empty":
        path.touch()
    elif kind == "duckdb":
        duckdb.connect(str(path)).execute("CREATE TABLE fact (n INTEGER)").close()
    elif kind == "folder":
        path.mkdir()
    before = path.read_bytes() if path.is_file() else None
    ended = shell("sql", "SELECT 1", "--db", path)
    assert ended.code == 1
    assert ended.err.startswith("error: ")
    assert str(path) in ended.err
    assert before == (path.read_bytes() if path.is_file() else None)


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "parquet"])
def test_columns_of_one_name_keep_their_values_in_every_format_that_goes_by_names(sql, tmp_path, suffix):
    target = tmp_path / f"out.{suffix}"
    sql("SELECT 1 AS a, 2 AS a_1, 3 AS a", "--output", str(target))
    if suffix == "parquet":
        (row,) = parquet.read_table(target).to_pylist()
    elif suffix == "csv":
        (row,) = csv.DictReader(target.read_text().splitlines())
    else:
        row = json.loads(target.read_text())
        row = row[0] if suffix == "json" else row
    assert {name: int(value) for name, value in row.items()} == {"a": 1, "a_1": 2, "a_2": 3}


def test_names_and_lines_do_not_break_a_table(sql):
    assert sql('SELECT 1 AS "a|b"', "--format", "markdown").out == "| a\\|b |\n| ---: |\n| 1 |\n"
    assert sql("SELECT 'a' || chr(8232) || 'b' AS x").out == "x\na\\u2028b\n"
