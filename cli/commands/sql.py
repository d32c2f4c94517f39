"""`atlas sql`: ask the atlas anything."""

import sys
from typing import Annotated

import typer

from atlas.errors import UsageError

from ..options import DEFAULT_DB, Db, FormatOption, Json, Output, chosen
from ..output.emit import emit


def sql(
    query: Annotated[str, typer.Argument(help="The SQL to run; - reads it from stdin.", metavar="QUERY")],
    db: Db = DEFAULT_DB,
    format_: FormatOption = None,
    json: Json = False,
    output: Output = None,
    write: Annotated[bool, typer.Option("--write", help="Let the query change the atlas.")] = False,
    allow_files: Annotated[
        bool, typer.Option("--allow-files", help="Let the query read and write other files.")
    ] = False,
) -> None:
    """Run SQL on the atlas, read-only unless --write.

    The tables and views are described in docs/schema.md; `select * from likn limit 5` is a start.
    """
    import atlas

    text = sys.stdin.read() if query == "-" else query
    if not text.strip():
        raise UsageError('There is no query; `atlas sql "select * from likn limit 5"` is a start.')
    with atlas.open(db, "a" if write else "r", allow_files=allow_files) as opened:
        emit(opened.sql(text), chosen(format_, json), output)
