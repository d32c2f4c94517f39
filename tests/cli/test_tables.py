"""Tables as a terminal shows them: golden files at 80 and 120 columns, and what is said beside them.

With WRITE_GOLDEN=1 in the environment the golden files are written anew, to be looked at before they are kept.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from quick import first_quick

import atlas

GOLDEN = Path(__file__).parent / "golden" / "tables"
LOOKUPS = {
    "runs": ("runs",),
    "facts": ("facts", "--limit", "0"),
    "neurons": ("neurons", "--run", "5000000000000000000"),
    "neurons-of-fact": ("neurons", "paris", "--run", "5000000000000000000"),
    "neuron": ("neurons", "L3.486", "--run", "5000000000000000000"),
    "edit-list": ("edit", "list"),
    "models": ("models",),
}
WIDTHS = (80, 120)
NUMBER = re.compile(r"(?<!\S)(?:L?\d[\d.]*)(?!\S)")


@pytest.fixture(scope="session")
def one_filled(one_imported, tmp_path_factory):
    path = shutil.copy(one_imported, tmp_path_factory.mktemp("filled") / "atlas.duckdb")
    with atlas.open(path, "a") as writer:
        writer.sql((Path(__file__).parent / "filled.sql").read_text("utf-8"))
    return path


@pytest.fixture
def look(one_filled, shell, monkeypatch):
    def run(*words, width=None):
        if width:
            monkeypatch.setenv("COLUMNS", str(width))
        return shell(*words, *(() if words[0] == "models" else ("--db", one_filled)))

    return run


@pytest.mark.quick(2)
@pytest.mark.parametrize("width", first_quick(*WIDTHS))
@pytest.mark.parametrize("name", LOOKUPS)
def test_lookups_fit_the_terminal(look, name, width):
    ended = look(*LOOKUPS[name], width=width)
    assert ended.code == 0, ended.err
    golden = GOLDEN / f"{name}-{width}.txt"
    if os.environ.get("WRITE_GOLDEN"):
        golden.write_text(ended.out, "utf-8")
    assert ended.out == golden.read_text("utf-8")


@pytest.mark.parametrize("name", first_quick(*LOOKUPS))
def test_no_line_is_wider_than_the_terminal_and_no_number_is_broken(look, name):
    from rich.cells import cell_len

    narrow, whole = (look(*LOOKUPS[name], width=width).out.rpartition("\n\n")[2] for width in (80, 1000))
    assert max(map(cell_len, narrow.splitlines())) <= 80
    assert set(NUMBER.findall(narrow)) <= set(NUMBER.findall(whole))


def test_a_table_that_cannot_be_side_by_side_is_written_row_under_row(look):
    ended = look("runs", "--all-columns", width=40)
    records = ended.out.partition("-[ 1 ]-")[2].split("-[ ")
    assert len(records) == 10
    assert all(re.search(r"^model +\S", record, re.MULTILINE) for record in records)
    assert "5000000000000000003" in ended.out


def test_columns_are_chosen_in_every_format(look):
    assert look("runs", "--columns", "method,run", "--format", "csv").out.splitlines()[:2] == [
        "method,run",
        "amig,5000000000000000000",
    ]
    every = look("runs", "--all-columns").out
    assert "settings: {" in every
    assert "versions: {" in every
    ended = look("runs", "--columns", "methd")
    assert ended.code == 2
    assert "did you mean method?" in ended.err
    assert look("runs", "--columns", "run", "--all-columns").code == 2


@pytest.mark.slow
def test_a_limit_that_leaves_rows_out_is_said_and_so_is_an_empty_answer(look):
    assert look("facts", "--limit", "2").err == "note: the first 2 rows; --limit 0 gives them all\n"
    assert look("facts", "--limit", "0").err == ""
    assert look("facts", "Atlantis").err == "note: nothing fits: no rows\n"
    assert look("sql", "select * from likn where fact = 5").err == "note: nothing fits: no rows\n"
    assert look("sql", "select * from likn where fact = 5", "--json").out.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "--output", "x.csv"),
        ("--format", "csv", "--json"),
        ("--format", "jsonl", "--output", "x.parquet"),
        ("--output", "x.xlsx"),
        ("--output", "x"),
    ],
)
def test_formats_that_contradict_each_other_and_unknown_endings_are_refused(look, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = look("runs", *words)
    assert (ended.code, ended.out) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_a_file_gets_every_row_of_a_long_table(look, tmp_path):
    assert look("sql", "FROM range(1500)", "--output", tmp_path / "rows.txt").err == ""
    assert len((tmp_path / "rows.txt").read_text().splitlines()) == 1501
    assert look("runs", "--output", tmp_path / "rows.tsv", "--columns", "run,method").code == 0
    assert (tmp_path / "rows.tsv").read_text().splitlines()[1] == "5000000000000000000\tamig"


def _numbers(value):
    if isinstance(value, dict):
        return [number for each in value.values() for number in _numbers(each)]
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each)]
    return [value] if isinstance(value, int) else []


@pytest.mark.parametrize(
    "words",
    first_quick(
        ("runs",),
        ("facts",),
        ("neurons", "Paris"),
        ("neurons", "--fact", "France"),
        ("edit", "list"),
        ("sql", "FROM edit"),
        ("sql", "SELECT list(fact) AS facts, {'fact': max(fact)} AS pair, 9007199254740993 AS n FROM fact"),
    ),
)
def test_no_number_of_json_is_more_than_53_bits_wide(look, words):
    for name in ("json", "jsonl"):
        text = look(*words, "--format", name).out
        rows = json.loads(text) if name == "json" else [json.loads(line) for line in text.splitlines()]
        assert rows
        assert max(map(abs, _numbers(rows)), default=0) < 2**53


def test_a_column_of_ids_is_of_one_type_whatever_it_holds(look):
    rows = json.loads(look("sql", "SELECT 1::BIGINT AS fact UNION ALL SELECT NULL ORDER BY 1", "--json").out)
    assert rows == [{"fact": "1"}, {"fact": None}]
    rows = json.loads(look("sql", "SELECT unnest([1, 9007199254740993]) AS n ORDER BY 1", "--json").out)
    assert rows == [{"n": "1"}, {"n": "9007199254740993"}]


@pytest.mark.quick(1)
@pytest.mark.parametrize("program", [("jq", ".[0].fact"), ("node", None)])
def test_ids_go_through_other_readers_and_find_their_fact(look, one_filled, program):
    name, path = program
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    read = [name, "-r", path] if path else [name, "-p", "JSON.parse(fs.readFileSync(0))[0].fact"]
    rows = look("facts", "Germany", "--json").out
    fact = subprocess.run(read, input=rows, capture_output=True, text=True, check=True).stdout.strip()
    with atlas.open(one_filled) as opened:
        assert opened.fact_ids(fact) == opened.fact_ids("Germany")
