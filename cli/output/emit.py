"""Where a result goes: stdout, or a file that appears whole or not at all."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from atlas.errors import UsageError
from atlas.outputs import whole_file

from .formats import Format, write

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIXES = {
    ".csv": Format.csv,
    ".json": Format.json,
    ".jsonl": Format.jsonl,
    ".md": Format.markdown,
    ".parquet": Format.parquet,
}


def emit(result: "pa.Table", format_: Format | None, output: Path | None) -> None:
    """Write `result` to `output` or stdout; without a format, the file's ending decides, else `table`.

    Raises UsageError for Parquet onto a terminal and a file that may not be written over, StoreError where the disk
    refuses.
    """
    chosen = format_ or (_SUFFIXES.get(output.suffix.lower()) if output else None) or Format.table
    if output is not None:
        _to_file(result, chosen, output)
    elif chosen is Format.parquet and sys.stdout.isatty():
        raise UsageError("Parquet is not text: name a file with --output, or send stdout into one.")
    else:
        write(result, chosen, sys.stdout.buffer, _terminal_width())


def _to_file(result: "pa.Table", format_: Format, output: Path) -> None:
    with whole_file(output, "--output") as part, part.open("xb") as out:
        write(result, format_, out)


def _terminal_width() -> int | None:
    if not sys.stdout.isatty():
        return None
    return os.get_terminal_size(sys.stdout.fileno()).columns
