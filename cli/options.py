"""Options that several commands share."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from atlas.errors import UsageError
from atlas.running.choice import ModelChoice, OpenChoice, megabytes
from atlas.running.numbers import BOUNDS, MANY

from .output.emit import Destination
from .output.formats import Format

Db = Annotated[Path, typer.Option("--db", help="The atlas, a DuckDB file.")]
Languages = Annotated[
    str | None, typer.Option(help="Languages to take, such as en,zh or French; all if left out.", metavar="CODES")
]
Relations = Annotated[
    str | None, typer.Option(help="Relations to take, such as P36 or capital; all if left out.", metavar="CODES")
]
Run = Annotated[int | None, typer.Option(help="Take this run; if left out, the one in use.", metavar="RUN")]
RunModel = Annotated[str | None, typer.Option("--model", help="Take this model's run.", metavar="NAME")]
RunMethod = Annotated[str | None, typer.Option("--method", help="Take this scorer's run.", metavar="NAME")]
Source = Annotated[
    str | None,
    typer.Option(
        "--method",
        "--from",
        help="Scorer whose run names the neurons, or union for all of the model's but random.",
        metavar="NAME",
    ),
]
Definition = Annotated[
    str, typer.Option(help="Named thresholds to go by; if left out, those in use.", metavar="NAME", show_default=False)
]
IN_USE = ""
"""What a definition is called that is not named."""
OldName = Annotated[str | None, typer.Option(hidden=True)]
"""An option that goes by another name now."""
Rows = Annotated[int, typer.Option("--limit", min=0, help="Rows to show at most; 0 for all.")]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Replace = Annotated[
    str | None,
    typer.Option(
        help="What a cut neuron becomes: zero, mean (over prompts of other relations) or swap (its value in the same "
        "template with another fact of the relation); what the definition reads if left out.",
        metavar="VALUE",
    ),
]
Ask = Annotated[
    bool,
    typer.Option("--ask", help="Where a template does not end in the object, state its sentence, then ask for it."),
]
Examples = Annotated[
    int | None,
    typer.Option(
        min=0, max=20, metavar="N", help="Other facts of the relation before each template; 2 before those that ask."
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip malformed lines and count them.")]


Place = Literal["query", "subject"]
At = Annotated[Place, typer.Option(help="Where the neurons are: at the query, or at the subject's last token.")]
DEFAULT_DB = Path("atlas.duckdb")
HELP = {"help_option_names": ["-h", "--help"]}
"""The settings of every command and group."""


def bounded(command: Callable[..., None]) -> Callable[..., None]:
    """Let `command` refuse whole numbers that nothing can come of before it does anything; raises UsageError."""

    @wraps(command)
    def run(**given: Any) -> None:
        for name, value in given.items():
            _, most = BOUNDS.get(name, (0, MANY))
            if isinstance(value, int) and abs(value) > most:
                raise UsageError(f"--{name.replace('_', '-')} cannot be {value}: choose a number of at most {most:,}.")
        command(**given)

    return run


def check_order(context: typer.Context) -> None:
    """Raise UsageError for an option of a group before the name of a command in it, which would not hear of it."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if source is not None and source.name == "COMMANDLINE":
            command = f"{context.command_path} {context.invoked_subcommand}"
            raise UsageError(f"{option.opts[0]} has to stand behind `{command}`, if that takes it; else leave it out.")


def size(text: str) -> int:
    """Return a size such as `4GB` in megabytes; raises BadParameter for anything else."""
    try:
        return megabytes(text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


DEMO = ModelChoice()
OPEN = OpenChoice()
_CHOICE = {
    "device": Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ..., mps or offload.")],
    "dtype": Annotated[str | None, typer.Option(help="float32, float64 or bfloat16.")],
    "revision": Annotated[str | None, typer.Option(help="Revision of the model to pin.")],
    "allow_pickle": Annotated[bool, typer.Option("--allow-pickle", help="Load weights that are not safetensors.")],
    "memory": Annotated[
        int | None,
        typer.Option(parser=size, metavar="SIZE", help="Memory for activations, such as 4GB; by default by device."),
    ],
    "threads": Annotated[
        int | None,
        typer.Option(min=1, help="Threads of a computation; equal numbers give rows equal to the bit."),
    ],
}
"""The options of a command that loads a model, beside --model."""


_DESTINATION = {
    "format_": Annotated[
        Format | None,
        typer.Option("--format", help="How rows are written; by default as --output's ending says, else a table."),
    ],
    "json": Annotated[bool, typer.Option("--json", help="The same as --format json.")],
    "output": Annotated[Path | None, typer.Option(help="Write to this file, not to stdout.", metavar="FILE")],
    "columns": Annotated[str | None, typer.Option(help="Columns to write, such as subject,score.", metavar="NAMES")],
    "all_columns": Annotated[
        bool, typer.Option("--all-columns", help="Every column in a table too; other formats have all anyway.")
    ],
}
_LEFT_OUT = {"json": False, "all_columns": False}
"""Defaults that are not None."""


def choosing_model(command: Callable[..., None]) -> Callable[..., None]:
    """Let `command`, one of whose parameters is `choice: Annotated[ModelChoice, HELP] = DEMO`, take it as options.

    They are --model, explained by HELP, and those that every command that loads a model shares.
    """
    wanted = inspect.signature(command).parameters["choice"]
    kind, help_ = wanted.annotation.__origin__, wanted.annotation.__metadata__[0]
    types = {"model": Annotated[str | None, typer.Option(help=help_)], **_CHOICE}
    return _spread(command, "choice", types, {name: getattr(wanted.default, name) for name in types}, kind)


def writing(command: Callable[..., None]) -> Callable[..., None]:
    """Let `command`, one of whose parameters is `to: Destination`, take it as the options that say where rows go."""
    return _spread(command, "to", _DESTINATION, {name: _LEFT_OUT.get(name) for name in _DESTINATION}, Destination.of)


def _spread(
    command: Callable[..., None],
    parameter: str,
    types: Mapping[str, object],
    defaults: Mapping[str, object],
    make: Callable[..., object],
) -> Callable[..., None]:
    """Return `command` with options of `types` in place of a `parameter`, whose value `make` builds from them."""
    signature = inspect.signature(command)
    offered = [_option(name, annotation, defaults[name]) for name, annotation in types.items()]
    others = [_option(p.name, p.annotation, p.default) for p in signature.parameters.values()]
    place = list(signature.parameters).index(parameter)

    @wraps(command)
    def run(**given: Any) -> None:
        if parameter not in given:
            given[parameter] = make(**{name: given.pop(name) for name in types})
        command(**given)

    parameters = [*others[:place], *offered, *others[place + 1 :]]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _option(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
