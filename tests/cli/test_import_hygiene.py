"""Commands that need no model start without torch, and none needs pandas."""

import subprocess
import sys

import pytest
from quick import first_quick

# Runs a command, then tells which of the heavy packages it has brought in.
PROBE = """
import sys
from atlas.cli.main import main
code = main(sys.argv[1:])
print("heavy:", *sorted({"torch", "transformers", "pandas", "sqlalchemy", "alembic"} & set(sys.modules)))
sys.exit(code)
"""


STRANGERS = ("atlas.cli.commands.build", "atlas.cli.commands.report", "atlas.store.writer", "atlas.facts", "asyncio")


@pytest.mark.parametrize(
    "words",
    first_quick(
        ("sql", "SELECT 1"),
        ("facts",),
        ("neurons",),
        ("runs",),
        ("report", "--out", "site"),
        ("--help",),
        ("build", "--help"),
    ),
    ids=" ".join,
)
def test_no_model_is_needed(words, facts_only, tmp_path):
    chosen = () if "--help" in words else ("--db", str(facts_only))
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, *words, *chosen], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.quick(1)
@pytest.mark.parametrize("words", [("--help",), ("build", "--help"), ("sql", "--help")], ids=" ".join)
def test_help_needs_no_database(words):
    code = PROBE.replace('"torch"', '"duckdb", "pyarrow", "torch"')
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--fact", "France"), ("France",), ("--likn",)], ids=" ".join)
def test_neurons_of_facts_are_looked_up_without_pandas_and_the_runs_once(words, built, db):
    runs = "from atlas.store import runs, reader; sql, asked = reader.Reader.sql, []\n"
    runs += "reader.Reader.sql = lambda self, query, *rest: asked.append(query) or sql(self, query, *rest)"
    code = runs + PROBE.replace("sys.exit(code)", "print(len([query for query in asked if query == runs._RUNS]))")
    command = [sys.executable, "-c", code, "neurons", *words, "--db", str(db)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-2:] == ["heavy:", "1"]


@pytest.mark.slow
def test_a_query_imports_neither_other_commands_nor_what_writes(facts_only):
    code = PROBE.replace("sys.exit(code)", f"print(*[name for name in {STRANGERS} if name in sys.modules])")
    ended = subprocess.run(
        [sys.executable, "-c", code, "sql", "SELECT 1", "--db", str(facts_only)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == ""


@pytest.mark.slow
def test_doctor_needs_no_torch(facts_only):
    command = [sys.executable, "-c", PROBE, "doctor", "--db", str(facts_only)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "torch" not in ended.stdout.splitlines()[-1]


def test_importing_the_library_is_light():
    code = "import sys, atlas; print(*sorted({'torch', 'duckdb', 'pyarrow', 'pandas'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"
