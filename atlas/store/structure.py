"""What an atlas is made of, compared with what this version makes: tables, views, macros and definitions."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from atlas import schema
from atlas.errors import StoreError

if TYPE_CHECKING:
    from atlas.store.reader import Reader

_LEFT_OUT = re.compile(r"EXCLUDE \(([^()]*)\)")
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Difference:
    """A thing that is not as this version makes it; `mended` if an upgrade makes it so, `harmless` if it is extra."""

    kind: str
    name: str
    what: str
    mended: bool
    harmless: bool = False


def require_tables(atlas: Reader, catalog: str, name: str) -> None:
    """Raise StoreError unless `catalog` holds all tables of this version, as tables, with the same columns."""
    for found in _tables(atlas, catalog):
        if not found.harmless:
            raise StoreError(f"{name} has another table {found.name} than an atlas ({found.what}); take another copy.")


def differences(atlas: Reader) -> list[Difference]:
    """Return where the open atlas is not what this version makes."""
    return [*_tables(atlas, atlas.catalog), *_made_from_code(atlas), *_definitions(atlas)]


def _columns(atlas: Reader, catalog: str) -> dict[str, dict[str, tuple[str, bool]]]:
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    for row in atlas.sql(_COLUMNS, [catalog]).to_pylist():
        found.setdefault(row["table_name"], {})[row["column_name"]] = (row["data_type"], row["is_nullable"])
    return found


def _wrong_columns(table: schema.Table, found: Mapping[str, tuple[str, bool]] | None) -> str:
    """Return what is wrong with the columns that were found, nothing if they are those of the dictionary."""
    wanted = {column.name: (column.type, column.nullable) for column in table.columns}
    if found is None:
        return "no such table"
    names = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    return f"column {names[0]} is {_spelled(found.get(names[0]))}" if names else ""


def _spelled(column: tuple[str, bool] | None) -> str:
    return "missing" if column is None else f"{column[0]}{'' if column[1] else ' NOT NULL'}"


def _tables(atlas: Reader, catalog: str) -> Iterator[Difference]:
    columns = _columns(atlas, catalog)
    for table in schema.TABLES.values():
        if wrong := _wrong_columns(table, columns.get(table.name)):
            yield Difference("table", table.name, wrong, mended=False)
    for name in sorted(columns.keys() - schema.TABLES.keys() - {"schema_version"}):
        yield Difference("table", name, "is none of an atlas", mended=False, harmless=True)


def _made_from_code(atlas: Reader) -> Iterator[Difference]:
    """Yield views and macros that are missing, that say something else, or that are none of this version's."""
    made, found = fresh(storage_of(atlas)).code, code_of(atlas)
    builtin = set(atlas.sql(_BUILTIN)["name"].to_pylist())
    for kind, name in sorted(made.keys() | found.keys()):
        if made.get((kind, name)) == found.get((kind, name)):
            continue
        if (kind, name) in made:
            what = "is missing" if (kind, name) not in found else "says something else than this version's"
            yield Difference(kind, name, what, mended=True)
        elif kind == "macro" and name in builtin:
            yield Difference(kind, name, "stands in for a function of DuckDB", mended=True)
        else:
            yield Difference(kind, name, "is none of an atlas", mended=False, harmless=True)


def _definitions(atlas: Reader) -> Iterator[Difference]:
    found = {row["definition"]: row for row in atlas.sql("FROM definition").to_pylist()}
    for row in fresh(storage_of(atlas)).definitions:
        if found.get(str(row["definition"])) != row:
            there = str(row["definition"]) in found
            what = "has other thresholds than this version's" if there else "is missing"
            yield Difference("definition", str(row["definition"]), what, mended=True)


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a new atlas of this version holds: views and macros by kind and name, and the rows of its definitions."""

    code: Mapping[tuple[str, str], object]
    definitions: Sequence[Row]


@cache
def fresh(storage: str) -> Fresh:
    """Return what a new atlas holds, read back from a file of the storage version, on which the spelling depends."""
    from atlas.store.migrate import create
    from atlas.store.opening import open

    with tempfile.TemporaryDirectory() as folder:
        create(Path(folder) / "new.duckdb", storage)
        with open(Path(folder) / "new.duckdb") as made:
            return Fresh(code_of(made), made.sql("FROM definition").to_pylist())


def storage_of(atlas: Reader) -> str:
    """Return the version of DuckDB's storage that the file is written in."""
    row = atlas.sql("SELECT tags FROM duckdb_databases() WHERE database_name = ?", [atlas.catalog]).to_pylist()[0]
    return str(dict(row["tags"])["storage_version"]).rstrip("+")


def code_of(atlas: Reader) -> dict[tuple[str, str], object]:
    """Return the text of every view and macro by kind and name; DuckDB spells columns left out in any order."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in atlas.sql(_CODE).to_pylist():
        text = _LEFT_OUT.sub(lambda names: f"EXCLUDE ({', '.join(sorted(names[1].split(', ')))})", row["text"])
        found.setdefault((row["kind"], row["name"]), []).append(text)
    return {key: tuple(sorted(texts)) for key, texts in found.items()}


_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable
FROM duckdb_columns() SEMI JOIN duckdb_tables() USING (database_name, schema_name, table_name)
WHERE database_name = ? AND schema_name = 'main' AND NOT internal
"""

_CODE = """
SELECT 'view' AS kind, view_name AS name, sql AS text FROM duckdb_views() WHERE NOT internal AND NOT temporary
UNION ALL
SELECT 'macro', function_name, concat_ws(' ', parameters, macro_definition) FROM duckdb_functions()
WHERE function_type IN ('macro', 'table_macro') AND NOT internal AND database_name <> 'temp'
"""

_BUILTIN = "SELECT DISTINCT function_name AS name FROM duckdb_functions() WHERE internal"
