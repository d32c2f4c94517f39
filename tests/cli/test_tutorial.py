"""The tutorials run as written: their commands and its Python, in order, in an empty folder.

Commands stand behind `$ ` in blocks marked `console`, Python behind `>>>` in blocks marked `pycon`; what follows is
the output, where `...` stands for anything.
"""

import doctest
import re
import shlex
from pathlib import Path

import pytest

import atlas

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.slow
@pytest.mark.parametrize("page", ["tutorial.md", "checking.md", "python.md", "../README.md"])
def test_the_tutorial_runs_as_written(page, shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = BLOCK.findall((DOCS / page).read_text("utf-8"))
    assert "pycon" in {kind for kind, _ in blocks}
    for kind, text in blocks:
        _console(shell, text) if kind == "console" else _python(page, text, names)


def test_the_package_says_of_itself_what_runs(one_built, tmp_path, monkeypatch):
    monkeypatch.chdir(one_built.parent)
    _, _, code = atlas.__doc__.partition("\n\n")
    names = {}
    exec(code, names)
    assert isinstance(names["a"], atlas.Atlas)


def _console(shell, text):
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        program, *words = shlex.split(command)
        assert program == "atlas"
        ended = shell(*words)
        assert ended.code == 0, f"{command}: {ended.err}"
        assert doctest.OutputChecker().check_output(expected, ended.out, FLAGS), f"{command} said:\n{ended.out}"


def _python(page, text, names):
    test = doctest.DocTestParser().get_doctest(text, names, page, page, 0)
    said = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, "".join(said)
