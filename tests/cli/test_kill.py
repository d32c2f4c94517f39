"""A build that is killed at any moment loses nothing, and ends with the same rows as one left alone."""

import random
import time

import pytest
from content import content
from warmed import Running, telling_build

import atlas

ROUNDS = 6
FACTS = 40


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


def _kill_after(process, events, seconds):
    """Kill the build once it has told of `events` and `seconds` have passed; return whether it was still running."""
    told = 0
    while told < events and process.read() == b".":
        told += 1
    time.sleep(seconds)
    return process.kill()


@pytest.mark.slow
def test_a_killed_build_goes_on_and_ends_with_the_same_rows(tmp_path, many, masked):
    words = ("--model", masked, "--dataset", many, "--method", "gradient", "--db")
    code, out, err = Running(tmp_path, telling_build, *words, tmp_path / "whole.duckdb").end()
    assert code == 0, err
    assert out.startswith(b"." * FACTS)

    chance = random.Random(20240623)
    killed, seen = 0, 0
    for _ in range(ROUNDS):
        process = Running(tmp_path, telling_build, *words, tmp_path / "killed.duckdb")
        killed += _kill_after(process, chance.randint(0, 12), chance.uniform(0, 0.02))
        rows = _probes(tmp_path / "killed.duckdb")
        assert rows >= seen, "rows that were loaded are lost"
        seen = rows
    assert killed == ROUNDS

    code, out, err = Running(tmp_path, telling_build, *words, tmp_path / "killed.duckdb").end()
    assert code == 0, err
    assert content(tmp_path / "killed.duckdb") == content(tmp_path / "whole.duckdb")


def _probes(path):
    if not path.exists():
        return 0
    with atlas.open(path) as opened:
        return opened.sql("SELECT count(*) AS rows FROM probe").to_pylist()[0]["rows"]
