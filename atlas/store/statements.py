"""What a text of SQL does, by the types that DuckDB parses its statements to: which of them may be run where."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import duckdb

from atlas.errors import LimitError, StoreError
from atlas.store.connection import log_of

READING = frozenset({"SELECT", "MULTI"})  # MULTI is what PIVOT becomes
WRITING = READING | {"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "DROP", "ALTER"}
FILES = frozenset({"COPY", "EXPORT", "ATTACH", "DETACH", "LOAD"})
"""What touches other files by itself; SELECT does where it reads them, and DuckDB's settings stop that."""

_EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(?:ANALYZE\b\s*)?(?:\([^()]*\)\s*)?", re.IGNORECASE)
_PRAGMA = re.compile(
    r"\s*PRAGMA\s+(?:table_info|show_tables|show_tables_expanded|show|database_list|database_size|version|platform"
    r"|collations|functions|storage_info|user_agent)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"""--[^\n]*|/\*.*?\*/|(['"])((?:(?!\1).|\1\1)*)\1|(\$\w*\$)(.*?)\3|\bTO\s+([^\s'"$(;]+)|\bTO\s*(\()""",
    re.IGNORECASE | re.DOTALL,
)
"""What stands in quotes of any kind, or bare or in brackets behind TO; comments, whose quotes are none, go by."""


def check(query: str, path: Path, allowed: frozenset[str], bound: Iterable[object] = ()) -> None:
    """Raise StoreError, or LimitError for what touches files, if a `query` has other kinds than `allowed`.

    A text that may touch files names the atlas neither itself nor by the values that are `bound` to it.

    A text that cannot be parsed passes: DuckDB will say what is wrong with it, and run none of it. One that is no
    Unicode DuckDB does not take.
    """
    if re.search("[\ud800-\udfff]", query):  # halves of characters
        raise StoreError(f"The query of {path} holds bytes that are no text; write it in UTF-8.")
    for kind in _kinds(query) - allowed:
        name = kind.replace("_", " ")
        if kind in FILES:
            raise LimitError(f"The query of {path} holds {name}, which may not touch other files here; leave it out.")
        if kind in WRITING:
            raise StoreError(
                f"{path} is open read-only and the query holds {name}; `atlas sql --write` and mode 'a' let it write."
            )
        raise StoreError(f"The query of {path} holds {name}, which is never run on an atlas; leave it out.")
    if FILES & _kinds(query):
        for name in (*_names(query, path), *(each for each in bound if isinstance(each, str))):
            _check_target(name, path)


def _names(query: str, path: Path) -> Iterator[str]:
    """Yield what may name a file; raises StoreError for a file that is named by an expression in brackets."""
    for mark, quoted, _, dollared, bare, bracket in _NAMED.findall(query):
        if bracket:
            raise StoreError(f"The query of {path} names a file by what stands in brackets; write its name in quotes.")
        yield quoted.replace(mark * 2, mark) if mark else dollared or bare


def _check_target(name: str, path: Path) -> None:
    """Raise StoreError for the name of the atlas itself, or of its log."""
    own = {path.resolve(), log_of(path.resolve())}
    if "\0" not in name and Path(name).resolve() in own:
        raise StoreError(f"The query of {path} would write over the atlas ({name}); name another file.")


@lru_cache(maxsize=512)
def _kinds(query: str) -> frozenset[str]:
    """Return the types of the statements of `query`, none if it cannot be parsed."""
    try:
        return frozenset(kind for each in duckdb.extract_statements(query) for kind in _kinds_of(each))
    except duckdb.Error:
        return frozenset()
    except ValueError:  # a type that the binding has no name for
        return frozenset({"a statement of unknown type"})


def _kinds_of(statement: duckdb.Statement) -> Iterator[str]:
    kind, text = statement.type.name, statement.query
    if kind == "EXPLAIN":
        # EXPLAIN ANALYZE runs what it explains.
        what = _EXPLAIN.match(text)
        inner = _kinds(text[what.end() :]) if what else frozenset()
        yield from inner or {"EXPLAIN of an unknown statement"}
    elif kind == "PRAGMA" and _PRAGMA.match(text):
        yield "SELECT"
    else:
        yield kind
