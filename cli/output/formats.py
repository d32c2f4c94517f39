"""Result tables as bytes: table, csv, json, jsonl, markdown and parquet.

NULL is `NULL` in tables, an empty unquoted cell in CSV (the empty string is `""`), `null` in JSON. Numbers
have the shortest digits that read back to the same value. Lists and structs are JSON inside a cell.
"""

import io
import json
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO

from atlas.errors import UsageError

from ..diagnostics import note, visible

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_ROWS = 1000
"""Rows that the format `table`, made for eyes, shows at most; the other formats show all."""


class Format(StrEnum):
    """How a result is written."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    parquet = "parquet"


def write(result: "pa.Table", format_: Format, out: BinaryIO, width: int | None = None) -> None:
    """Write `result`, whose columns have names of their own, to `out`; `width` is the terminal's, None for no limit."""
    if format_ is Format.parquet:
        _parquet(result, out)
    elif format_ is Format.table:
        _table(result, out, width)
    else:
        text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
        _WRITERS[format_](result, text)
        text.detach()


def _csv(result: "pa.Table", out: io.TextIOWrapper) -> None:
    from .cells import rows

    out.write(",".join(_quoted(name) for name in result.column_names) + "\n")
    for row in rows(result):
        out.write(",".join("" if value is None else _quoted(value) for value in row) + "\n")


def _json(result: "pa.Table", out: io.TextIOWrapper) -> None:
    before = "[\n"
    for line in _objects(result):
        out.write(before + line)
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def _jsonl(result: "pa.Table", out: io.TextIOWrapper) -> None:
    for line in _objects(result):
        out.write(line + "\n")


def _markdown(result: "pa.Table", out: io.TextIOWrapper) -> None:
    from .cells import rows

    numeric = _numeric(result)
    out.write(_bar(result.column_names))
    out.write(_bar(["---:" if right else "---" for right in numeric]))
    for row in rows(result):
        out.write(_bar(["NULL" if value is None else _cell(value) for value in row]))


def _table(result: "pa.Table", out: BinaryIO, width: int | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .cells import rows

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name, right in zip(result.column_names, _numeric(result), strict=True):
        table.add_column(Text(visible(name)), justify="right" if right else "left", overflow="fold")
    for row in rows(result.slice(0, TABLE_ROWS)):
        table.add_row(*(Text("NULL", style="dim") if cell is None else Text(_shown(cell)) for cell in row))
    text = io.StringIO()
    # Without a terminal nothing is folded: one row of the result stays one line.
    Console(file=text, width=width or 1_000_000, highlight=False, force_terminal=width is not None).print(table)
    out.write("".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()).encode())
    if result.num_rows > TABLE_ROWS:
        note(f"{TABLE_ROWS:,} of {result.num_rows:,} rows shown; --format csv writes them all")


def _parquet(result: "pa.Table", out: BinaryIO) -> None:
    from pyarrow import ArrowNotImplementedError, parquet

    try:
        parquet.write_table(result, out, compression="zstd")
    except ArrowNotImplementedError as error:
        raise UsageError(f"Parquet cannot hold a column ({error}); cast it in the query, with ::VARCHAR.") from error


def _objects(result: "pa.Table") -> Any:
    from .cells import rows

    names = result.column_names
    return (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows(result))


def _numeric(result: "pa.Table") -> list[bool]:
    import pyarrow.types as types

    return [
        types.is_integer(column.type) or types.is_floating(column.type) or types.is_decimal(column.type)
        for column in result.schema
    ]


def _quoted(value: object) -> str:
    from .cells import text

    cell = text(value)
    if cell == "" or any(char in cell for char in ',"\r\n') or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _bar(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _cell(value: object) -> str:
    from .cells import text

    safe = visible(text(value), keep="\n").replace("\\", "\\\\")
    return safe.replace("|", "\\|").replace("\n", "<br>")


def _shown(value: object) -> str:
    from .cells import text

    return visible(text(value))


_WRITERS: dict[Format, Callable[["pa.Table", io.TextIOWrapper], None]] = {
    Format.csv: _csv,
    Format.json: _json,
    Format.jsonl: _jsonl,
    Format.markdown: _markdown,
}
