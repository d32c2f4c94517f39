"""`atlas exam` as a user meets it; `tests/exam` says what it measures."""

import json

import pytest

from atlas.exam import base_setting
from atlas.exam.job import Exam
from atlas.exam.results import Row


@pytest.fixture
def sat(monkeypatch):
    """An exam that takes no time; returns what it was asked."""
    asked = []

    def examine(settings, methods, seeds, progress, workers):
        names = [setting.name for setting in settings]
        asked.append((names, methods, seeds))
        row = Row("bert", "base", "base", 0.1, 20, 4, 0, methods[0], "KN", "single", 3, 1, 0)
        return Exam([row], [], 1.0)

    monkeypatch.setattr("atlas.exam.job.examine", examine)
    return asked


def test_the_exam_is_a_command(shell, sat):
    done = shell("exam", "--method", "kn,joint", "--seeds", "3", "--json")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)
    assert (row["method"], row["right"], row["precision"]) == ("kn", 3, 0.75)
    ((names, methods, seeds),) = sat
    assert names[0] == base_setting("bert").name
    assert (methods, seeds) == (("kn", "joint"), 3)


def test_a_setting_named_twice_is_sat_once(shell, sat):
    assert shell("exam", "--setting", "layers 2,base,layers 2", "--json").code == 0
    assert sat[0][0] == ["layers 2", "base"]


def test_the_words_before_still_serve_and_say_so(shell, sat, tmp_path):
    done = shell("evaluate", "--planted", "--family", "gpt2", "--figure", tmp_path / "exam.svg", "--format", "csv")
    assert done.code == 0, done.err
    assert "note: `atlas evaluate --planted` is `atlas exam` now" in done.err
    assert done.out.startswith("family,")
    assert (tmp_path / "exam.svg").read_text("utf-8").startswith("<svg")


@pytest.mark.parametrize("words", [("--family", "t5"), ("--method", "best")])
def test_unknown_words_are_refused(shell, sat, words):
    done = shell("exam", *words)
    assert done.code == 2
    assert f"{words[0]} cannot be {words[1]!r}" in done.err
    assert not sat


@pytest.mark.parametrize("option", ["--figure", "--output"])
def test_a_file_of_others_is_refused_before_the_exam(shell, tmp_path, option):
    (tmp_path / "mine.csv").write_text("mine")
    ended = shell("exam", option, tmp_path / "mine.csv")
    assert (ended.code, f"name another file with {option}" in ended.err) == (2, True)
