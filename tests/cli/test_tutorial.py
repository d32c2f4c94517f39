"""The tutorial runs as written: its commands and its Python, in order, in an empty folder.

Commands stand behind `$ ` in blocks marked `console`, Python behind `>>>` in blocks marked `pycon`; what follows is
the output, where `...` stands for anything.
"""

import doctest
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.slow
def test_the_tutorial_runs_as_written(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    assert {kind for kind, _ in blocks} == {"console", "pycon"}
    for kind, text in blocks:
        _console(shell, text) if kind == "console" else _python(text, names)


def _console(shell, text):
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        program, *words = shlex.split(command)
        assert program == "atlas"
        ended = shell(*words)
        assert ended.code == 0, f"{command}: {ended.err}"
        assert doctest.OutputChecker().check_output(expected, ended.out, FLAGS), f"{command} said:\n{ended.out}"


def _python(text, names):
    test = doctest.DocTestParser().get_doctest(text, names, "tutorial", str(PAGE), 0)
    said = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, "".join(said)
