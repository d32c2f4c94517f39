"""Result tables as bytes: csv, tsv, json, jsonl, markdown and parquet.

NULL is `NULL` in tables, an empty unquoted cell in CSV (the empty string is `""`), `null` in JSON. Numbers
have the shortest digits that read back to the same value; ids and other whole numbers that many JSON readers would
round are strings there. Lists and structs are JSON inside a cell.
"""

import io
import json
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from atlas.errors import UsageError

from ..diagnostics import visible

if TYPE_CHECKING:
    import pyarrow as pa


class Format(StrEnum):
    """How a result is written."""

    table = "table"
    csv = "csv"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    parquet = "parquet"


def write(result: "pa.Table", format_: Format, out: BinaryIO) -> None:
    """Write `result`, whose columns have names of their own, to `out`; tables for eyes are `layout`'s."""
    if format_ is Format.parquet:
        _parquet(result, out)
    else:
        text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
        _WRITERS[format_](result, text)
        text.detach()


def _csv(result: "pa.Table", out: io.TextIOWrapper, between: str = ",") -> None:
    from .cells import rows

    out.write(between.join(_quoted(name, between) for name in result.column_names) + "\n")
    for row in rows(result):
        out.write(between.join("" if value is None else _quoted(value, between) for value in row) + "\n")


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
    out.write(_bar([_cell(name) for name in result.column_names]))
    out.write(_bar(["---:" if right else "---" for right in numeric]))
    for row in rows(result):
        out.write(_bar(["NULL" if value is None else _cell(value) for value in row]))


def _parquet(result: "pa.Table", out: BinaryIO) -> None:
    from pyarrow import ArrowNotImplementedError, parquet

    try:
        parquet.write_table(result, out, compression="zstd")
    except ArrowNotImplementedError as error:
        raise UsageError(f"Parquet cannot hold a column ({error}); cast it in the query, with ::VARCHAR.") from error


def _objects(result: "pa.Table") -> Any:
    from .cells import rows

    names = result.column_names
    for row in rows(result, numbers_as_text=True):
        yield json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)


def _numeric(result: "pa.Table") -> list[bool]:
    import pyarrow.types as types

    return [
        types.is_integer(column.type) or types.is_floating(column.type) or types.is_decimal(column.type)
        for column in result.schema
    ]


def _quoted(value: object, between: str) -> str:
    from .cells import text

    cell = text(value)
    if cell == "" or any(char in cell for char in f'{between}"\r\n') or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _bar(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _cell(value: object) -> str:
    from .cells import text

    safe = visible(text(value), keep="\n").replace("\\", "\\\\")
    return safe.replace("|", "\\|").replace("\n", "<br>")


_WRITERS: dict[Format, Callable[["pa.Table", io.TextIOWrapper], None]] = {
    Format.csv: _csv,
    Format.tsv: partial(_csv, between="\t"),
    Format.json: _json,
    Format.jsonl: _jsonl,
    Format.markdown: _markdown,
}
