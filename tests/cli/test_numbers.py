"""Numbers that nothing can come of are refused before anything is read or made."""

import pytest

HUGE = 10**20


@pytest.mark.parametrize(
    "words",
    [
        ("build", "--limit", HUGE),
        ("build", "--seed", HUGE),
        ("build", "--seed", -HUGE),
        ("build", "--threads", 100_000),
        ("build", "--nodes", 1_000_000),
        ("build", "--max-nodes", HUGE),
        ("build", "--method", "kn", "--max-nodes", 1),
        ("build", "--max-nodes", 16, "--nodes", 64),
        ("build", "--cuts", HUGE),
        ("build", "--memory", "9999999GB"),
        ("import", "--limit", HUGE),
        ("knockout", "--limit", HUGE),
        ("knockout", "--top", HUGE),
        ("check", "--evaluate", "--seed", HUGE),
        ("evaluate", "--limit", HUGE),
        ("facts", "--limit", HUGE),
        ("neurons", "--limit", HUGE),
        ("exam", "--seeds", HUGE),
        ("edit", "undo", "1", "--threads", 100_000),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_a_number_beyond_use_is_wrong_usage(shell, tmp_path, words):
    db = [] if words[0] == "exam" else ["--db", tmp_path / "none.duckdb"]
    ended = shell(*words, *db)
    assert (ended.code, ended.out) == (2, "")
    assert str(words[-1]) in ended.err
    assert "unexpected" not in ended.err
    assert len([line for line in ended.err.splitlines() if line.startswith("error:")]) == 1
    assert list(tmp_path.iterdir()) == []
