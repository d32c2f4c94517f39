"""`docs/schema.md`, made from the column dictionary and the views.

Run as `python -m atlas.store.docs docs/schema.md` to write the page.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from atlas import schema
from atlas.matching import one_of
from atlas.store import views
from atlas.store.connection import quoted
from atlas.store.meanings import DERIVED

_MACRO = re.compile(r"^CREATE OR REPLACE MACRO (\w+_at\(.*?\)) AS TABLE", re.MULTILINE | re.DOTALL)
_MADE = re.compile(r"((?:^-- .*\n)*)^CREATE OR REPLACE (?:MACRO|VIEW) (\w+)", re.MULTILINE)
_PART = re.compile(r"_(?:from|of|all|at)$")
_VIEW = re.compile(r"^CREATE OR REPLACE VIEW (\w+)", re.MULTILINE)

_OF_VIEWS = """
SELECT table_name, column_name
FROM duckdb_columns()
SEMI JOIN (SELECT view_name AS table_name FROM duckdb_views() WHERE NOT internal) AS made USING (table_name)
"""
# The binder's own record of a view: DESCRIBE would bind it again.
_OF_VIEW = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index"
_ENDS = {"low": "lower", "high": "upper"}

_HEAD = f"""# Schema of an atlas

An atlas is one DuckDB file, schema version {schema.VERSION}; DuckDB from 1.1 on reads its tables, from 1.2 on its views
(tried with 1.1.3, 1.2.2 and 1.4.4). This page is made from the code by `python -m atlas.store.docs docs/schema.md`;
equations are those of Chen et al. (AAAI 2024). METHOD 1 stands for [neurons, prompts,
answers](method.md#neurons-prompts-answers), 2 for [scores](method.md#scores), 3 for [neuron
sets](method.md#neuron-sets), 3b for [evidence](evidence.md), 4 for [evaluation](evaluation.md), with what [a cut
neuron becomes](method.md#degenerate-sets), 5 for [editing](editing.md), 6 for [checking
claims](method.md#checking-claims), 7 for [planted models](planted.md). Views that exist twice answer for the run and
the definition in use (`run_in_use`); those that end in `_all` answer for every run under every definition. Layers and
neurons count from 0. Ids are hashes of what they name, so they are equal in every atlas. Columns marked *file* are
numbered when rows are loaded, and differ between files of the same content. The macro `usable(status)` says whether
the status of a probe is one of those that have scores.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, "## Tables\n", *_tables(), "## Views\n", *_views()])


def columns(view: str, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return name and type of the columns of a view of the open file."""
    return connection.execute(_OF_VIEW, [view]).fetchall()


def in_memory(view: str | None = None) -> duckdb.DuckDBPyConnection:
    """Return an empty atlas without a file: tables of the dictionary and all views, or `view` and what it reads."""
    connection = duckdb.connect()
    for table in schema.TABLES.values():
        spelled = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
        connection.execute(f"CREATE TABLE {table.name} ({spelled})")
    for statements in views.needed(view):
        connection.execute(statements)
    return connection


def overview() -> list[dict[str, str]]:
    """Return `name, kind, meaning` of every table and view."""
    tables = [{"name": t.name, "kind": "table", "meaning": _first(t.meaning)} for t in schema.TABLES.values()]
    found = {view: _first(_said(views.text(name), view)) for name in views.order() for view in _made(name)}
    return tables + [{"name": view, "kind": "view", "meaning": found[view]} for view in sorted(found)]


def described(name: str) -> list[dict[str, str]]:
    """Return `column, type, meaning` of a table or view; raises UsageError for an unknown one."""
    every = [*schema.TABLES, *(view for file in views.order() for view in _VIEW.findall(views.text(file)))]
    own = one_of("table or view", name, every)
    if own in schema.TABLES:
        return [{"column": c.name, "type": c.type, "meaning": c.meaning} for c in schema.TABLES[own].columns]
    with in_memory(own) as connection:
        rows = columns(own, connection)
    return [{"column": column, "type": kind, "meaning": meaning(own, column)} for column, kind in rows]


def _first(text: str) -> str:
    """Return the first sentence; an equation's `Eq.` ends none."""
    return re.split(r"(?<=[.:;])(?<!Eq\.) ", text)[0].rstrip(":;.")


def _made(name: str) -> list[str]:
    """Return the views of a file, but those of every run beside those of the run in use."""
    made = _VIEW.findall(views.text(name))
    return [view for view in made if view.removesuffix("_all") not in {*made} - {view}]


def _tables() -> Iterator[str]:
    for table in schema.TABLES.values():
        yield f"### {table.name}\n\n{_plain(table.meaning)} Key: {', '.join(table.key)}.\n"
        yield "| column | type | meaning | unit | source |\n|---|---|---|---|---|"
        for column in table.columns:
            file = " *file*" if column.local else ""
            cells = (f"`{column.name}`", column.type, _cell(column.meaning) + file, column.unit, column.source)
            yield f"| {' | '.join(cells)} |"
        yield ""


def _views() -> Iterator[str]:
    with in_memory() as connection:
        for name in sorted(views.order()):
            made = _VIEW.findall(views.text(name))
            for view in _made(name):
                yield f"### {view}\n\n{_plain(_said(views.text(name), view))}\n"
                yield "| column | type | meaning |\n|---|---|---|"
                for column, kind in columns(view, connection):
                    yield f"| `{column}` | {kind} | {_cell(meaning(view, column))} |"
                yield ""
                if f"{view}_all" in made:
                    yield f"Of the run and the definition in use; of every one: `{view}_all`.\n"
            for macro in _MACRO.findall(views.text(name)):
                yield f"With other thresholds: `{_one_line(macro)}`\n"


def describe(connection: duckdb.DuckDBPyConnection) -> None:
    """Say in the open file what its views and their columns are."""
    of_view: dict[str, list[str]] = {}
    for view, column in connection.execute(_OF_VIEWS).fetchall():
        of_view.setdefault(view, []).append(column)
    for name in views.order():
        for view in _VIEW.findall(views.text(name)):
            connection.execute(f"COMMENT ON VIEW {view} IS {quoted(_said(views.text(name), view))}")
            for column in of_view[view]:
                connection.execute(f'COMMENT ON COLUMN {view}."{column}" IS {quoted(meaning(view, column))}')


def meaning(view: str, column: str) -> str:
    """Return what a column of a view or table means, empty if nothing is known of it."""
    if view in schema.TABLES:
        return next((c.meaning for c in schema.TABLES[view].columns if c.name == column), "")
    for name in (f"{view.removesuffix('_all')}.{column}", column):
        if name in DERIVED:
            return DERIVED[name]
    base, _, end = column.rpartition("_")
    if end in _ENDS and base in DERIVED:
        return f"{_ENDS[end]} end of its 95 % interval"
    found = (c.meaning for table in schema.TABLES.values() for c in table.columns if c.name == column)
    return next(found, "")


def _said(text: str, view: str) -> str:
    """Return the comment right above a view, or above the first macro that it is made of, such as `likn_from`."""
    family = _PART.sub("", view)
    said = next(comment for comment, made in _MADE.findall(text) if _PART.sub("", made) == family)
    return " ".join(line.removeprefix("-- ") for line in said.splitlines())


def _one_line(macro: str) -> str:
    return " ".join(macro.split()).replace("( ", "(").replace(" )", ")")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """Return a text as Markdown shows it: its `<` and `>` are no tags."""
    return text.replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
