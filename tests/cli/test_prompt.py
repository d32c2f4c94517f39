"""Ways in: the prompt of `atlas sql`, SQL from a file, the schema, completion, `-h` and `python -m atlas`."""

import json
import os
import signal
import subprocess
import sys

import duckdb
import pytest

import atlas
from atlas import schema
from atlas.cli import interrupts, prompt
from atlas.cli.main import COMMANDS
from atlas.store import docs


@pytest.fixture
def typed(facts_only, shell, tmp_path, monkeypatch):
    """Types lines at the prompt of `atlas sql`, as on a terminal, and returns how it ended."""

    def run(*lines):
        left = iter(lines)

        def read(prompt):
            try:
                return next(left)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        monkeypatch.setattr("atlas.cli.prompt.on_terminal", lambda: True)
        monkeypatch.setattr("builtins.input", read)
        return shell("sql", "--db", facts_only)

    return run


def test_the_prompt_answers_statements_and_goes_on_after_errors(typed, tmp_path):
    ended = typed(
        "select 40 + 2", "as answer;", "", ";", "select * from fcat;", "select 'still here' as s;", "exit", "no;"
    )
    assert ended.code == 0
    assert "answer\n    42\n" in ended.out
    assert "still here" in ended.out
    assert 'Did you mean "fact"?' in ended.err
    assert "no" not in ended.err.split("fcat")[1].split()
    assert (tmp_path / "state" / "neuron-atlas" / "sql-history").exists()


def test_the_prompt_ends_with_its_input(typed):
    assert typed("select 1 as one;", "select 2").code == 0


def test_sql_comes_from_a_file(shell, facts_only, tmp_path):
    (tmp_path / "q.sql").write_text("SELECT count(*) AS n\nFROM fact;\n", "utf-8")
    assert shell("sql", "-f", tmp_path / "q.sql", "--db", facts_only, "--format", "csv").out == "n\n4\n"
    assert shell("sql", "SELECT 1", "--file", tmp_path / "q.sql", "--db", facts_only).code == 2
    assert shell("sql", "--file", tmp_path / "none.sql", "--db", facts_only).code == 2


@pytest.mark.slow
def test_schema_lists_tables_and_views_and_the_columns_of_one(shell, one_imported):
    names = [row["name"] for row in json.loads(shell("schema", "--json").out)]
    with duckdb.connect(one_imported, read_only=True) as connection:
        found = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        columns = docs.columns("likn", connection)
    assert {*schema.TABLES} | {view for (view,) in found if not view.endswith("_all")} <= {*names}
    rows = json.loads(shell("schema", "likn", "--json").out)
    assert [(row["column"], row["type"]) for row in rows] == columns
    assert all(row["meaning"] for row in rows)
    assert [row["column"] for row in json.loads(shell("schema", "fact", "--json").out)][:2] == ["fact", "relation"]
    ended = shell("schema", "liknn")
    assert ended.code == 2
    assert "did you mean likn" in ended.err


@pytest.mark.slow
def test_schema_prints_whole_sentences_and_plain_characters(shell):
    said = {row["name"]: row["meaning"] for row in json.loads(shell("schema", "--json").out)}
    assert said["likn"] == "Language-independent knowledge neurons of a fact (METHOD 3, Eq. 8)"
    assert said["claim"] == "Claims <subject, relation, object> in a language, to be judged"
    assert not [name for name, text in said.items() if "&" in text or text.count("(") != text.count(")")]
    verdict = {row["column"]: row["meaning"] for row in json.loads(shell("schema", "verdict", "--json").out)}
    assert verdict["supported"] == "score > threshold; NULL if unusable"
    assert "score > threshold" in shell("schema", "verdict").out


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("edit", "undo")], ids=" ".join)
def test_h_is_help(shell, command):
    ended = shell(*command, "-h")
    assert ended.code == 0
    assert ended.out == shell(*command, "--help").out
    assert "Usage: " in ended.out


def test_shells_complete_commands():
    environment = os.environ | {"_ATLAS_COMPLETE": "complete_bash", "COMP_WORDS": "atlas neu", "COMP_CWORD": "1"}
    words = [sys.executable, "-m", "atlas"]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["neurons"]


def test_dir_shows_what_there_is():
    assert {"open", "Atlas", "Writer", "Result", "__version__"} <= set(dir(atlas))
    assert all(getattr(atlas, name) is not None for name in atlas.__all__)


def test_a_line_that_ctrl_c_forgets_does_not_end_the_prompt(monkeypatch):
    """The thread that ends a process which does not end by itself is told that this one goes on."""
    read, write = os.pipe()
    os.write(write, bytes([signal.SIGINT]))
    typed = iter([KeyboardInterrupt, EOFError])

    def line(_):
        raise next(typed)

    monkeypatch.setattr("builtins.input", line)
    assert list(prompt.statements()) == []
    assert not interrupts._ends(interrupts._signal(read))
    interrupts._SETTLED.clear()
