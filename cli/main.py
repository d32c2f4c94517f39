"""The `atlas` command line: registers the commands and turns every outcome into an exit code."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from typing import Annotated

import typer

import atlas

from . import diagnostics, interrupts, streams
from .exits import ExitCode
from .options import HELP, bounded

_WORDS = {
    r"Input should be greater than or equal to (\S+)": r"give a number of at least \1",
    r"Input should be less than or equal to (\S+)": r"give a number of at most \1",
    r"Input should be a valid integer\b.*": "give a whole number",
    r"Input should be a valid number\b.*": "give a number",
    "Value error, ": "",
}
"""What options refuse, as pydantic says it, and as we do."""
_KEYBOARD_INTERRUPT = 130  # what Typer makes of Ctrl-C
_GOES_ON = "what was stored is not lost; the same command goes on"
GOING_ON = ("build", "knockout", "twin", "check", "evaluate", "study", "edit")
"""Commands that go on where they were stopped."""

COMMANDS = (
    "build",
    "knockout",
    "twin",
    "check",
    "import",
    "sql",
    "schema",
    "facts",
    "neurons",
    "runs",
    "use",
    "models",
    "compare",
    "report",
    "evaluate",
    "exam",
    "study",
    "export",
    "merge",
    "upgrade",
    "doctor",
    "edit",
)
"""Each has a module of its name, which holds a function of that name, and an `app` if it has commands of its own."""


def make_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the command line with the commands `names`; the modules of the others are not imported."""
    app = typer.Typer(
        name="atlas",
        help="Find, store and query the neurons in which language models keep facts.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage. Data goes to stdout, everything else to stderr.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP,
    )
    app.callback()(_options)
    for name in names:
        _add(app, name)
    return app


def _add(app: typer.Typer, name: str) -> None:
    own = f"{name}_" if iskeyword(name) else name
    module = import_module(f".commands.{own}", __package__)
    command = getattr(module, own)
    short = (command.__doc__ or "").splitlines()[0]
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name, short_help=short, context_settings=HELP)
    else:
        app.command(name, short_help=short, context_settings=HELP)(bounded(command))


def _asked(words: Sequence[str]) -> Iterable[str]:
    """Return the command that `words` call; all, for the help that lists them and for words that name none."""
    first = next((word for word in words if not word.startswith("-")), None)
    return [first] if first in COMMANDS else COMMANDS


def _version(wanted: bool) -> None:
    if wanted:
        print(f"atlas {atlas.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; allowed anywhere.")] = False,
) -> None: ...


def main(arguments: Sequence[str]) -> ExitCode:
    """Run the command line on `arguments` and return its exit code; only real interrupts pass through."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"] or ["--help"]
    diagnostics.show_warnings()
    try:
        code = make_app(_asked(words))(words, prog_name="atlas", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as problem:
        return _wrong_usage(problem, words)
    except BrokenPipeError:
        return _reader_went_away()
    except Exception as problem:
        return diagnostics.explain(problem, debug=debug)
    if code == _KEYBOARD_INTERRUPT:
        return _interrupted(*([_GOES_ON] if {*_asked(words)} <= {*GOING_ON} else []))
    return ExitCode(code or 0)


def run() -> None:
    """Entry point of the installed `atlas` script."""
    streams.open_all()
    try:
        interrupts.watch()
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = _interrupted()
    with suppress(OSError, ValueError):  # of one that cannot be written, or was closed so, which was told
        sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.flush()
    interrupts.remove_spill()
    # torch and DuckDB's bindings report each other's objects as leaks when the interpreter is taken down.
    os._exit(code)


def _interrupted(*notes: str) -> ExitCode:
    diagnostics.error("interrupted", *notes)
    return ExitCode.FAILED


def _wrong_usage(problem: typer.TyperException, words: Sequence[str]) -> ExitCode:
    context = getattr(problem, "ctx", None)  # an option without its value is told without one
    path = context.command_path if context else " ".join(["atlas", *(word for word in words[:1] if word in COMMANDS)])
    said = problem.format_message()
    for theirs, ours in _WORDS.items():
        said = re.sub(theirs, ours, said)
    diagnostics.error(said, f"`{path} --help` lists the options")
    return ExitCode.USAGE


def _reader_went_away() -> ExitCode:
    # The interpreter flushes stdout once more at exit: give it somewhere to write.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILED
