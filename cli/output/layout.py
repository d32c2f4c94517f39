"""Tables for eyes: as wide as the terminal, numbers in one piece, what is the same in every row said once above."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from atlas.ids import neuron_name

from ..diagnostics import note, visible

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

TABLE_ROWS = 1000
"""Rows that a terminal or a pipe gets at most; files and the other formats get all."""
LINES = 3
"""Lines that a row may take beside others; a table with a longer one is written row under row."""
_GAP, _NARROW, _WORD = 2, 8, 24
"""Spaces between columns; letters to which a column of text may shrink, and to which its longest word keeps it."""
_MINUTES = len("2026-01-31 23:59")
_UNBOUND = 1_000_000


@dataclass(frozen=True)
class Column:
    """A column as text; `whole` ones, such as numbers, are never broken."""

    name: str
    cells: Sequence[str | None]
    right: bool = False
    whole: bool = False


def write(
    table: "pa.Table",
    out: BinaryIO,
    *,
    width: int | None,
    short: bool,
    cut: bool = True,
    styled: bool = False,
    spare: Sequence[str] = (),
) -> None:
    """Write `table` as text of at most `width` letters a line, None for no limit.

    A `short` one, of a lookup, has what is equal in all rows above it, times to the minute, neurons as `L3.486` and
    numbers of four digits; other tables show every value as it is. `cut` leaves out rows after many, and says so;
    `styled` ones have bold heads. The `spare` columns go first where not all fit side by side.
    """
    rows = min(table.num_rows, TABLE_ROWS) if cut else table.num_rows
    columns = columns_of(table.slice(0, rows), short=short)
    text = io.StringIO()
    if short and table.num_rows > 1:
        columns = _without_equal(columns, text, width)
    _lay(columns, text, width, styled, spare)
    out.write("".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()).encode())
    if rows < table.num_rows:
        note(f"{rows:,} of {table.num_rows:,} rows shown; --format csv writes them all")


def columns_of(table: "pa.Table", *, short: bool) -> list[Column]:
    """Return the columns of `table` as text; see `write`."""
    from .cells import rows

    cells = list(zip(*rows(table), strict=True)) or [()] * table.num_columns
    made = [_column(field, values, short=short) for field, values in zip(table.schema, cells, strict=True)]
    return _with_neurons(made, dict(zip(table.column_names, cells, strict=True))) if short else made


def _column(field: "pa.Field", values: Sequence[Any], *, short: bool) -> Column:
    import pyarrow.types as types

    number = types.is_integer(field.type) or types.is_floating(field.type) or types.is_decimal(field.type)
    whole = number or types.is_temporal(field.type) or types.is_boolean(field.type)
    show = _in_short if short else _as_it_is
    cells = [None if value is None else visible(show(value)) for value in values]
    if short and types.is_timestamp(field.type):
        cells = [cell and cell[:_MINUTES] for cell in cells]
    return Column(field.name, cells, right=number, whole=whole)


def _as_it_is(value: Any) -> str:
    from .cells import text

    return text(value)


def _in_short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join("NULL" if each is None else _in_short(each) for each in value)
    if isinstance(value, float):
        return repr(round(value, 4) if abs(value) >= 1 else float(f"{value:.4g}"))
    return _as_it_is(value)


def _with_neurons(columns: list[Column], values: dict[str, Sequence[Any]]) -> list[Column]:
    """Return the columns with those of layers and of neurons made one: `L3.486`, and sets `L3.486+L5.12`."""
    for layers, neurons, join in (("layer", "neuron", neuron_name), ("layers", "neurons", _set_name)):
        if isinstance(next(iter(values.get(layers, ())), None), int | list) and neurons in values:
            cells = [join(*pair) for pair in zip(values[layers], values[neurons], strict=True)]
            place = [column.name for column in columns].index(layers)
            columns = [column for column in columns if column.name not in (layers, neurons)]
            columns.insert(place, Column(neurons, cells, whole=join is neuron_name))
    return columns


def _set_name(layers: Sequence[int], neurons: Sequence[int]) -> str:
    return "+".join(map(neuron_name, layers, neurons))


def _without_equal(columns: list[Column], out: io.StringIO, width: int | None) -> list[Column]:
    """Return the columns that differ between rows; what the others say goes before the table."""
    same = [column for column in columns if len(set(column.cells)) == 1]
    rest = [column for column in columns if column not in same]
    if not same or not rest:
        return columns
    said = [f"{column.name}: {column.cells[0] if column.cells[0] is not None else 'NULL'}" for column in same]
    out.write("\n".join(_packed(said, width or _UNBOUND)) + "\n\n")
    return rest


def _packed(texts: Sequence[str], width: int) -> Iterator[str]:
    """Yield lines of as many `texts` as fit, at least one."""
    line = ""
    for text in texts:
        if line and len(line) + len(text) + 2 > width:
            yield f"{line},"
            line = ""
        line = f"{line}, {text}" if line else text
    yield line


def _lay(columns: Sequence[Column], out: io.StringIO, width: int | None, styled: bool, spare: Sequence[str]) -> None:
    """Write the columns side by side, without those that can be spared, or all row under row if they do not fit."""
    from rich.console import Console

    # Without a terminal nothing is folded: one row of the result stays one line.
    colors: Literal["standard"] | None = "standard" if styled else None
    console = Console(file=out, width=width or _UNBOUND, highlight=False, force_terminal=styled, color_system=colors)
    gone = [name for name in spare if name in [column.name for column in columns]]
    for few in range(len(gone) + 1):
        kept = [column for column in columns if column.name not in gone[:few]]
        widths = _widths(kept, width, console) if kept else None
        if widths is not None:
            _write_side_by_side(kept, widths, console)
            if few:
                note(f"too narrow for {', '.join(gone[:few])}; --all-columns shows every column")
            return
    _write_records(columns, console)


def _widths(columns: Sequence[Column], width: int | None, console: "Console") -> list[int] | None:
    """Return the letters of each column, None if they do not fit into `width` in rows of a few lines."""
    natural, least = zip(*map(_needs, columns), strict=True) if columns else ((), ())
    widths, room = list(natural), (width or _UNBOUND) - _GAP * max(len(columns) - 1, 0)
    while sum(widths) > room:
        spare = [have if have > few else 0 for have, few in zip(widths, least, strict=True)]
        if not any(spare):
            return None
        widths[spare.index(max(spare))] -= 1
    return None if any(_tall(*folded, console) for folded in _folded(columns, widths)) else widths


def _needs(column: Column) -> tuple[int, int]:
    """Return how wide a column is in one line, and how narrow it may be."""
    from rich.cells import cell_len

    cells = [cell or "NULL" for cell in column.cells]
    natural = max(map(cell_len, [visible(column.name), *cells]))
    if column.whole:
        return natural, natural
    words = max((cell_len(word) for cell in [column.name, *cells] for word in cell.split()), default=0)
    return natural, min(natural, max(_NARROW, words if words <= _WORD else 0))


def _folded(columns: Sequence[Column], widths: Sequence[int]) -> Iterator[tuple[Column, int]]:
    from rich.cells import cell_len

    for column, width in zip(columns, widths, strict=True):
        if any(cell_len(cell or "") > width for cell in column.cells):
            yield column, width


def _tall(column: Column, width: int, console: "Console") -> bool:
    from rich.text import Text

    return any(len(Text(cell or "").wrap(console, width, overflow="fold")) > LINES for cell in column.cells)


def _write_side_by_side(columns: Sequence[Column], widths: Sequence[int], console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        justify = "right" if column.right else "left"
        table.add_column(Text(visible(column.name)), justify=justify, overflow="fold", width=width)  # type: ignore[arg-type]
    for row in zip_longest(*(column.cells for column in columns)):
        table.add_row(*(Text("NULL", style="dim") if cell is None else Text(cell) for cell in row))
    console.print(table)


def _write_records(columns: Sequence[Column], console: "Console") -> None:
    """Write each row as lines of a name and a value, as psql's expanded display does."""
    from rich.table import Table
    from rich.text import Text

    for number, row in enumerate(zip_longest(*(column.cells for column in columns)), start=1):
        console.print(Text(f"-[ {number:,} ]".ljust(console.width, "-")[: console.width], style="dim"))
        record = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
        record.add_column(no_wrap=True)
        record.add_column(overflow="fold")
        for column, cell in zip(columns, row, strict=True):
            record.add_row(Text(visible(column.name), style="bold"), Text("NULL" if cell is None else cell))
        console.print(record)
