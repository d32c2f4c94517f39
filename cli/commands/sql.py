"""`atlas sql`: ask the atlas anything."""

import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, cast

import typer

from atlas.errors import LimitError, UsageError

from .. import diagnostics, prompt
from ..options import DEFAULT_DB, Db, size, writing
from ..output.emit import STDOUT, Destination


@writing
def sql(
    query: Annotated[
        str | None,
        typer.Argument(help="The SQL to run; - reads it from stdin, nothing opens a prompt.", metavar="[QUERY]"),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Run the SQL of this file.", metavar="FILE")] = None,
    db: Db = DEFAULT_DB,
    to: Destination = STDOUT,
    write: Annotated[
        bool, typer.Option("--write", help="Let the query change the atlas, whole or not at all.")
    ] = False,
    allow_files: Annotated[
        bool, typer.Option("--allow-files", help="Let the query read and write other files.")
    ] = False,
    memory: Annotated[
        int,
        typer.Option(
            parser=size, metavar="SIZE", help="Memory for the query, such as 4GB, and as much for its result."
        ),
    ] = "2GB",  # type: ignore[assignment]  # parsed as if it were typed
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Stop the query after so long; 0 for never.")
    ] = 600,
) -> None:
    """Run SQL on the atlas, read-only unless --write, within a memory limit and a time limit.

    `atlas schema` describes the tables and views; `select * from likn limit 5` is a start.
    """
    import atlas
    from atlas.store.bounded import Bounds, ask

    text = _text(query, file)
    bounds = Bounds(timeout if 0 < timeout < threading.TIMEOUT_MAX else None, memory)
    with atlas.open(
        db, "a" if write else "r", memory_limit=f"{memory}MiB", allow_files=allow_files, timeout=None
    ) as opened:

        def answer(query: str) -> None:
            try:
                with cast("atlas.Writer", opened).transaction() if write else nullcontext():
                    to.write(ask(opened, query, bounds, diagnostics.give_up))
            except LimitError as error:
                error.add_note("--timeout, --memory and --allow-files set what a query may take and touch")
                raise

        if text is None:
            prompt.ask_on(answer)
        else:
            answer(text)


def _text(query: str | None, file: Path | None) -> str | None:
    """Return the SQL that is meant, None for a prompt; raises UsageError where there is none, or two."""
    if query is not None and file is not None:
        raise UsageError("A query and --file contradict each other: leave one out.")
    if file is not None:
        text = _file(file)
    elif query is None and prompt.on_terminal():
        return None
    else:
        text = _stdin() if query == "-" else query or ""
    if not text.strip():
        raise UsageError('There is no query; `atlas sql "select * from likn limit 5"` is a start.')
    return text


def _file(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"--file {path} cannot be read: {error.strerror}; name a file of SQL.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--file {path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error


def _stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"The query on stdin is not UTF-8 text: {error.reason} at byte {error.start}.") from error
