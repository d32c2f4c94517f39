"""The `atlas` command line: registers the commands and turns every outcome into an exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated

import typer

import atlas

from . import diagnostics, interrupts, streams
from .commands import (
    build,
    check,
    compare,
    doctor,
    edit,
    evaluate,
    exam,
    export,
    facts,
    import_,
    knockout,
    merge,
    models,
    neurons,
    report,
    runs,
    schema,
    sql,
    twin,
    upgrade,
    use,
)
from .exits import ExitCode
from .options import bounded

HELP = {"help_option_names": ["-h", "--help"]}
_KEYBOARD_INTERRUPT = 130  # what Typer makes of Ctrl-C

app = typer.Typer(
    name="atlas",
    help="Find, store and query the neurons in which language models keep facts.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage. Data goes to stdout, everything else to stderr.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=HELP,
)
COMMANDS: dict[str, Callable[..., None]] = {
    "build": build.build,
    "knockout": knockout.knockout,
    "twin": twin.twin,
    "check": check.check,
    "import": import_.import_facts,
    "sql": sql.sql,
    "schema": schema.schema,
    "facts": facts.facts,
    "neurons": neurons.neurons,
    "runs": runs.runs,
    "use": use.use,
    "models": models.models,
    "compare": compare.compare,
    "report": report.report,
    "evaluate": evaluate.evaluate,
    "exam": exam.exam,
    "export": export.export,
    "merge": merge.merge,
    "upgrade": upgrade.upgrade,
    "doctor": doctor.doctor,
}
for name, command in COMMANDS.items():
    short = (command.__doc__ or "").splitlines()[0]
    app.command(name, short_help=short, context_settings=HELP)(bounded(command))
for each in edit.app.registered_commands:
    each.callback = bounded(each.callback) if each.callback else None
    each.context_settings = HELP
app.add_typer(edit.app, name="edit", context_settings=HELP)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"atlas {atlas.__version__}")
        raise typer.Exit


@app.callback()
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
    diagnostics.show_python_warnings()
    try:
        code = app(words, prog_name="atlas", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as problem:
        return _wrong_usage(problem)
    except BrokenPipeError:
        return _reader_went_away()
    except Exception as problem:
        return diagnostics.explain(problem, debug=debug)
    if code == _KEYBOARD_INTERRUPT:
        return _interrupted()
    return ExitCode(code or 0)


def run() -> None:
    """Entry point of the installed `atlas` script."""
    streams.open_all()
    try:
        interrupts.watch()
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = _interrupted()
    with suppress(OSError):  # of a stdout or stderr that cannot be written, which was told if it could be
        sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.flush()
    interrupts.remove_spill()
    # torch and DuckDB's bindings report each other's objects as leaks when the interpreter is taken down.
    os._exit(code)


def _interrupted() -> ExitCode:
    diagnostics.error("interrupted")
    return ExitCode.FAILED


def _wrong_usage(problem: typer.TyperException) -> ExitCode:
    context = getattr(problem, "ctx", None)
    path = context.command_path if context else "atlas"
    diagnostics.error(problem.format_message(), f"`{path} --help` lists the options")
    return ExitCode.USAGE


def _reader_went_away() -> ExitCode:
    # The interpreter flushes stdout once more at exit: give it somewhere to write.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILED
