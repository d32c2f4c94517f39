"""`atlas sql`: ask the atlas anything."""

import sys
import threading
from contextlib import nullcontext
from typing import Annotated

import typer

from atlas.errors import LimitError, UsageError

from .. import diagnostics
from ..options import DEFAULT_DB, Db, megabytes, writing
from ..output.emit import STDOUT, Destination


@writing
def sql(
    query: Annotated[str, typer.Argument(help="The SQL to run; - reads it from stdin.", metavar="QUERY")],
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
            parser=megabytes, metavar="SIZE", help="Memory for the query, such as 4GB, and as much for its result."
        ),
    ] = "2GB",  # type: ignore[assignment]  # parsed as if it were typed
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Stop the query after so long; 0 for never.")
    ] = 600,
) -> None:
    """Run SQL on the atlas, read-only unless --write, within a memory limit and a time limit.

    The tables and views are described in docs/schema.md; `select * from likn limit 5` is a start.
    """
    import atlas
    from atlas.store.bounded import Bounds, ask

    text = _stdin() if query == "-" else query
    if not text.strip():
        raise UsageError('There is no query; `atlas sql "select * from likn limit 5"` is a start.')
    bounds = Bounds(timeout if 0 < timeout < threading.TIMEOUT_MAX else None, memory)
    with atlas.open(
        db, "a" if write else "r", memory_limit=f"{memory}MiB", allow_files=allow_files, timeout=None
    ) as opened:
        try:
            with opened.transaction() if isinstance(opened, atlas.Writer) else nullcontext():
                result = ask(opened, text, bounds, diagnostics.give_up)
        except LimitError as error:
            error.add_note("--timeout, --memory and --allow-files set what a query may take and touch")
            raise
        to.write(result)


def _stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"The query on stdin is not UTF-8 text: {error.reason} at byte {error.start}.") from error
