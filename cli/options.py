"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from .output.formats import Format

Db = Annotated[Path, typer.Option("--db", help="The atlas, a DuckDB file.")]
Languages = Annotated[
    str | None, typer.Option(help="Languages to take, such as en,zh; all if left out.", metavar="CODES")
]
Relations = Annotated[
    str | None, typer.Option(help="Relations to take, such as P36,P30; all if left out.", metavar="CODES")
]
Rows = Annotated[int, typer.Option("--limit", min=0, help="Rows to show at most; 0 for all.")]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="How rows are written; by default as --output's ending says, else a table."),
]
Json = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
Output = Annotated[Path | None, typer.Option(help="Write to this file, not to stdout.", metavar="FILE")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip malformed lines and count them.")]

DEFAULT_DB = Path("atlas.duckdb")


def split(codes: str | None) -> tuple[str, ...] | None:
    """Return the codes of a comma-separated list, None for none."""
    if codes is None:
        return None
    return tuple(code.strip() for code in codes.split(",") if code.strip())


def chosen(format_: Format | None, json: bool) -> Format | None:
    """Return the format that `--format` and `--json` ask for together."""
    return Format.json if json else format_


def some(limit: int) -> int | None:
    """Return a limit, None for 0: all."""
    return limit or None
