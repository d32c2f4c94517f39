"""Where a result goes and how it is written: what `--format`, `--json`, `--output` and `--columns` say together."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from atlas import schema
from atlas.errors import UsageError
from atlas.matching import names, one_of
from atlas.outputs import check_file, whole_file

from ..diagnostics import note
from . import layout
from .formats import Format, write

if TYPE_CHECKING:
    import pyarrow as pa

_ENDINGS = {
    ".csv": Format.csv,
    ".tsv": Format.tsv,
    ".json": Format.json,
    ".jsonl": Format.jsonl,
    ".md": Format.markdown,
    ".parquet": Format.parquet,
    ".txt": Format.table,
}
_ANY = ".txt"
"""The ending of a file that may hold any format, and a table if none is named."""


@dataclass(frozen=True)
class Destination:
    """A format and a place; `columns` are those asked for, `every` asks for all of a lookup's.

    Raises UsageError where the options contradict each other, and for a file that may not be written, before any work.
    """

    format: Format = Format.table
    output: Path | None = None
    columns: tuple[str, ...] | None = None
    every: bool = False

    @classmethod
    def of(
        cls, format_: Format | None, json: bool, output: Path | None, columns: str | None, all_columns: bool
    ) -> "Destination":
        """Return what the options ask for; without a format, the ending of `output` decides, else it is a table."""
        if columns is not None and all_columns:
            raise UsageError("--columns and --all-columns contradict each other: leave one out.")
        if output is not None:
            check_file(output, "--output")
        return cls(_format(format_, json, output), output, names(columns), all_columns)

    @property
    def for_eyes(self) -> bool:
        """True for tables on stdout of the columns that the command chooses."""
        return self.is_talk and self.columns is None and not self.every

    @property
    def is_talk(self) -> bool:
        """True for tables on stdout, beside which a command may say something there."""
        return self.output is None and self.format is Format.table

    def write(self, result: "pa.Table", few: Sequence[str] = (), limit: int = 0, spare: Sequence[str] = ()) -> None:
        """Write `result`; of a lookup, a table has the `few` columns named here unless others are asked for.

        Of these the `spare` ones go first where a terminal is too narrow.

        Rows beyond a `limit`, 0 for none, are left out, which is said on stderr, and so is that there are no rows.

        Raises UsageError for an unknown column, Parquet onto a terminal and a file that may not be written over,
        StoreError where the disk refuses.
        """
        table = result.select(self._chosen(result.column_names, few))
        if table.num_columns and not table.num_rows:
            note("nothing fits: no rows")
        if limit and table.num_rows > limit:
            table = table.slice(0, limit)
            note(f"the first {limit:,} rows; --limit 0 gives them all")
        if self.output is not None:
            with whole_file(self.output, "--output") as part, part.open("xb") as out:
                if self.format is Format.table:
                    layout.write(table, out, width=None, short=bool(few), cut=False)
                else:
                    write(table, self.format, out)
        elif self.format is Format.table:
            _onto_stdout(table, short=bool(few), spare=() if self.columns or self.every else spare)
        elif self.format is Format.parquet and sys.stdout.isatty():
            raise UsageError("Parquet is not text: name a file with --output, or send stdout into one.")
        else:
            write(table, self.format, sys.stdout.buffer)

    def _chosen(self, there: Sequence[str], few: Sequence[str]) -> list[str]:
        if self.columns is not None:
            return [one_of("column", name, there) for name in self.columns]
        if self.format is not Format.table or not few:
            return list(there)
        if self.every:
            return sorted(there, key=lambda name: name in schema.IDS)
        return [name for name in few if name in there]


STDOUT = Destination()
"""A table on stdout."""


def _format(format_: Format | None, json: bool, output: Path | None) -> Format:
    """Return the one format that is meant; raises UsageError for two, and for an ending that names none."""
    asked = {f"--format {format_}": format_} if format_ else {}
    asked |= {"--json": Format.json} if json else {}
    ending = output.suffix.lower() if output else ""
    if output is not None and not asked and ending not in _ENDINGS:
        raise UsageError(
            f"{output} has an ending that no format goes by; choose among {', '.join(_ENDINGS)}, or add --format."
        )
    if ending in _ENDINGS and not (asked and ending == _ANY):
        asked[f"--output {output}"] = _ENDINGS[ending]
    if len(set(asked.values())) > 1:
        raise UsageError(f"{' and '.join(asked)} contradict each other: ask for one format.")
    return next(iter(asked.values()), Format.table)


def _onto_stdout(table: "pa.Table", *, short: bool, spare: Sequence[str]) -> None:
    """Write a table for eyes, through a pager where a terminal is too low for it."""
    width = terminal_width()
    text = BytesIO()
    layout.write(table, text, width=width, short=short, styled=sys.stdout.isatty(), spare=spare)
    lines = text.getvalue().count(b"\n")
    too_many = sys.stdout.isatty() and sys.stdin.isatty() and lines >= shutil.get_terminal_size().lines
    if not (too_many and _paged(text.getvalue())):
        sys.stdout.buffer.write(text.getvalue())


def _paged(text: bytes) -> bool:
    """Show `text` in $PAGER or less and return True, False where there is none."""
    words = shlex.split(os.environ.get("PAGER") or shutil.which("less") or "")
    if not words or shutil.which(words[0]) is None:
        return False
    sys.stdout.flush()
    subprocess.run(words, input=text, env={"LESS": "FRX", **os.environ}, check=False)
    return True


def terminal_width() -> int | None:
    """Return the letters of a line: the terminal's, or what COLUMNS says where it is set; None for no limit."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    return None
