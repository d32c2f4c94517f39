"""The rows of one query, with the SQL that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Params = Sequence[object] | Mapping[str, object]

_SHOWN = 20


@dataclass(frozen=True)
class Result:
    """Rows of one query, with the SQL and parameters that made them; shown as a table in notebooks."""

    table: pa.Table
    sql: str
    params: Params = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame; whole numbers beside NULLs stay whole, where pandas would round ids."""
        return self.table.to_pandas(integer_object_nulls=True)

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows as dicts."""
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    def _repr_html_(self) -> str:
        """Return the first rows as an HTML table, every text escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.table.column_names)
        body = "".join(_row(row) for row in self.table.slice(0, _SHOWN).to_pylist())
        more = f"<p>{len(self)} rows, the first {_SHOWN} shown</p>" if len(self) > _SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def names_apart(names: Sequence[str]) -> list[str]:
    """Return `names` with a number behind each that another has before it, one that makes it new: `n`, `n_1`."""
    taken, apart = set(names), list[str]()
    for name in names:
        own = name if name not in apart else next(new for n in count(1) if (new := f"{name}_{n}") not in taken)
        taken.add(own)
        apart.append(own)
    return apart


def _row(row: dict[str, object]) -> str:
    cells = ("" if value is None else escape(str(value)) for value in row.values())
    return "<tr>" + "".join(f'<td dir="auto">{cell}</td>' for cell in cells) + "</tr>"
