"""stderr: one line an error, `note:` lines for the way out, nothing that steers a terminal."""

import logging

import pytest

from atlas.cli import diagnostics
from atlas.cli.exits import ExitCode
from atlas.errors import DataError, UsageError


def test_an_error_is_a_line_and_notes(capsys):
    diagnostics.error("it broke", "mend it", "or not")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: it broke\nnote: mend it\nnote: or not\n"


@pytest.mark.parametrize(
    ("problem", "code", "line"),
    [
        (UsageError("Wrong."), ExitCode.USAGE, "error: Wrong."),
        (DataError("Bad."), ExitCode.FAILED, "error: Bad."),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), ExitCode.FAILED,
         "error: x.csv: No such file or directory"),
        (RuntimeError("odd"), ExitCode.FAILED, "error: unexpected RuntimeError: odd"),
    ],
)  # fmt: skip
def test_each_problem_has_its_code(problem, code, line, capsys):
    assert diagnostics.explain(problem) is code
    assert capsys.readouterr().err.splitlines()[0] == line


def test_notes_that_an_error_gained_on_its_way_are_shown(capsys):
    problem = DataError("Bad.")
    problem.add_note("in P36.tsv")
    diagnostics.explain(problem)
    assert capsys.readouterr().err == "error: Bad.\nnote: in P36.tsv\n"


def test_the_traceback_is_for_debug_only(capsys):
    try:
        raise DataError("Bad.")
    except DataError as problem:
        diagnostics.explain(problem)
        assert "Traceback" not in capsys.readouterr().err
        diagnostics.explain(problem, debug=True)
        assert "Traceback" in capsys.readouterr().err


def test_what_is_logged_is_a_warning_line_once(capsys):
    for _ in range(2):
        diagnostics.show_warnings()
    logging.getLogger("atlas").warning("Memory \x1b[31mwas refused %d times.", 2)
    assert capsys.readouterr().err == "warning: Memory \\x1b[31mwas refused 2 times.\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
        ("\ud800", "\\ud800"),
        ("مرحبا 法国 é", "مرحبا 法国 é"),
    ],
)
def test_text_cannot_steer_the_terminal(text, shown, capsys):
    diagnostics.error(text)
    assert capsys.readouterr().err == f"error: {shown}\n"


def test_further_lines_are_indented(capsys):
    diagnostics.error("first\nsecond")
    assert capsys.readouterr().err == "error: first\n  second\n"


def test_an_option_without_its_value_leads_to_the_help_of_its_command(shell):
    ended = shell("build", "--method")
    assert (ended.code, ended.err.splitlines()[-1]) == (2, "note: `atlas build --help` lists the options")
