"""Options that several commands share."""

import re
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


def megabytes(text: str) -> int:
    """Return a size such as `4GB`, `500MB` or `500` in megabytes; raises BadParameter for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(GB|MB|)\s*", text, re.IGNORECASE)
    size = float(found[1]) * (1024 if found[2].upper() == "GB" else 1) if found else 0
    if size < 1:
        raise typer.BadParameter(f"{text!r} is not a size of at least 1 MB; write 4GB or 500MB.")
    return int(size)


Memory = Annotated[
    int | None,
    typer.Option(parser=megabytes, metavar="SIZE", help="Memory for activations, such as 4GB; by default by device."),
]
