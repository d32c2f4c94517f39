"""A build that is killed at any moment loses nothing, and ends with the same rows as one left alone."""

import random
import signal
import subprocess
import sys
import time

import pytest
from content import content

import atlas

ROUNDS = 6
FACTS = 40

# Runs `atlas build`, and tells on stdout of each batch computed and of each load begun and ended.
DRIVER = """
import sys
from atlas.building import plan
from atlas.running import work as local
from atlas.cli.main import main
from atlas.cli.output.progress import TerminalProgress
from atlas.store import Writer

def tell(*_):
    sys.stdout.write(".")
    sys.stdout.flush()

load = Writer.load_batch

def load_and_tell(*arguments):
    tell()
    load(*arguments)
    tell()

local.LOAD_PROMPTS = 6
plan.MOST_PROMPTS = 1
TerminalProgress.advance = tell
Writer.load_batch = load_and_tell
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def many(tmp_path):
    """Forty facts in two languages, two templates each."""
    folder = tmp_path / "many"
    folder.mkdir()
    facts = [
        f"P36,{language},{name},Paris,{name},paris"
        for number in range(FACTS)
        for name in (f"Land {number}",)
        for language in ("en", "fr")
    ]
    templates = [f"P36,{code},{text} [X] is [Y] .,0" for code in ("en", "fr") for text in ("the capital of", "city")]
    (folder / "facts.csv").write_text(
        "\n".join(["relation,language,subject,object,subject_key,object_key", *facts]), "utf-8"
    )
    (folder / "templates.csv").write_text("\n".join(["relation,language,template,held_out", *templates]), "utf-8")
    return folder


def _start(*words):
    command = [sys.executable, "-c", DRIVER, "build", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _kill_after(process, events, seconds):
    """Kill the build once it has told of `events` and `seconds` have passed; return whether it was still running."""
    told = 0
    while told < events and process.stdout.read(1) == b".":
        told += 1
    time.sleep(seconds)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_killed_build_goes_on_and_ends_with_the_same_rows(tmp_path, many, masked):
    words = ("--model", masked, "--dataset", many, "--db")
    whole = _start(*words, tmp_path / "whole.duckdb")
    out, err = whole.communicate()
    assert whole.returncode == 0, err
    assert out.startswith(b"." * FACTS)

    chance = random.Random(20240623)
    killed, seen = 0, 0
    for _ in range(ROUNDS):
        process = _start(*words, tmp_path / "killed.duckdb")
        killed += _kill_after(process, chance.randint(0, 12), chance.uniform(0, 0.02))
        rows = _probes(tmp_path / "killed.duckdb")
        assert rows >= seen, "rows that were loaded are lost"
        seen = rows
    assert killed == ROUNDS

    last = _start(*words, tmp_path / "killed.duckdb")
    out, err = last.communicate()
    assert last.returncode == 0, err
    assert content(tmp_path / "killed.duckdb") == content(tmp_path / "whole.duckdb")


def _probes(path):
    if not path.exists():
        return 0
    with atlas.open(path) as opened:
        return opened.sql("SELECT count(*) AS rows FROM probe").to_pylist()[0]["rows"]
