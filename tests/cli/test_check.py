"""`atlas check` as a user meets it: every claim keeps its row, every mistake its sentence."""

import json

import pytest

from atlas.checking.answers import Answer
from atlas.checking.claims import Claim

CLAIMS = """subject,relation,object,language,truth
France,P36,Paris,en,true
Atlantis,P36,Berlin,en,
,P36,Paris,en,
France,P36,nan,en,
France,P999,Paris,en,
France,P36,Paris,xx,
France,P36,Paris,en,maybe
"""


@pytest.fixture
def check(built, shell, masked, db):
    """Runs `atlas check` on the tiny BERT's atlas."""
    return lambda *words, model=masked: shell(
        "check", "--model", model, "--db", db, "--evidence", "kn", "--device", "cpu", *words
    )


@pytest.mark.parametrize("command", ["check", "doctor", "sql"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(shell, tmp_path, command):
    (tmp_path / "mine.csv").write_text("mine")
    for place, code, said in (("mine.csv", 2, "is there already"), ("no/rows.csv", 1, "No such file or directory")):
        ended = shell(command, "--db", tmp_path / "none.duckdb", "--output", tmp_path / place)
        assert (ended.code, said in ended.err) == (code, True)


@pytest.mark.slow
def test_a_claim_that_cannot_be_judged_keeps_its_row_and_says_why(check, tmp_path):
    (tmp_path / "claims.csv").write_text(CLAIMS, "utf-8")
    ended = check("--claims", tmp_path / "claims.csv", "--format", "jsonl")
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [row["subject"] for row in rows] == ["France", "Atlantis", "", *["France"] * 4]
    assert all(row["verdict"] or row["status"] != "ok" for row in rows)
    reasons = (
        "subject is empty",
        "object is empty",
        "There is no relation 'P999'",
        "no language 'xx'",
        "neither true nor",
    )
    for row, words in zip(rows[2:], reasons, strict=True):
        assert row["verdict"] is None
        assert words in row["status"]
    assert rows[0]["probability"] > 0
    assert "cannot spell" in rows[1]["status"]
    assert "does not know the subject 'Atlantis'" in rows[1]["notes"][0]
    assert "claims have no verdict" in ended.err
    assert "with a truth" not in ended.err


def test_known_truths_are_marked(check, tmp_path, monkeypatch):
    claims = [Claim("France", "P36", "Paris", "en", True), Claim("Peru", "P36", "Rome", "en", False)]
    answers = [
        Answer(claim, "kn", "ok", score=score, threshold=0.5) for claim, score in zip(claims, (0.9, 0.6), strict=True)
    ]
    monkeypatch.setattr("atlas.checking.judge.check_claims", lambda *_, **__: answers)
    (tmp_path / "claims.csv").write_text(CLAIMS, "utf-8")
    ended = check("--claims", tmp_path / "claims.csv", "--format", "jsonl")
    assert "of 2 claims with a truth and a verdict: accuracy 0.500 (0.000 to 1.000), auroc 1.000" in ended.err
    one = check("--subject", "France", "--relation", "P36", "--object", "Paris", "--columns", "score")
    assert one.out.split() == ["score", "0.9", "0.6"]


@pytest.mark.quick(3)
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--subject", "France", "--relation", "P999", "--object", "Paris"), 2, "There is no relation 'P999'"),
        (("--subject", "France"), 2, "whole claim"),
        (("--evaluate", "--from", "union"), 2, "--from union"),
        (("--evaluate", "--from", "astrology"), 2, "no scorer 'astrology'"),
        (("--evaluate", "--relations", "P999"), 2, "no relation 'P999'"),
        (("--evaluate", "--conditions", "upside-down"), 2, "upside-down"),
        (("--claims", "nowhere.csv"), 1, "cannot be read"),
        (("--evaluate", "--language", "en"), 2, "--evaluate takes --languages"),
        (("--claims", "nowhere.csv", "--language", "fr"), 2, "a file has a column language"),
        (("--claims", "nowhere.csv", "--limit", "3"), 2, "--limit is for --evaluate alone"),
        (("--evaluate", "--db", "typo.duckdb"), 1, "no atlas at typo.duckdb"),
    ],
)
def test_a_mistake_is_one_sentence(check, words, code, said):
    ended = check(*words)
    assert ended.code == code
    assert ended.out == ""
    assert said in ended.err
    assert ended.err.startswith("error: ")


def test_wrong_columns_are_named(check, tmp_path):
    (tmp_path / "claims.csv").write_text("who,what\nFrance,Paris\n", "utf-8")
    ended = check("--claims", tmp_path / "claims.csv")
    assert ended.code == 1
    assert "lacks subject, relation, object" in ended.err
