"""The views and macros, one `.sql` file a view: code, made anew whenever their text has changed.

A new view is a file here, and what its columns mean in `atlas/store/meanings.py`.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from importlib import resources

import duckdb

from atlas import schema, scorers
from atlas.store.connection import named

_COMMENT = re.compile(r"--.*")
_MADE = re.compile(r"^CREATE OR REPLACE (?:MACRO|VIEW) (\w+)", re.MULTILINE)
_WORD = re.compile(r"\w+")

MACROS = f"""
-- Whether a probe's status is one of those that have scores.
CREATE OR REPLACE MACRO usable(status) AS {schema.usable("status")};

-- Which scorer is meant before which where none is named: the default, others, controls; NULL for what is none.
CREATE OR REPLACE MACRO scorer_place(method) AS list_position({[*scorers.SCORERS]}, method);
"""
"""Made from the column dictionary and the table of scorers, before all files."""
GONE = (
    "degenerate_set_of", "divided_hit_of", "is_default_method", "knowledge_set_of", "lone_control_of",
    "overlap_exchange_of", "plain_hit_of", "set_size_of",
)  # fmt: skip
"""Macros that atlases may hold and that are made no more: whoever makes the views anew takes them out."""


@cache
def text(name: str) -> str:
    """Return the SQL of one file."""
    return (resources.files(__package__) / f"{name}.sql").read_text(encoding="utf-8")


@cache
def order() -> tuple[str, ...]:
    """Return the names of the files, each after those whose views and macros it names."""
    return tuple(TopologicalSorter({name: sorted(named) for name, named in _needs().items()}).static_order())


def needed(view: str | None) -> list[str]:
    """Return the SQL of the files that make `view` and all that it reads, in order; of all files where it is None."""
    if view is None:
        return [MACROS, *map(text, order())]
    wanted: set[str] = set()
    for name in reversed(order()):
        if view in _MADE.findall(text(name)) or name in wanted:
            wanted |= {name, *_needs()[name]}
    return [MACROS, *(text(name) for name in order() if name in wanted)]


@cache
def _needs() -> dict[str, set[str]]:
    """Return for each file those whose views and macros it names."""
    files = sorted(path.name for path in resources.files(__package__).iterdir() if path.name.endswith(".sql"))
    code = {name: _COMMENT.sub("", text(name)) for name in (file.removesuffix(".sql") for file in files)}
    maker = {made: name for name, sql in code.items() for made in _MADE.findall(sql)}
    return {name: {maker[word] for word in _WORD.findall(sql) if word in maker} - {name} for name, sql in code.items()}


def digest() -> str:
    """Return a hash of their text, recorded in `atlas_info` as `views`."""
    return hashlib.blake2b("\n".join([MACROS, *map(text, order())]).encode(), digest_size=8).hexdigest()


def take_out(connection: duckdb.DuckDBPyConnection, macros: Iterable[str]) -> None:
    """Drop macros of these names, of either kind, from the open file."""
    for name in macros:
        connection.execute(f"DROP MACRO IF EXISTS {named(name)}")
        connection.execute(f"DROP MACRO TABLE IF EXISTS {named(name)}")


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views and macros of this version in the open file and record their digest."""
    for statements in needed(None):
        connection.execute(statements)
    record(connection)


def record(connection: duckdb.DuckDBPyConnection) -> None:
    """Say in the open file that its views are those of this version."""
    connection.execute("DELETE FROM atlas_info WHERE key = 'views'")
    connection.execute("INSERT INTO atlas_info VALUES ('views', ?)", [digest()])


def current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the open file has the views of this version."""
    rows = connection.execute("SELECT value FROM atlas_info WHERE key = 'views'").fetchall()
    return rows == [(digest(),)]
