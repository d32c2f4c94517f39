"""Reading files that nobody vouches for: bounded lines, no way out of the folder, rows as plain mappings."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from atlas.errors import DataError
from atlas.facts.reading.texts import LineError, printable, shown

MAX_LINE = 1 << 20
MAX_JSON = 1 << 28
_BOM = b"\xef\xbb\xbf"

Row = Mapping[str, Any]


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield `(number, line)` in UTF-8 without line ends, blank lines left out; an overlong line comes cut short.

    UTF-16 is told by its mark or its zeros, and an old Mac's line ends by the lack of others. Raises DataError for
    what is no plain file: a device or a pipe may have no end.
    """
    if not path.is_file() and path.exists():
        raise DataError(f"{name(path)} is not a plain file; write what it holds to one.")
    with path.open("rb") as raw, _in_utf8(raw) as (file, end):
        number = 0
        while found := _encoded(file, file.readline(MAX_LINE + 1)):
            number += 1
            line = found.removeprefix(_BOM) if number == 1 else found
            if len(found) > MAX_LINE:
                _drop_rest_of_line(file, found, end)
            elif not (line := line.rstrip(b"\r\n")).strip():
                continue
            yield number, line


@contextmanager
def _in_utf8(raw: BinaryIO) -> Iterator[tuple[io.TextIOWrapper, bytes]]:
    """Open a file as text in UTF-16, or else as its bytes (latin-1), with what ends its lines."""
    head = raw.read(1 << 16)
    raw.seek(0)
    wide = next((code for code, looks in _WIDE.items() if looks.match(head)), None)
    text = head.decode(wide, "ignore") if wide else head.decode("latin-1")
    end = "\r" if "\r" in text and "\n" not in text else "\n"
    with io.TextIOWrapper(raw, encoding=wide or "latin-1", errors="replace", newline=end) as file:
        yield file, end.encode()


def _encoded(file: io.TextIOWrapper, text: str) -> bytes:
    """Return text of a file that `_in_utf8` opened, in UTF-8."""
    return text.encode("latin-1" if file.encoding == "latin-1" else "utf-8")


_WIDE = {
    "utf-16": re.compile(rb"\xff\xfe|\xfe\xff"),
    "utf-16-le": re.compile(rb"[^\0]\0[^\0]\0"),
    "utf-16-be": re.compile(rb"\0[^\0]\0[^\0]"),
}
"""How a file in UTF-16 begins: with a mark, or with letters every other byte of which is zero."""


def decoded(line: bytes) -> str:
    """Return a line as text; `LineError` if it is too long or not UTF-8."""
    if len(line) > MAX_LINE:
        raise LineError(f"the line is longer than {MAX_LINE} bytes")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise LineError("it is not valid UTF-8, as which the whole file should be saved") from None


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
    """A delimited text file with a header: its columns as they are named here, and as they are written.

    `lead` lines stand before the rows; `fault` says why there is no header to read.
    """

    path: Path
    columns: list[str]
    delimiter: str
    header: list[str]
    lead: int = 1
    fault: str = ""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield `(number, line)` of all lines after the header but those whose cells are all empty."""
        blank = f'"\t {self.delimiter}'.encode()
        return ((number, line) for number, line in islice(lines(self.path), self.lead, None) if line.strip(blank))

    def row(self, line: bytes) -> Row:
        """Return the cells of a line by column; `LineError` if it has more or fewer than the header."""
        values = cells(line, self.delimiter)
        if len(values) != len(self.columns):
            raise LineError(f"it has {len(values)} columns where the header has {len(self.columns)}")
        return dict(zip(self.columns, values, strict=True))

    def loose_row(self, line: bytes) -> tuple[Row, bool]:
        """Return the cells of a line by column, empty where it ends early, and whether it has more than the header."""
        values = cells(line, self.delimiter)
        filled = [*values, *[""] * (len(self.columns) - len(values))]
        return dict(zip(self.columns, filled, strict=False)), len(values) > len(self.columns)

    def checked(self) -> "Table":
        """Return the table; `DataError` for a header that cannot be read or names a column twice."""
        if self.fault:
            raise DataError(f"{name(self.path)}, line {self.lead}: {self.fault}; save the file as CSV in UTF-8.")
        for column in self.columns:
            if column and self.columns.count(column) > 1:
                raise DataError(f"{name(self.path)}: the column {shown(column)} is there twice; rename it.")
        return self


def table(path: Path) -> Table:
    """Open a table split by comma, semicolon or tab, whichever its header has most of or a first line `sep=` names.

    Column names are put in small letters with `_` for spaces and hyphens. An unreadable header has no columns.
    """
    begin = list(islice(lines(path), 2))
    separator = _SEPARATOR.fullmatch(begin[0][1]) if begin else None
    number, first = (begin[1:] or [(1, b"")])[0] if separator else (begin or [(1, b"")])[0]
    delimiter = separator[1].decode() if separator else max(",;\t", key=lambda mark: first.count(mark.encode()))
    try:
        header = [name.strip() for name in cells(first, delimiter)]
    except LineError as error:
        return Table(path, [], delimiter, [], number, str(error))
    return Table(path, [_plain(name) for name in header], delimiter, header, 2 if separator else 1)


_SEPARATOR = re.compile(rb'"?sep=([,;\t|])"?', re.IGNORECASE)
"""A spreadsheet's own first line."""


def _plain(header: str) -> str:
    return re.sub(r"[\s-]+", "_", header.lower())


def ending(path: Path) -> str:
    """Return the ending of a file's name in small letters."""
    return path.suffix.lower()


def json_text(path: Path) -> Any:
    """Return what a JSON file holds; `DataError` if it is none, and for what is no plain file or too large for one."""
    if path.exists() and (not path.is_file() or path.stat().st_size > MAX_JSON):
        raise DataError(f"{name(path)} is no plain file of at most {MAX_JSON >> 20} MB; name another.")
    try:
        with path.open("rb") as raw, _in_utf8(raw) as (file, _):
            return json.loads(_encoded(file, file.read(MAX_JSON + 1)).removeprefix(_BOM))
    except OSError as error:
        raise DataError(f"{name(path)} cannot be read: {error.strerror}; check its name and permissions.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name(path)} is no JSON: {error}; mend it.") from error


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


@contextmanager
def at(path: Path, number: int) -> Iterator[None]:
    """Turn a `LineError` of line `number` into a `DataError` that says where it is."""
    try:
        yield
    except LineError as error:
        raise DataError(f"{name(path)}, line {number}: {error}; mend the line.") from None


def text(row: Row, column: str) -> str:
    """Return the text in a column; `LineError` if the column is missing or holds something else."""
    value = row.get(column)
    if not isinstance(value, str):
        raise LineError(f"no text under '{column}'")
    return value


def cell(row: Row, column: str, check: Callable[[str], str]) -> str:
    """Return what `check` makes of the text in a column; its `LineError` names the column."""
    try:
        return check(text(row, column))
    except LineError as error:
        raise LineError(f"{error} (column {column})") from None


def text_or_none(row: Row, column: str) -> str:
    """Return the text in a column, empty where it is null; `LineError` if the column is missing."""
    return "" if column in row and row[column] is None else text(row, column)


def inside(root: Path, path: Path) -> Path:
    """Return `path` if it is a plain file within `root`; `DataError` if a link leads elsewhere."""
    if not path.is_file():
        raise DataError(f"{name(path)} is not a plain file; take it out of the data set.")
    if not path.resolve().is_relative_to(root.resolve()) and not _of_the_hub(path):
        raise DataError(f"{name(path)} is a link to a place outside the data set; copy the file into the folder.")
    return path


def _of_the_hub(path: Path) -> bool:
    """Return whether a file lies in the hub's own cache, whose snapshots are links."""
    from huggingface_hub import constants  # slow to import, and asked of links alone

    cache = Path(constants.HF_HUB_CACHE)
    return path.is_relative_to(cache) and path.resolve().is_relative_to(cache.resolve())


def children(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted by name, hidden things left out; nothing if it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def with_suffix(folder: Path, suffix: str) -> list[Path]:
    """Return the entries of a folder that end in `suffix`, sorted by name."""
    return [path for path in children(folder) if path.name.lower().endswith(suffix)]


def name(path: Path) -> str:
    """Return a path for a message, safe to print."""
    return printable(str(path))


def _drop_rest_of_line(file: io.TextIOWrapper, found: bytes, end: bytes) -> None:
    text = found.decode("latin-1")
    while text and not text.endswith(end.decode()):
        text = file.readline(MAX_LINE)


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    """Turn whatever pyarrow raises on a broken file into a `DataError` that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        said = printable(str(error).partition("\n")[0].rstrip("."))
        raise DataError(f"{name(path)} cannot be read as Parquet ({said}); fetch or write it again.") from error
