"""Reading files that nobody vouches for: bounded lines, no way out of the folder, rows as plain mappings."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from atlas.errors import DataError
from atlas.facts.reading.texts import LineError, printable

MAX_LINE = 1 << 20
_BOM = b"\xef\xbb\xbf"

Row = Mapping[str, Any]


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield `(number, line)` without line ends, blank lines left out; an overlong line comes cut short."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE + 1):
            number += 1
            line = raw.removeprefix(_BOM) if number == 1 else raw
            if len(raw) > MAX_LINE:
                _drop_rest_of_line(file, raw)
            elif not (line := line.rstrip(b"\r\n")).strip():
                continue
            yield number, line


def decoded(line: bytes) -> str:
    """Return a line as text; `LineError` if it is too long or not UTF-8."""
    if len(line) > MAX_LINE:
        raise LineError(f"the line is longer than {MAX_LINE} bytes")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise LineError("it is not valid UTF-8") from None


def json_row(line: bytes) -> Row:
    """Return the JSON object that a line holds; `LineError` if it holds none."""
    try:
        row = json.loads(decoded(line))
    except (ValueError, RecursionError):
        raise LineError("it is not valid JSON") from None
    if not isinstance(row, dict):
        raise LineError("it is not a JSON object")
    return row


def cells(line: bytes, delimiter: str) -> list[str]:
    """Return the cells of one line of a table; a cell may be quoted but holds no line end."""
    text = decoded(line)
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        raise LineError("a quoted cell does not close on its line") from None


class Table(NamedTuple):
    """A delimited text file with a header line."""

    path: Path
    columns: list[str]
    delimiter: str

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield `(number, line)` of all lines after the header."""
        return islice(lines(self.path), 1, None)

    def row(self, line: bytes) -> Row:
        """Return the cells of a line by column; `LineError` if it has more or fewer than the header."""
        values = cells(line, self.delimiter)
        if len(values) != len(self.columns):
            raise LineError(f"it has {len(values)} columns where the header has {len(self.columns)}")
        return dict(zip(self.columns, values, strict=True))


def table(path: Path) -> Table:
    """Open a table split by comma, semicolon or tab, whichever its header has most of.

    Column names are put in small letters with `_` for spaces and hyphens. An unreadable header has no columns.
    """
    first = next(lines(path), (0, b""))[1]
    delimiter = max(",;\t", key=lambda mark: first.count(mark.encode()))
    try:
        columns = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in cells(first, delimiter)]
    except LineError:
        columns = []
    return Table(path, columns, delimiter)


def parquet_columns(path: Path) -> list[str]:
    """Return the column names of a Parquet file."""
    import pyarrow.parquet as pq

    with _parquet_errors(path):
        names: list[str] = pq.read_schema(path).names
        return names


def parquet_rows(path: Path, columns: list[str]) -> Iterator[tuple[int, Row]]:
    """Yield `(number, row)` of a Parquet file, counted from 1; `DataError` if it cannot be read."""
    import pyarrow.parquet as pq

    number = 0
    with _parquet_errors(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=columns):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def text(row: Row, column: str) -> str:
    """Return the text in a column; `LineError` if the column is missing or holds something else."""
    value = row.get(column)
    if not isinstance(value, str):
        raise LineError(f"no text under '{column}'")
    return value


def text_or_none(row: Row, column: str) -> str:
    """Return the text in a column, empty where it is null; `LineError` if the column is missing."""
    return "" if column in row and row[column] is None else text(row, column)


def inside(root: Path, path: Path) -> Path:
    """Return `path` if it is a plain file within `root`; `DataError` if a link leads elsewhere."""
    if not path.is_file():
        raise DataError(f"{name(path)} is not a plain file; take it out of the data set.")
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{name(path)} is a link to a place outside the data set; copy the file into the folder.")
    return path


def children(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted by name, hidden things left out; nothing if it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def with_suffix(folder: Path, suffix: str) -> list[Path]:
    """Return the entries of a folder that end in `suffix`, sorted by name."""
    return [path for path in children(folder) if path.name.endswith(suffix)]


def name(path: Path) -> str:
    """Return a path for a message, safe to print."""
    return printable(str(path))


def _drop_rest_of_line(file: Any, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(MAX_LINE)


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    """Turn whatever pyarrow raises on a broken file into a `DataError` that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DataError(f"{name(path)} cannot be read as Parquet; fetch or write it again.") from error
